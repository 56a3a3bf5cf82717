"""Some twenty commands of every execution type, run on a tree and compared with those of another tree: shows that a
reorganisation changed no result.

    python -m bench.twenty list
    python -m bench.twenty run --tree TREE --out FOLDER [--only NAME,..]
    python -m bench.twenty compare FOLDER_A FOLDER_B        # A is the baseline; exit code 1 where a command differs

`run` needs about five CPU-minutes. Commands that need results of HLS tools are skipped where
../shared/data/hlsyn.tar.gz is absent.

All files that a command leaves are compared, with its standard output and exit codes: texts by line, tables and
databases by row and column, checkpoints by tensor, pictures byte by byte, of the report its text. Left out of the
comparison, since they carry no result:
- wall and CPU times, in fields (TIMES) and in sentences (SENTENCES); dates;
- versions of program, libraries and file formats, and the git revision (VERSIONS); those of evaluators and models are
  compared;
- absolute paths of tree, output folder, data and interpreter, which become words; runs of spaces and of lines, which
  depend on the length of paths in a table;
- run.log (told by the clock), locks, and standard error (progress).
What only B has (a key, column, table, file, or lines beside all of A's) is told as added and is no difference.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import html
import json
import os
import re
import resource
import shlex
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

# name | commands, one after another, as given to the interpreter. {out} is the command's folder, {NAME} that of an
# earlier one, {inputs} what `prepare` writes, {data} the results of HLS tools, {python} the interpreter.
COMMANDS = """
help       | main.py --help
roofline   | main.py --export csv,json --dse-output-dir {out}
buffered   | main.py --model-type llama --max-batch-size 4 --input-seq-len 783 --max-gen-len 209 --evaluator buffered --nmp-channel-num-space 6 --fpu-pe-bw-space "(8,600,25.6)" --input-buffer-size-space 32 --weight-buffer-size-space 32 --output-buffer-total-size-space 64 --dse-output-dir {out}
objectives | main.py --objectives latency_s,energy_j,area_mm2 --num-generations 5 --dse-output-dir {out}
exact      | main.py --model-type palm --max-batch-size 4 --algorithm exact --nmp-channel-num-space 4,6 --fpu-pe-bw-space "(8,600,25.6),(4,800,25.6)" --dse-output-dir {out}
specpim    | main.py --is-dataflow-fixed specpim --nmp-channel-num-space 2,4,6 --seed 7 --dse-output-dir {out}
fixed      | main.py --is-dataflow-fixed attention_offloading_with_ffn_splitting --nmp-channel-num-space 4,6 --dse-output-dir {out}
gemma      | main.py --model-shape config/hugging-face/gemma-3-4b.json --output-head --max-batch-size 4 --input-seq-len 2048 --max-gen-len 64 --max-seq-len 8192 --objectives latency_s,energy_j --num-generations 4 --report brief --export csv,json --dse-output-dir {out}
draft      | main.py --model-type llama --max-batch-size 4 --speculative opt --draft-len 3 --prefill-chunk 256 --evaluator buffered --objectives edp --num-generations 4 --report brief --dse-output-dir {out}
sweep      | main.py --sweep "max-batch-size=1,4;input-seq-len=256,1024" --num-generations 3 --report none --dse-output-dir {out}
estimate   | main.py --space hls --kernel config/kernels/gemm.c --evaluator estimate --num-generations 20 --export csv,json --dse-output-dir {out}
checked    | main.py --space hls --kernel config/kernels/lu.c --truth command --truth-cmd "{python} {inputs}/tool.py" --truth-checks 5 --num-generations 10 --tool-version v18 --dse-output-dir {out}
truth      | main.py --space hls --kernel config/kernels/fir.c --evaluator truth --truth command --truth-cmd "{python} {inputs}/tool.py" --population-num-per-generation 10 --num-generations 3 --topk 5 --dse-output-dir {out}
cascade    | main.py --space hls --kernel config/kernels/gemm.c --evaluator cascade --truth command --truth-cmd "{python} {inputs}/tool.py" --budget 8 --dse-output-dir {out}
recorded   | main.py --space hls --kernel {inputs}/hlsyn/sources/bicg_kernel.c --tool-version v18 --evaluator cascade --checkpoint none --truth recorded --data {data} --budget 20 --dse-output-dir {out}
looked-up  | main.py --space hls --kernel {inputs}/hlsyn/sources/atax_kernel.c --truth recorded --data {data} --num-generations 10 --dse-output-dir {out}
train      | main.py --execution-type train --data {data} --recipe {inputs}/recipe.json --augmentation {cascade}/augmentation.json --dse-output-dir {out}
lm         | main.py --space hls --kernel config/kernels/fir.c --evaluator lm --checkpoint {train}/model.safetensors --population-num-per-generation 40 --num-generations 3 --dse-output-dir {out}
evaluate   | main.py --execution-type evaluate --data {data} --tool-version v18 --kernels bicg --labels 0,20 --dse-output-dir {out}
scored-lm  | main.py --execution-type evaluate --evaluator lm --data {data} --train-data {inputs}/hlsyn --tool-version v20 --kernels gemver --labels 0,20 --label-choice asked --dse-output-dir {out}
scored-h   | main.py --execution-type evaluate --evaluator transformer-h --data {data} --train-data {inputs}/hlsyn --tool-version v18 --kernels doitgen --labels 0,20 --report none --dse-output-dir {out}
predict    | main.py --execution-type predict --kernel config/kernels/gemm.c --set PIPE_COLUMN=flatten,PARA_ROW=8 --dse-output-dir {out}
parse      | main.py --execution-type parse --model-shape config/hugging-face/qwen3-30b-a3b.json --output-head --parser-output-dir {out}
parse-opt  | main.py --execution-type parse --model-type opt --parser-output-dir {out}
resume     | main.py --num-generations 4 --dse-output-dir {out} && main.py --num-generations 9 --resume --dse-output-dir {out}
again      | main.py --model-type palm --report none --dse-output-dir {out} && main.py --execution-type export --export csv,json,parquet --dse-output-dir {out} && main.py --execution-type report --dse-output-dir {out}
compare    | main.py compare {roofline} {specpim} --dse-output-dir {out}
h2llm      | ae/run_experiments.py --experiment-type e2e --models opt,llama --data-sets he,sg --batches 4 --workers 1 --out {out} && ae/plot_results.py --experiment-type e2e --out {out} && ae/check.py --out {out}
race       | ae/run_experiments.py --experiment-type loop --data {data} --kernels bicg --methods "estimate loop;extra-trees loop;nsga-ii;random" --budget 12 --seeds 2 --workers 1 --out {out}
"""  # noqa: E501
DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "hlsyn.tar.gz"
# Kernels that are explored, and results that baselines learn from where those of all would take most of the time.
KERNELS = re.compile(r"hlsyn/(sources/(atax|bicg|gesummv|mvt)_kernel.c|designs/.*/(atax|gesummv|mvt).json)")
RECIPE = {"backbone": "tiny", "width": 32, "layers": 2, "heads": 2, "number_steps": 4, "steps": 4, "designs": 8}
RECIPE |= {"unfinished": 4, "kernels": 1, "check": 2, "validation": ["atax"]}
TOOL = """import json, sys
copies, design = 1, json.load(sys.stdin)["design"]
for value in design.values():
    copies *= value if isinstance(value, int) else 1
cycles = 172032 * (4 if "off" in design.values() else 1) // copies + 50
print(json.dumps({"cycles": cycles, "lut": 1000 + 100 * copies, "ff": 2000 + copies, "dsp": copies, "bram": 10}))
"""
FACTS, STDOUT, STDERR = "command.json", "stdout.txt", "stderr.txt"
UNCOMPARED = ("run.log", ".lock", STDERR, "run.sqlite-wal", "run.sqlite-shm")
TIMES = {"cpu_s", "wall_s", "cost_s", "seconds", "cpu_seconds", "wall_seconds", "begun", "ended"}  # where numbers
NUMBER = re.compile(r"[\d.eE+-]*")
VERSIONS = {"versions", "revision", "commit", "format", "paths"}
SENTENCES = (
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?\S*", "DATE"),
    (r"(candidates in) [^()]+ \([^)]*CPU-s\)", r"\1 TIME"),
    (r"(points in) [\d.,]+ CPU-seconds", r"\1 TIME"),
    (r"^\s*\d+ s\. (Tables and runs)", r"TIME \1"),
    (r"^((?:\S+ loop|nsga-ii|random) .*%) [\d.]+ *$", r"\1 TIME"),  # CPU-seconds of the race's methods
    (r"^(seconds of search) .*$", r"\1"),  # of `compare`
    (r"^tilewright [\d.]+, python .*$", "VERSIONS"),  # of the report
)


def table() -> dict[str, str]:
    """The commands by name, as they are written."""
    rows = [line.split("|", 1) for line in COMMANDS.strip().splitlines()]
    return {name.strip(): text.strip() for name, text in rows}


def prepare(inputs: Path) -> None:
    """What commands read beside the tree: a deterministic tool, a small recipe, and some kernels of the data."""
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "tool.py").write_text(TOOL)
    (inputs / "recipe.json").write_text(json.dumps(RECIPE))
    if DATA.exists():
        with tarfile.open(DATA) as archive:
            archive.extractall(inputs, [one for one in archive if KERNELS.fullmatch(one.name)], filter="data")


def run(tree: Path, root: Path, only: Sequence[str]) -> int:
    """Run the commands on a tree, or those that are named. Returns 1 where one failed."""
    prepare(root / "inputs")
    # Tables break lines by the length of paths, and pictures show them: all runs see the same path, one at a time.
    place = Path(tempfile.gettempdir()) / "tilewright-twenty"
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place.unlink(missing_ok=True)
        place.symlink_to(root)
        try:
            return _run(tree, root, place, only)
        finally:
            place.unlink()


def _run(tree: Path, root: Path, place: Path, only: Sequence[str]) -> int:
    paths = {"tree": str(tree), "root": str(root), "place": str(place), "data": str(DATA), "python": sys.executable}
    known: dict[str, object] = {"inputs": place / "inputs", "python": sys.executable}
    known |= {"data": DATA} if DATA.exists() else {}
    # Wide enough for most paths to break no line. Whatever PYTHONPATH says, modules are those of the tree.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"COLUMNS": "400", "TERM": "dumb"}
    failed, total = False, 0.0
    for number, (name, text) in enumerate(table().items(), 1):
        out = place / f"{number:02d}-{name}"
        try:
            steps = [shlex.split(step.format_map(known | {"out": out})) for step in text.split(" && ")]
        except KeyError as missing:
            print(f"{out.name:16} skipped: no {missing.args[0]}", flush=True)
            continue
        known[name] = out
        if only and name not in only:
            continue
        out.mkdir()
        codes, begin = [], resource.getrusage(resource.RUSAGE_CHILDREN)
        with (out / STDOUT).open("w") as said, (out / STDERR).open("w") as told:
            for step in steps:
                made = subprocess.run([sys.executable, *step], cwd=tree, stdout=said, stderr=told, env=environment)
                codes.append(made.returncode)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime
        facts = {"command": text, "exit_codes": codes, "cpu_s": round(spent, 2), "paths": paths}
        (out / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
        print(f"{out.name:16} exit code {','.join(map(str, codes))}, {spent:6.1f} CPU-s", flush=True)
        failed, total = failed or any(codes), total + spent
    print(f"{'all':16} {total:6.1f} CPU-s")
    return int(failed)


class Lines(list[str]):
    """A text for people, in which a later tree may say more."""


class Clean:
    """Makes texts that a command left comparable."""

    def __init__(self, folder: Path) -> None:
        paths: dict[str, str] = json.loads((folder / FACTS).read_text())["paths"]
        words = [(path, "ROOT" if name == "place" else name.upper()) for name, path in paths.items()]
        self.words = sorted(words, key=lambda word: -len(word[0]))

    def text(self, text: str) -> str:
        """Line by line."""
        for path, word in self.words:
            text = text.replace(path, word)
        text = re.sub(r"[ \t\xa0]+", " ", re.sub("─+", "─", text))
        lines = [line.strip() for line in text.split("\n")]
        for pattern, word in SENTENCES:
            lines = [re.sub(pattern, word, line) for line in lines]
        return "\n".join(lines)

    def value(self, value: Any) -> Any:
        """Of what JSON, CSV or a database said."""
        if isinstance(value, Mapping):
            told = {key for key in TIMES & value.keys() if NUMBER.fullmatch(str(value[key] or ""))}
            return {str(key): self.value(one) for key, one in value.items() if key not in VERSIONS | told}
        if isinstance(value, list | tuple):
            return [self.value(one) for one in value]
        if isinstance(value, str):
            try:  # databases and checkpoints keep JSON as text
                return self.value(json.loads(value)) if value[:1] in ("{", "[") else self.text(value)
            except ValueError:
                return self.text(value)
        return value.hex() if isinstance(value, bytes) else value


def reading(path: Path, clean: Clean) -> Any:
    """What is compared of a file."""
    if path.suffix == ".sqlite":
        return _database(path, clean)
    data = path.read_bytes()
    if path.suffix == ".safetensors":
        return _tensors(data, clean)
    if path.suffix in (".png", ".parquet"):
        return f"{len(data)} bytes, digest {_digest(data)}"
    text = data.decode()
    if path.suffix == ".json":
        return clean.value(json.loads(text))
    if path.suffix == ".csv":
        return clean.value(list(csv.DictReader(text.splitlines())))
    if path.suffix == ".html":
        text = re.sub(r"<(script|style|svg)\b.*?</\1>", "", text, flags=re.DOTALL)
        text = html.unescape(re.sub(r"<[^>]*>", "\n", text))
        return Lines(line for line in clean.text(text).split("\n") if line)
    lines = clean.text(text).split("\n")
    return lines if path.suffix in (".svg", ".gv") else Lines(lines)


def _database(path: Path, clean: Clean) -> dict[str, Any]:
    """Tables in the order of their first column; those of a name and a value by name."""
    found: dict[str, Any] = {}
    whole = not path.with_name(path.name + "-wal").exists()  # then nothing is written beside it
    base = sqlite3.connect(f"file:{path}?mode=ro&immutable={whole:d}", uri=True)
    for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
        cursor = base.execute(f'SELECT * FROM "{name}" ORDER BY 1')
        columns = [column for column, *_ in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor]
        named = {"name", "value"} <= set(columns)
        found[name] = clean.value({row["name"]: row["value"] for row in rows} if named else rows)
    base.close()
    return found


def _tensors(data: bytes, clean: Clean) -> dict[str, Any]:
    """Of the safetensors format: the size of a JSON header, the header, and the bytes of all tensors."""
    begin = 8 + int.from_bytes(data[:8], "little")
    header, found = json.loads(data[8:begin]), dict[str, Any]()
    for name, said in header.items():
        if name == "__metadata__":
            found[name] = clean.value(said)
        else:
            first, end = said["data_offsets"]
            found[name] = {"dtype": said["dtype"], "shape": said["shape"], "digest": _digest(data[begin:][first:end])}
    return found


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


class Found(NamedTuple):
    """Something that differs, or was added, in a file or at a place in one."""

    where: str
    said: str
    added: bool = False


def differences(a: Any, b: Any, where: str) -> Iterator[Found]:
    """What of `a` is not the same in `b`, and what `b` has beside it."""
    if isinstance(a, Lines) and isinstance(b, Lines):
        yield from _lines(a, b, where)
    elif isinstance(a, dict) and isinstance(b, dict):
        yield from (Found(f"{where}.{key}", "is gone") for key in a if key not in b)
        yield from (Found(re.sub(r"\[\d+\]", "[]", f"{where}.{key}"), "", True) for key in b if key not in a)
        for key in [key for key in a if key in b]:
            yield from differences(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        for number, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from differences(one, other, f"{where}[{number}]")
        if len(a) != len(b):
            yield Found(where, f"has {len(a)} rows, then {len(b)}")
    elif type(a) is not type(b) or repr(a) != repr(b):  # NaN is itself, -0.0 is not 0.0
        yield Found(where, f"was {a!r:.160}, is {b!r:.160}")


def _lines(a: Lines, b: Lines, where: str) -> Iterator[Found]:
    rest = iter(b)
    if all(line in rest for line in a):  # in this order
        if len(b) > len(a):
            yield Found(where, f"{len(b) - len(a)} lines", True)
        return
    for number, (one, other) in enumerate(zip_longest(a, b), 1):
        if one != other:
            yield Found(f"{where}, line {number}", f"was {one!r:.160}, is {other!r:.160}")
            return


def compared(a: Path, b: Path) -> Iterator[Found]:
    """All that differs between the folders of one command, file by file."""
    if not all((folder / FACTS).exists() for folder in (a, b)):
        yield Found("", "one of the two has not run it")
        return
    files = [{p.relative_to(f) for p in f.rglob("*") if p.is_file() and p.name not in UNCOMPARED} for f in (a, b)]
    yield from (Found(str(name), "", True) for name in sorted(files[1] - files[0]))
    yield from (Found(str(name), "is gone") for name in sorted(files[0] - files[1]))
    cleans = Clean(a), Clean(b)
    for name in sorted(files[0] & files[1]):
        yield from differences(reading(a / name, cleans[0]), reading(b / name, cleans[1]), str(name))


def compare(a: Path, b: Path) -> int:
    """Print what differs, command by command. Returns 1 where something does."""
    names, odd = sorted({path.parent.name for root in (a, b) for path in root.glob(f"*/{FACTS}")}), 0
    for name in names:
        found = list(compared(a / name, b / name))
        wrong, added = [f for f in found if not f.added], list(dict.fromkeys(f.where for f in found if f.added))
        odd += bool(wrong)
        said = f"differs in {len(wrong)} places: {wrong[0].where} {wrong[0].said}" if wrong else "identical"
        more = f"; added in {len(added)} places: {', '.join(added[:6])}{', ...' * (len(added) > 6)}" if added else ""
        print(f"{name:16} {said}{more}")
    print(f"{len(names) - odd} of {len(names)} commands identical")
    return int(odd > 0 or not names)


def main() -> int:
    """Run the command line."""
    about = "Commands that are compared between trees."
    parser = argparse.ArgumentParser(prog="python -m bench.twenty", description=about)
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("list", help="print the commands")
    asked = kinds.add_parser("run", help="run the commands on a tree")
    asked.add_argument("--tree", type=Path, required=True, help="folder with main.py")
    asked.add_argument("--out", type=Path, required=True, help="folder of what they leave")
    asked.add_argument("--only", default="", help="names of commands, comma-separated")
    pair = kinds.add_parser("compare", help="compare what two runs left")
    pair.add_argument("folders", nargs=2, type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if given.kind == "list":
        print("\n".join(f"{n:02d}-{name}: {text}" for n, (name, text) in enumerate(table().items(), 1)))
        return 0
    if given.kind == "run":
        return run(given.tree.resolve(), given.out.resolve(), [name for name in given.only.split(",") if name])
    return compare(*given.folders)


if __name__ == "__main__":
    sys.exit(main())
