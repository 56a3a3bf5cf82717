"""One run of someone else's program: a process group of its own, ended whole; limits on time, memory and output.

A program that leaves its process group (setsid) is beyond reach. Where this process is killed outright, a program under
way runs on by itself to its end.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_OUTPUT = 2**20  # bytes of standard output
TAIL = 2**16  # bytes of standard error that are kept, the last
LOOK_S = 0.05  # between looks at a program that is silent
FIRST_LOOK_S = 0.001
LATE = "late"  # in place of a fault, until the limit is said


class GivenUp(Exception):
    """The caller wants no answer any more."""


@dataclass(frozen=True)
class Run:
    """What came of a run: its standard output, or in `fault` why there is none, in one line."""

    output: bytes
    fault: str
    seconds: float


def run_tool(
    words: Sequence[str],
    folder: Path,
    request: bytes,
    timeout_s: float,
    memory_bytes: int | None = None,
    environment: Mapping[str, str] | None = None,
    gone: threading.Event | None = None,
) -> Run:
    """Run a command in a folder, with `request` on standard input (it is there as request.json, too).

    `memory_bytes` is the most address space of each of its processes (RLIMIT_AS, Linux only), set right after the
    start. `environment` is added to this process's. Raises GivenUp once `gone` is set.
    """
    begin = time.monotonic()
    asked = folder / "request.json"
    asked.write_bytes(request)
    try:
        with asked.open("rb") as stdin:
            process = subprocess.Popen(
                words,
                cwd=folder,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if environment is None else os.environ | dict(environment),
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Run(b"", f"does not start: {said}", time.monotonic() - begin)
    try:
        if memory_bytes is not None:
            _limit(process.pid, memory_bytes)
        output, errors, fault = _listen(process, begin + timeout_s, gone)
    finally:
        _end(process)
    if not fault and process.returncode:
        code = process.returncode
        fault = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
    elif fault == LATE:
        fault = f"took longer than {timeout_s:g} s"
    last = _last_line(errors)
    return Run(output, f"{fault}: {last}" if fault and last else fault, time.monotonic() - begin)


def _limit(pid: int, memory_bytes: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it may have ended already
        resource.prlimit(pid, resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _listen(
    process: subprocess.Popen[bytes], deadline: float, gone: threading.Event | None
) -> tuple[bytes, bytes, str]:
    """(output, last of the errors, fault) of a program, when it has ended or has to be. What its own children write
    after it has ended is not waited for."""
    assert process.stdout is not None and process.stderr is not None
    said, errors = bytearray(), bytearray()
    wait_s = FIRST_LOOK_S
    with selectors.DefaultSelector() as selector:
        for pipe, into in ((process.stdout, said), (process.stderr, errors)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, into)
        while True:
            # Asked before reading: what it wrote before its end is in the pipes now.
            ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            if selector.get_map():
                for key, _ in selector.select(0 if ended else wait_s):
                    wait_s = FIRST_LOOK_S
                    if not _drain(key.fd, key.data, MOST_OUTPUT + 1):
                        selector.unregister(key.fileobj)
            elif not ended:
                time.sleep(wait_s)
            wait_s = min(2 * wait_s, LOOK_S)
            del errors[:-TAIL]
            if len(said) > MOST_OUTPUT:
                return b"", bytes(errors), f"wrote more than {MOST_OUTPUT} bytes"
            if ended:
                return bytes(said), bytes(errors), ""
            if gone is not None and gone.is_set():
                raise GivenUp
            if time.monotonic() > deadline:
                return b"", bytes(errors), LATE


def _drain(descriptor: int, into: bytearray, most: int) -> bool:
    """Read what is there, though not much more than `most`; whether there may be more one day."""
    try:
        while len(into) < most:
            piece = os.read(descriptor, TAIL)
            if not piece:
                return False
            into += piece
    except BlockingIOError:
        pass
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the group, then collect the program: while it is not collected, the group's number is
    nobody else's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _last_line(errors: bytes) -> str:
    lines = [" ".join(line.split()) for line in errors.decode(errors="replace").splitlines()]
    printable = "".join(c if c.isprintable() else "?" for c in next((x for x in reversed(lines) if x), ""))
    return printable[-160:]
