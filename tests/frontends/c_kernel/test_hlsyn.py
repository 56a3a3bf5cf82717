"""The kernels of the HLSyn data set, where it is present: outlines as they were checked by eye, trips as they run."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from design.hls.loop_nest import UNKNOWN, Kernel
from frontends.c_kernel import outline, parse_kernel, read_kernel
from tests.cases import ROOT

DATA = ROOT.parent / "shared" / "data" / "hlsyn.tar.gz"
GOLDEN = Path(__file__).parent / "golden" / "hlsyn_outlines.txt"
OWN = sorted((ROOT / "config" / "kernels").glob("*.c"))


def sources() -> dict[str, str]:
    """Name -> C text of the data set's kernels; its result tables stay closed."""
    found = {}
    if DATA.is_file():
        with tarfile.open(DATA) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith("_kernel.c"):
                    file = archive.extractfile(member)
                    assert file is not None
                    found[Path(member.name).name.removesuffix("_kernel.c")] = file.read().decode()
    return dict(sorted(found.items()))


SOURCES = sources()
needs_data = pytest.mark.skipif(not SOURCES, reason=f"{DATA} is not there")


@needs_data
def test_outlines(golden: Callable[[Path, str], None]) -> None:
    """All kernels can be read, and their loops, trips, directives and recurrences are the known ones."""
    assert len(SOURCES) == 32
    golden(GOLDEN, "\n".join(f"== {name}\n{outline(parse_kernel(text, name))}" for name, text in SOURCES.items()))


def test_own_outlines(golden: Callable[[Path, str], None]) -> None:
    """The same for the kernels that come with the project."""
    assert OWN
    text = "\n".join(f"== {path.stem}\n{outline(read_kernel(path))}" for path in OWN)
    golden(GOLDEN.with_name("own_outlines.txt"), text)


@needs_data
@pytest.mark.parametrize("name", SOURCES)
def test_every_directive_is_on_a_loop(name: str) -> None:
    """No auto{} parameter of the text is lost, each is of the kind that its pragma says."""
    written = re.findall(r"#pragma ACCEL (\w+).*?auto\{(\w+)\}", SOURCES[name])
    read = [(p.kind, p.name) for p in parse_kernel(SOURCES[name], name).parameters]
    assert sorted(written) == sorted(read)


def counted(text: str, kernel: Kernel, folder: Path) -> dict[int, tuple[int, int]]:
    """Line of a loop -> (iterations, times it was left) in a run of the kernel on zeros, compiled with gcc."""
    lines = text.split("\n")
    wanted = sorted({loop.line for loop in kernel.loops})
    for line in wanted:
        count = f"? (++runs[{line}], 1) : (++ends[{line}], 0)"
        head = lines[line - 1]
        if match := re.match(r"(.*?\bfor\s*\()([^;]*);([^;]*);(.*)", head):
            test = match[3].strip() or "1"
            lines[line - 1] = f"{match[1]}{match[2]};({test}) {count};{match[4]}"
        else:
            match = re.match(r"(.*?\bwhile\s*\()(.*)\)(\s*\{?)$", head)
            assert match, head
            lines[line - 1] = f"{match[1]}({match[2]}) {count}){match[3]}"
    signature = re.search(rf"\b{kernel.name}\s*\(([^)]*)\)", text)
    assert signature
    declared, given = [], []
    for number, parameter in enumerate(signature[1].split(",")):
        said = " ".join(parameter.replace("const ", "").split())
        match = re.fullmatch(r"(.*?)(\w+)((?:\[\w+\])*)", said)
        assert match, said
        pointer = "*" in match[1]
        declared.append(f"static {match[1].replace('*', '')} x{number}{match[3]};")
        given.append(f"{'&' if pointer else ''}x{number}")
    most = max(wanted) + 1
    main = "\n".join(
        [
            *declared,
            f"int main() {{ {kernel.name}({', '.join(given)});",
            f'for (int n = 0; n < {most}; n++) if (ends[n]) printf("%d %ld %ld\\n", n, runs[n], ends[n]); }}',
        ]
    )
    file = folder / "counted.c"
    file.write_text(f"#include <stdio.h>\nstatic long runs[{most}], ends[{most}];\n" + "\n".join(lines) + "\n" + main)
    program = folder / "counted"
    subprocess.run(["gcc", "-w", "-O1", "-o", program, file, "-lm"], check=True, timeout=60)
    said = subprocess.run([program], check=True, timeout=60, capture_output=True, text=True).stdout
    return {int(n): (int(runs), int(ends)) for n, runs, ends in (row.split() for row in said.splitlines())}


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc here")
@pytest.mark.parametrize("name", [*(path.stem for path in OWN), *SOURCES])
def test_trips_are_those_of_a_compiled_run(name: str, tmp_path: Path) -> None:
    """Mean trips of every loop, but for those that data decide, are what gcc's program counts."""
    text = SOURCES.get(name) or (ROOT / "config" / "kernels" / f"{name}.c").read_text()
    kernel = parse_kernel(text, name)
    known = [loop for loop in kernel.loops if loop.trip.kind != UNKNOWN]
    assert len(known) >= len(kernel.loops) - 1
    counts = counted(text, kernel, tmp_path)
    for loop in known:
        runs, ends = counts[loop.line]
        assert runs / ends == pytest.approx(loop.trip.mean, rel=1e-12), (loop.number, loop.line)
