"""A user's tool as truth: real programs that answer, fail, hang, talk nonsense, and change their minds."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.hls.tool_form import HlsToolForm
from design.conformance.answers import assert_same
from design.conformance.evaluator import check_evaluator, check_spoiled
from design.contracts import called, labelled
from design.core import Batch, Evaluation, Status
from design.errors import InputError
from design.hls.design import points_of
from design.hls.task import HlsTask
from evaluators.execution.ray_workers import RayWorkers
from evaluators.execution.threads import Threads
from evaluators.truth.cached import CachedTruth
from evaluators.truth.command import NOT_ACCEPTED, CommandTruth
from evaluators.truth.ledger import Ledger
from tests.cases import ROOT
from tests.evaluators.truth.small_kernel import KERNEL, SCHEMA, TARGET, TASK, designs

# A tool that notes each run in the file `log`, beside it, and then does what is written in its place.
TOOL = """
import json, os, subprocess, sys, time
asked = json.load(sys.stdin)
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "log"), "a") as log:
    log.write(asked["id"] + "\\n")
runs = open(os.path.join(here, "log")).read().split().count(asked["id"])
design = asked["design"]
factors = design["__PARA__L0"] * design["__PARA__L1"]
answer = {"cycles": 9600 / factors, "lut": 100000 * factors, "ff": 10, "dsp": 5 * factors, "bram": 2}
"""
SOUND = "print(json.dumps(answer))"


@pytest.fixture
def tool(tmp_path: Path) -> Callable[..., CommandTruth]:
    """Makes a truth from what the tool does last."""

    def make(does: str = SOUND, **more: Any) -> CommandTruth:
        (tmp_path / "tool.py").write_text(TOOL + does)
        command = shlex.join([sys.executable, "-S", str(tmp_path / "tool.py")])
        options: dict[str, Any] = {"timeout_s": 20.0, "retries": 0} | more
        return CommandTruth(command, HlsToolForm(TASK), tmp_path / "work", **options)

    return make


def runs(folder: Path) -> int:
    """How often the tool ran."""
    path = folder / "log"
    return len(path.read_text().split()) if path.exists() else 0


def one(truth: CommandTruth) -> Evaluation:
    """Its answer to a design."""
    return truth.evaluate(designs(1), seed=0)


def expect_failed(answer: Evaluation, text: str) -> None:
    """FAILED, all unknown, the reason one line that has the text; the tool was asked, and nothing is learned."""
    reason = str(answer.reason[0])
    assert answer.status.tolist() == [Status.FAILED] and text in reason and "\n" not in reason, reason
    assert all(np.isnan(values).all() for values in answer.metrics.values())
    assert called(answer).all() and not labelled(answer).any()


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int) -> bool:
    """Whether a process that was killed is soon gone: it sleeps for a minute else."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_it_is_an_evaluator(tool: Callable[..., CommandTruth]) -> None:
    """The contract of all evaluators."""
    check_evaluator(tool(), designs(4))


@pytest.mark.parametrize("value", [-1, 3, 2**40])
def test_values_that_no_directive_takes(tool: Callable[..., CommandTruth], value: int, tmp_path: Path) -> None:
    """Are FAILED without a call; -1 is not the last of the words."""
    check_spoiled(tool(), designs(2), {"__PIPE__L0": value})
    answer = tool().evaluate(designs(2), seed=0)
    assert called(answer).all()
    before = runs(tmp_path)
    bad = designs(1)
    bad.columns["__PIPE__L0"][0] = value
    answer = tool().evaluate(bad, seed=0)
    assert answer.reason.tolist() == [NOT_ACCEPTED] and not called(answer).any() and runs(tmp_path) == before


def test_factors_below_one(tool: Callable[..., CommandTruth]) -> None:
    """The same."""
    check_spoiled(tool(), designs(2), {"__TILE__L0": 0})


def test_what_is_answered(tool: Callable[..., CommandTruth]) -> None:
    """Counts become shares of the device; too large a design is infeasible and keeps its numbers."""
    batch = designs()
    factors = batch.columns["__PARA__L0"] * batch.columns["__PARA__L1"]
    rows = np.array([np.argmin(factors), np.argmax(factors)])  # 1 and 12
    answer = tool().evaluate(batch.take(rows), seed=0)
    assert answer.metrics["cycles"].tolist() == [9600.0, 800.0]
    assert answer.metrics["lut_share"].tolist() == [1e5 / 1182240, 12e5 / 1182240]
    assert answer.metrics["utilisation"].tolist() == answer.metrics["lut_share"].tolist()
    assert answer.status.tolist() == [Status.OK, Status.INFEASIBLE]
    assert answer.reason.tolist() == ["", "utilisation 1.02 of 0.8 usable"]
    assert np.allclose(answer.violation["utilisation"], [0, 12e5 / 1182240 - 0.8]) and (answer.cost_s > 0).all()


def test_what_is_asked(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """The request as documented, in a fresh working directory with the kernel, in the environment that was given."""
    look = (
        "seen = {'asked': asked, 'cwd': os.getcwd(), 'files': sorted(os.listdir('.')),"
        " 'source': open(asked['source']).read(), 'licence': os.environ.get('LICENCE'),"
        " 'home': os.environ.get('PATH')}\n"
        "open(os.path.join(here, 'seen%d' % runs), 'w').write(json.dumps(seen))\n"
    )
    truth = tool(look + SOUND, environment={"LICENCE": "27000@host"}, repeat=2)
    batch = designs(1)
    assert truth.evaluate(batch, seed=5).status.tolist() == [Status.OK]
    first, second = (json.loads((tmp_path / f"seen{i}").read_text()) for i in (1, 2))
    (point,) = points_of(KERNEL, batch)
    key = batch.schema.key(batch).tobytes().hex()
    about = {"kernel": "scale", "source": "kernel.c", "tool": "v20", "device": "xcvu9p"}
    task = {"name": "scale", "digest": TASK.digest, "files": {"kernel": "kernel.c"}}
    standard = {"version": 1, "space": "hls", "task": task, "given": {}, "seed": 5}
    assert first["asked"] == standard | about | {"design": point, "id": key}
    assert first["source"] == KERNEL.source and first["licence"] == "27000@host" and first["home"] == os.environ["PATH"]
    assert first["cwd"] != second["cwd"] and second["files"] == ["kernel.c", "request.json"]
    assert not list((tmp_path / "work").iterdir()), "working directories are left behind"


def test_working_directories_can_be_kept(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """To look at what the tool wrote."""
    one(tool("open('report.txt', 'w').write('timing')\n" + SOUND, keep=True))
    assert [path.name for path in (tmp_path / "work").glob("*/report.txt")] == ["report.txt"]


def test_no_cycles_is_an_answer(tool: Callable[..., CommandTruth]) -> None:
    """null is infeasible, for the tool's reason; cycles that are not said are unknown."""
    answer = one(tool("print(json.dumps({'cycles': None, 'lut': 5, 'reason': 'ran out\\nof time'}))"))
    assert answer.status.tolist() == [Status.INFEASIBLE] and answer.reason.tolist() == ["ran out of time"]
    assert all(np.isnan(values).all() for values in answer.metrics.values()) and labelled(answer).all()
    answer = one(tool("print(json.dumps({'lut': 5}))"))
    assert answer.status.tolist() == [Status.OK] and answer.metrics["lut"].tolist() == [5.0]
    assert np.isnan(answer.metrics["cycles"]).all() and np.isnan(answer.metrics["utilisation"]).all()


def test_not_valid_is_an_answer(tool: Callable[..., CommandTruth]) -> None:
    """Infeasible, with its numbers."""
    answer = one(tool("print(json.dumps(answer | {'valid': False}))"))
    assert answer.status.tolist() == [Status.INFEASIBLE] and not np.isnan(answer.metrics["cycles"]).any()
    assert answer.reason.tolist() == ["the tool calls it not valid"] and answer.violation["tool"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("does", "text"),
    [
        (
            "sys.stderr.write('once\\nno licence\\t left\\n\\n'); sys.exit(3)",
            "ended with exit status 3: no licence left",
        ),
        ("print(json.dumps(answer)); sys.exit(1)", "ended with exit status 1"),
        ("os.kill(os.getpid(), 11)", "was ended by SIGSEGV"),
        ("raise ValueError('what\\nnow')", "exit status 1: now"),
        ("sys.stderr.write('\\x1b[31mred\\x00')\nsys.exit(1)", "exit status 1: ?[31mred?"),
        ("pass", "said nothing"),
        ("print('Vitis HLS 2020.2'); " + SOUND, "said no JSON"),
        (SOUND + "; " + SOUND, "said no JSON"),
        ("sys.stdout.buffer.write(bytes(range(128, 256)))", "said no JSON"),
        ("print('[' * 100000)", "said no JSON"),
        ("print('[1, 2]')", "said [1, 2], no object"),
        ("print('{}')", "said none of cycles"),
        ("print('{\"valid\": false}')", "said none of cycles"),
        ("print('{\"cycles\": NaN}')", "said no JSON (NaN is no number"),
        ("print('{\"cycles\": 1e999}')", "said cycles Infinity"),
        ("print('{\"cycles\": 0}')", "said cycles 0, not a number above 0"),
        ('print(\'{"cycles": 7, "lut": -1}\')', "said lut -1"),
        ("print('{\"cycles\": true}')", "said cycles true"),
        ('print(\'{"cycles": "7"}\')', 'said cycles "7"'),
        ('print(\'{"cycles": 7, "valid": 1}\')', "valid or reason"),
        ('print(\'{"cycles": 7, "cyles": 1}\')', "said cyles, which is none of"),
        ("print('{\"cycles\": ' + '9' * 400 + '}')", "said cycles 999"),
        ("while True: print('x' * 1000)", "wrote more than 1048576 bytes"),
    ],
)
def test_what_is_no_answer(tool: Callable[..., CommandTruth], does: str, text: str) -> None:
    """Is a FAILED row with a line that says why; the next design is answered."""
    expect_failed(one(tool(does)), text)


def test_errors_without_end_are_no_fault(tool: Callable[..., CommandTruth]) -> None:
    """Tools talk much on standard error."""
    answer = one(tool("sys.stderr.write('chatter\\n' * 1000000)\n" + SOUND))
    assert answer.status.tolist() == [Status.OK]


def test_others_go_on(tool: Callable[..., CommandTruth]) -> None:
    """A tool that fails on some designs answers the others."""
    batch = designs(12)
    answer = tool("sys.exit(1) if factors % 2 else None\n" + SOUND).evaluate(batch, seed=0)
    odd = (batch.columns["__PARA__L0"] * batch.columns["__PARA__L1"]) % 2 == 1
    assert odd.any() and not odd.all() and np.array_equal(answer.status == Status.FAILED, odd)


def test_a_hang_ends_with_its_children(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """The time limit ends the whole group: the child of the tool, too, which holds its output open."""
    child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    hang = f"child = subprocess.Popen([sys.executable, '-S', '-c', {child!r}])\n"
    hang += "open(os.path.join(here, 'child'), 'w').write(str(child.pid))\ntime.sleep(60)"
    begin = time.monotonic()
    expect_failed(one(tool(hang, timeout_s=1.0)), "took longer than 1 s")
    assert time.monotonic() - begin < 10 and ends(int((tmp_path / "child").read_text()))


def test_a_child_that_stays_behind(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """A tool that has ended is answered at once, though its child goes on and holds its output; the child is ended."""
    leave = "child = subprocess.Popen(['sleep', '60'])\n"
    leave += "open(os.path.join(here, 'child'), 'w').write(str(child.pid))\n" + SOUND
    begin = time.monotonic()
    assert one(tool(leave)).status.tolist() == [Status.OK]
    assert time.monotonic() - begin < 10 and ends(int((tmp_path / "child").read_text()))


def test_a_large_answer_is_read_whole(tool: Callable[..., CommandTruth]) -> None:
    """More than a pipe holds, written at the last moment."""
    answer = one(tool("print(json.dumps(answer | {'reason': 'x' * 900000}))"))
    assert answer.status.tolist() == [Status.OK]


def test_memory_limit(tool: Callable[..., CommandTruth]) -> None:
    """Holds for the tool, not for this process."""
    grow = "block = bytearray(2**29)\n" + SOUND
    assert one(tool(grow)).status.tolist() == [Status.OK]
    expect_failed(one(tool("time.sleep(0.2)\n" + grow, memory_bytes=2**28)), "exit status 1: MemoryError")


def test_retries(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """Tried again as often as was said, and no more; a later success is the answer."""
    flaky = "sys.exit(1) if runs < 3 else None\n" + SOUND
    assert one(tool(flaky, retries=2)).status.tolist() == [Status.OK] and runs(tmp_path) == 3
    (tmp_path / "log").unlink()
    expect_failed(one(tool("sys.exit(1)", retries=2)), "exit status 1")
    assert runs(tmp_path) == 3


def test_another_answer_the_second_time(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """Is found where a design is run twice; one run is believed."""
    other = "answer['cycles'] = 8 + 2 * runs\n" + SOUND
    expect_failed(one(tool(other, repeat=2)), "answered differently: cycles 10 then 12")
    (tmp_path / "log").unlink()
    assert one(tool(other)).metrics["cycles"].tolist() == [10.0]
    (tmp_path / "log").unlink()
    expect_failed(one(tool("if runs > 1: answer['valid'] = False\n" + SOUND, repeat=2)), "valid true then false")


def test_who_said_it(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """Another tool is another truth, wherever it lies; the user's own version goes before."""
    assert tool().version == tool().version != tool("\n" + SOUND).version
    moved = tmp_path / "elsewhere.py"
    moved.write_text(TOOL + SOUND)
    command = shlex.join([sys.executable, "-S", str(moved)])
    assert CommandTruth(command, HlsToolForm(TASK), tmp_path).version == tool().version
    assert tool(version="2020.2").version == "2020.2"


@pytest.mark.parametrize(
    ("command", "text"), [("", "no command"), ("no-such-tool x", "no program"), ("a 'b", "cannot be read")]
)
def test_no_command(command: str, text: str, tmp_path: Path) -> None:
    """One line before anything starts."""
    with pytest.raises(InputError, match=text):
        CommandTruth(command, HlsToolForm(TASK), tmp_path)


def test_no_shell(tmp_path: Path) -> None:
    """Words are words: nothing is expanded or chained."""
    script = tmp_path / "words.py"
    script.write_text("import sys\nprint('{\"cycles\": %d}' % (10 if sys.argv[1:] == ['$HOME;', '*', '|'] else 1))")
    truth = CommandTruth(
        f"{sys.executable} -S {script} '$HOME;' * '|'", HlsToolForm(TASK), tmp_path / "work", retries=0
    )
    assert one(truth).metrics["cycles"].tolist() == [10.0]


def test_relative_paths_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script named from where the program stands is found from the working directories."""
    monkeypatch.chdir(tmp_path)
    Path("tool.py").write_text("print('{\"cycles\": 3}')")
    truth = CommandTruth(f"{sys.executable} -S tool.py", HlsToolForm(TASK), Path("work"), retries=0)
    assert one(truth).metrics["cycles"].tolist() == [3.0]


@pytest.mark.parametrize("bad", [b"\xff\xfe", b'{"cycles": 1', b'"text"', b"null", b'{"cycles": [1]}'])
def test_reading_never_raises(bad: bytes, tool: Callable[..., CommandTruth]) -> None:
    """Whatever the tool writes becomes a fault of one line."""
    fault = tool().read(bad).fault
    assert fault and fault.isprintable()


# --- the example in docs/

EXAMPLE = ROOT / "docs" / "examples" / "truth_gcc.py"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here")
def test_the_example_tool(tmp_path: Path) -> None:
    """It answers every design of a kernel: steps as counted by hand, more instructions where more is unrolled."""
    truth = CommandTruth(f"{sys.executable} {EXAMPLE}", HlsToolForm(TASK), tmp_path / "work", timeout_s=60, repeat=2)
    # PIPELINE, TILE and PARALLEL of the outer loop (12 times), PIPELINE and PARALLEL of the inner (8 times)
    points = [(1, 1, 1, 1, 1), (1, 1, 3, 1, 4), (0, 1, 1, 0, 1), (0, 1, 3, 1, 4), (2, 2, 3, 0, 4), (0, 1, 3, 2, 1)]
    steps = [12 + 96, 4 + 8, 4 * (12 + 96), 4 * 4 + 8, 4, 4 * 4 + 32]
    table = np.array(points, dtype=np.int64)
    batch = Batch(SCHEMA, {column.name: table[:, i].copy() for i, column in enumerate(SCHEMA.columns)})
    with CachedTruth(truth, Ledger(tmp_path / "calls.sqlite", "r"), lambda: Threads(truth, 2)) as bought:
        answer = bought.evaluate(batch, seed=0)
    assert answer.reason.tolist() == [""] * 6
    assert answer.metrics["cycles"].tolist() == steps
    lut = answer.metrics["lut"]
    assert 10 < lut[0] < lut[1] and lut[0] == lut[2] and lut[1] == lut[3]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here")
def test_the_example_tool_without_a_kernel(tmp_path: Path) -> None:
    """A source that gcc refuses is a FAILED design, with gcc's own words."""
    kernel = replace(KERNEL, source=KERNEL.source.replace("b[i] = 0;", "b[i] = nonsense;"))
    form = HlsToolForm(HlsTask(kernel, TARGET))
    answer = one(CommandTruth(f"{sys.executable} {EXAMPLE}", form, tmp_path / "work", retries=0))
    expect_failed(answer, "nonsense")


# --- several at once


def test_several_at_once(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """As many as were asked for run side by side, rows come as they finish, and the answers are those of one."""
    (tmp_path / "now").mkdir()
    watch = (
        "mine = os.path.join(here, 'now', asked['id'])\nopen(mine, 'w').close()\ntime.sleep(0.15)\n"
        "open(os.path.join(here, 'most'), 'a').write('%d\\n' % len(os.listdir(os.path.join(here, 'now'))))\n"
        "os.unlink(mine)\n"
    )
    truth, batch = tool(watch + SOUND, version="1"), designs(12)
    with CachedTruth(truth, Ledger(tmp_path / "calls.sqlite", "r"), lambda: Threads(truth, 4)) as bought:
        pieces = list(bought.stream(batch, seed=0))
        assert len(pieces) == 12
        answer = bought.evaluate(batch, seed=0)
    assert max(int(line) for line in (tmp_path / "most").read_text().split()) == 4 and runs(tmp_path) == 12
    assert_same(answer, tool(version="1").evaluate(batch, seed=0))


def test_a_stop_ends_what_runs(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """Tools under way are ended with their group; their designs are unanswered, and bought later."""
    slow = "open(os.path.join(here, 'pid%d' % os.getpid()), 'w').close()\ntime.sleep(60)"
    truth, stopped = tool(slow, retries=5), threading.Event()
    ledger = Ledger(tmp_path / "calls.sqlite", "r")
    timer = threading.Timer(1.0, stopped.set)
    timer.start()
    begin = time.monotonic()
    with CachedTruth(truth, ledger, lambda: Threads(truth, 2), stop=stopped.is_set) as bought:
        answer = bought.evaluate(designs(4), seed=0)
    assert time.monotonic() - begin < 10
    assert answer.reason.tolist() == ["stopped"] * 4 and not called(answer).any()
    pids = [int(path.name[3:]) for path in tmp_path.glob("pid*")]
    assert len(pids) == 2 and all(map(ends, pids))
    assert ledger.calls().begun == ledger.calls().unfinished == 2


def test_it_can_be_sent(tool: Callable[..., CommandTruth]) -> None:
    """Pickled and back it says the same."""
    truth = tool()
    assert_same(one(pickle.loads(pickle.dumps(truth))), one(truth))


def test_on_ray(tool: Callable[..., CommandTruth], tmp_path: Path) -> None:
    """Workers in other processes, one of which is killed in the middle: each design is answered once in the ledger."""
    pytest.importorskip("ray")
    die = "if runs == 1 and factors == 12:\n    os.kill(os.getppid(), 9)\n    time.sleep(5)\n"
    truth, batch = tool(die + SOUND), designs(10)
    ledger = Ledger(tmp_path / "calls.sqlite", "r")
    doomed = int(((batch.columns["__PARA__L0"] * batch.columns["__PARA__L1"]) == 12).sum())
    assert doomed
    with CachedTruth(truth, ledger, lambda: RayWorkers(truth, 2)) as bought:
        answer = bought.evaluate(batch, seed=0)
        assert_same(bought.evaluate(batch, seed=0), answer)
    assert_same(answer, tool(die + SOUND).evaluate(batch, seed=0))
    calls = ledger.calls()
    assert (calls.begun, calls.unfinished, calls.failed) == (10 + doomed, doomed, 0)
