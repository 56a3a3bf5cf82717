"""Which way imports point: `python -m pytest tests/test_layers.py` reads every import of every file.

The packages are floors of a house; a file may import from its own floor and from those below, never in a circle.
A heavy library lives in one place. The rooms of a domain are closed: no other file imports its design objects. Folders
are small, metric names stand in their registry only, and the registry of studies alone decides by the name of a space.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from design.metrics import METRICS
from tests.cases import ROOT

FLOORS = ("ae", "main", "dse", "evaluators", "cost_model", "frontends", "design")  # the top first
# A library -> the files or folders that it may be imported in, and the most files that may do so.
HOMES: dict[str, tuple[tuple[str, ...], int]] = {
    "pymoo": (("dse/search/engine.py",), 1),
    "ray": (("evaluators/",), 1),
    "onnx": (("frontends/",), 1),
    **dict.fromkeys(("pycparser", "pcpp"), (("frontends/c_kernel/",), 1)),
    "matplotlib": (("dse/report/", "ae/"), 1000),
    "networkx": (("dse/report/pictures/nmp/operator_layout.py",), 1),
    "sklearn": (("cost_model/surrogates/tables/",), 1000),
    "crepes": (("cost_model/surrogates/conformal/",), 1),
    "torch": (("cost_model/surrogates/", "cost_model/training/", "frontends/"), 1000),
    **dict.fromkeys(("transformers", "peft"), (("cost_model/surrogates/lm/backbones/", "frontends/"), 1000)),
    "safetensors": (("cost_model/training/checkpoint.py",), 1),
    "pytest": (("design/conformance/pytest_suites.py",), 1),
}
GROUND_FLOOR = ("design", {"numpy", *sys.stdlib_module_names})
FOR_TESTS = "design.conformance.pytest_suites"  # of the ground floor, and needs more; only tests import it


def sources(root: Path) -> dict[str, Path]:
    """Module name -> file, for all Python files on the floors."""
    files = [path for floor in FLOORS for path in (root / floor).rglob("*.py")]
    files += [root / f"{floor}.py" for floor in FLOORS if (root / f"{floor}.py").is_file()]
    found = {}
    for path in files:
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path, known: dict[str, Path]) -> Iterator[tuple[int, str]]:
    """(line, what is imported) of every import anywhere in a file; a module of the house by its own name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                base = ".".join([*package[: len(package) - node.level + 1], *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield node.lineno, inner if inner in known else base
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            names = [word.value for word in node.args[:1] if isinstance(word, ast.Constant)]
            yield from ((node.lineno, str(name)) for name in names)


def complaints(root: Path) -> list[str]:
    """Every import that points up, sits in the wrong place or closes a circle."""
    known = sources(root)
    found: list[str] = []
    arrows: dict[str, set[str]] = {}
    homes: dict[str, set[str]] = {}
    for module, path in known.items():
        place, floor = path.relative_to(root).as_posix(), module.split(".")[0]
        arrows[module] = set()
        for line, target in imports(module, path, known):
            top, where = target.split(".")[0], f"{place}:{line} imports {target}"
            if top in FLOORS:
                if FLOORS.index(top) < FLOORS.index(floor):
                    found.append(f"{where}, which is above it")
                if target not in known:
                    found.append(f"{where}, which is not there")
                elif target != module:
                    arrows[module].add(target)
            elif floor == GROUND_FLOOR[0] and top not in GROUND_FLOOR[1] and (module, top) != (FOR_TESTS, "pytest"):
                found.append(f"{where}; the ground floor has numpy only")
            if target == FOR_TESTS:
                found.append(f"{where}, which is for tests")
            if top == "tests":
                found.append(f"{where}; nothing needs the tests")
            if top in HOMES:
                homes.setdefault(top, set()).add(place)
                if not place.startswith(HOMES[top][0]):
                    found.append(f"{where}, whose home is {' or '.join(HOMES[top][0])}")
    for library, places in homes.items():
        if len(places) > HOMES[library][1]:
            found.append(f"{library} is imported in {', '.join(sorted(places))}; one file is its home")
    learning = set().union(*(homes.get(name, set()) for name in ("torch", "transformers", "peft")))
    exporters = {place for place in learning if place.startswith("frontends/")}
    if len(exporters) > 1:
        found.append(f"{', '.join(sorted(exporters))} import torch or its kin; one export file may")
    return found + [f"{' -> '.join(circle)} is a circle" for circle in circles(arrows)]


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """One way round each circle of modules, from a depth-first walk."""
    found, done, path = [], set(), []  # type: list[list[str]], set[str], list[str]

    def walk(module: str) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in done:
            path.append(module)
            for target in sorted(arrows.get(module, ())):
                walk(target)
            done.add(path.pop())

    for module in sorted(arrows):
        walk(module)
    return found


def test_the_house() -> None:
    """No import of this repository breaks a rule, and there is something to read on the main floors."""
    assert {name.split(".")[0] for name in sources(ROOT)} >= {"main", "dse", "evaluators", "cost_model", "design"}
    assert not complaints(ROOT)


@pytest.mark.parametrize(
    ("start", "late"),
    [
        ("main", {*HOMES, "pandas", "pyarrow", "moocore", "scipy"}),  # --help
        ("dse.run.run", {"matplotlib", "torch", "sklearn", "pandas", "pyarrow", "ray"}),  # a search without a report
    ],
)
def test_heavy_libraries_come_late(start: str, late: set[str]) -> None:
    """What a module imports when it is imported, module level only, leads to none of them."""
    known = sources(ROOT)
    waiting, seen = [start], set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        names = set()
        for node in ast.parse(known[module].read_text()).body:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        assert not {name.split(".")[0] for name in names} & late, module
        waiting += [name for name in names & set(known) if name not in seen]
    assert len(seen) > 1


CLEAN = {
    "main.py": "import dse.search.engine\nimport argparse\n",
    "ae/plot.py": "import main\nimport matplotlib.pyplot\n",
    "dse/__init__.py": "",
    "dse/search/__init__.py": "",
    "dse/search/engine.py": "from evaluators import roofline\n\ndef f():\n    import pymoo.core\n",
    "dse/report/__init__.py": "",
    "dse/report/figure.py": "import matplotlib\nfrom ..search import engine\n",
    "evaluators/__init__.py": "",
    "evaluators/roofline.py": "from design.core import x\n",
    "evaluators/pool.py": "import ray\nfrom . import roofline\n",
    "cost_model/__init__.py": "",
    "cost_model/surrogates/lm/backbones/causal.py": "import torch, transformers, peft\nimport frontends.hf\n",
    "frontends/__init__.py": "",
    "frontends/hf.py": "import torch\nimport design\n",
    "frontends/graphs.py": "import onnx\n",
    "design/__init__.py": "",
    "design/core.py": "import json\nimport numpy.typing\nfrom . import other\n",
    "design/other.py": "",
    "design/conformance/__init__.py": "",
    "design/conformance/laws.py": "import design.core\n",
    "design/conformance/pytest_suites.py": "import pytest\nimport numpy\nfrom design.conformance import laws\n",
    "tests/test_x.py": "import pymoo, dse.search.engine\n",
}


def house(folder: Path, changes: dict[str, str]) -> Path:
    """The clean house with some files changed or added."""
    for name, text in (CLEAN | changes).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_clean_house_is_clean(tmp_path: Path) -> None:
    """The checker has nothing to say."""
    assert complaints(house(tmp_path, {})) == []


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("design/other.py", "import frontends.hf", "which is above it"),
        ("design/other.py", "def f():\n    from dse.search import engine", "which is above it"),
        ("cost_model/surrogates/lm/backbones/causal.py", "from evaluators.roofline import x", "which is above it"),
        ("evaluators/roofline.py", "if TYPE_CHECKING:\n    import dse.search.engine", "which is above it"),
        ("dse/search/engine.py", "import main", "which is above it"),
        ("main.py", "import ae.plot", "which is above it"),
        ("frontends/hf.py", "import importlib\nimportlib.import_module('dse.search.engine')", "which is above it"),
        ("frontends/hf.py", "__import__('dse.search.engine')", "which is above it"),
        ("main.py", "import dse.absent", "which is not there"),
        ("main.py", "import tests.test_x", "nothing needs the tests"),
        ("design/other.py", "import pandas", "the ground floor has numpy only"),
        ("design/other.py", "import pytest", "the ground floor has numpy only"),
        ("design/conformance/laws.py", "import pytest", "the ground floor has numpy only"),
        ("design/conformance/pytest_suites.py", "import pytest\nimport pandas", "the ground floor has numpy only"),
        ("design/conformance/laws.py", "from design.conformance import pytest_suites", "which is for tests"),
        ("dse/search/engine.py", "from design.conformance.pytest_suites import x", "which is for tests"),
        ("dse/search/engine.py", "import pytest", "whose home is design/conformance/pytest_suites.py"),
        ("dse/search/engine.py", "import design.conformance.laws", ""),
        ("design/other.py", "from .core import x", "is a circle"),
        ("design/other.py", "from design import core", "is a circle"),
        ("evaluators/roofline.py", "def f():\n    from evaluators.pool import x", "is a circle"),
        ("evaluators/__init__.py", "from .roofline import x\n", ""),
        ("evaluators/roofline.py", "from evaluators import name", ""),
        ("dse/archive.py", "def f():\n    from pymoo.core import x", "whose home is dse/search/engine.py"),
        ("ae/plot.py", "import pymoo", "whose home is dse/search/engine.py"),
        ("evaluators/other.py", "import ray", "one file is its home"),
        ("dse/search/engine.py", "import ray", "whose home is evaluators/"),
        (
            "evaluators/pool.py",
            "import torch",
            "whose home is cost_model/surrogates/ or cost_model/training/ or frontends/",
        ),
        (
            "cost_model/surrogates/lm.py",
            "import peft",
            "whose home is cost_model/surrogates/lm/backbones/ or frontends/",
        ),
        ("cost_model/surrogates/lm/store.py", "import safetensors", "whose home is cost_model/training/checkpoint.py"),
        ("frontends/more.py", "import peft", "one export file may"),
        ("frontends/more.py", "from onnx import x", "one file is its home"),
        ("cost_model/surrogates/lm/backbones/causal.py", "import onnx", "whose home is frontends/"),
        ("frontends/more.py", "import pycparser.c_ast", "whose home is frontends/c_kernel/"),
        ("dse/archive.py", "import matplotlib.pyplot as plt", "whose home is dse/report/ or ae/"),
        ("main.py", "from matplotlib import pyplot", "whose home is dse/report/ or ae/"),
    ],
)
def test_a_broken_rule_is_seen(name: str, text: str, word: str, tmp_path: Path) -> None:
    """Each rule broken in one file is complained about (and nothing is, where no rule is broken)."""
    found = complaints(house(tmp_path, {name: text}))
    assert any(word in line for line in found) if word else not found, found


def test_a_circle_through_three_files(tmp_path: Path) -> None:
    """Longer circles are found too, and named."""
    changes = {"dse/a.py": "import dse.b", "dse/b.py": "from dse import c", "dse/c.py": "from .a import x"}
    assert complaints(house(tmp_path, changes)) == ["dse.a -> dse.b -> dse.c -> dse.a is a circle"]


DOMAINS = ("nmp", "hls")  # rooms by the name of a space
# Data sets that ship with a domain's experiments are read where they are run.
AT_HOME_TOO = {"hls": ("ae/loop/",), "nmp": ("ae/h2llm/",)}
MOST_FILES = 15  # Python files of a folder
DSE_CHILDREN, DSE_PAIRS = 11, 35  # folders and files directly in dse/, and pairs of them of which one imports the other


def domain_leaks(root: Path) -> list[str]:
    """Every file outside a domain's rooms that imports the domain's design objects."""
    known, found = sources(root), []
    for module, path in known.items():
        parts, place = module.split("."), path.relative_to(root).as_posix()
        for line, target in imports(module, path, known):
            for domain in DOMAINS:
                own = domain in parts or parts[0] == "frontends" or place.startswith(AT_HOME_TOO[domain])
                if target.startswith(f"design.{domain}") and not own:
                    found.append(f"{place}:{line} imports {target}, which only rooms of {domain} may")
    return found


def test_rooms_of_a_domain_are_closed(tmp_path: Path) -> None:
    """Nothing outside a domain's rooms sees it; a leak is seen."""
    assert not domain_leaks(ROOT)
    leaky = {"design/hls/__init__.py": "", "evaluators/roofline.py": "import design.hls\n"}
    assert "which only rooms of hls may" in domain_leaks(house(tmp_path, leaky))[0]


def pairs_in(root: Path, package: str) -> set[tuple[str, str]]:
    """Pairs of what stands directly in a package, of which the first imports the second."""
    known = sources(root)
    found = set()
    for module, path in known.items():
        if module.startswith(f"{package}."):
            for _, target in imports(module, path, known):
                if target.startswith(f"{package}.") and target in known:
                    found.add((module.split(".")[1], target.split(".")[1]))
    return {pair for pair in found if pair[0] != pair[1]}


def test_dse_has_few_rooms_with_few_doors() -> None:
    """A reader keeps the map of `dse/` in mind."""
    children = [path for path in (ROOT / "dse").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(children) <= DSE_CHILDREN, sorted(path.name for path in children)
    pairs = pairs_in(ROOT, "dse")
    assert 10 < len(pairs) <= DSE_PAIRS, sorted(pairs)


def test_folders_are_small() -> None:
    """No room holds more than can be taken in at a glance; the tests' rooms neither."""
    folders = {path.parent for path in sources(ROOT).values()} | {
        path.parent for path in (ROOT / "tests").rglob("*.py")
    }
    counts = {folder.relative_to(ROOT).as_posix(): len(list(folder.glob("*.py"))) for folder in folders}
    assert not {folder: count for folder, count in counts.items() if count > MOST_FILES}


def metric_lists(path: Path) -> list[int]:
    """Lines of a file on which a tuple, list or set names two metrics or more."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            words = [word.value for word in node.elts if isinstance(word, ast.Constant)]
            if sum(isinstance(word, str) and word in METRICS for word in words) > 1:
                found.append(node.lineno)
    return found


def test_metric_names_stand_in_the_registry(tmp_path: Path) -> None:
    """Columns, floors and targets follow from design/metrics.py: no second list of metrics can contradict it."""
    files = {path.relative_to(ROOT).as_posix(): path for path in sources(ROOT).values()}
    lists = {name: lines for name, path in files.items() if (lines := metric_lists(path))}
    assert set(lists) == {"design/metrics.py"}, lists
    (tmp_path / "x.py").write_text("NAMES = ('cycles', 'lut')\n")
    assert metric_lists(tmp_path / "x.py") == [1]


def space_checks(path: Path) -> list[int]:
    """Lines of a file that compare a space with the name of one."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            words = {word.value for word in ast.walk(node) if isinstance(word, ast.Constant)}
            if words & set(DOMAINS) and "space" in ast.unparse(node):
                found.append(node.lineno)
    return found


def test_only_the_registry_knows_spaces_by_name(tmp_path: Path) -> None:
    """What depends on the kind of design is the study's own."""
    found = {str(path): lines for path in sources(ROOT).values() if (lines := space_checks(path))}
    assert not found
    (tmp_path / "x.py").write_text("if settings['space'] == 'hls':\n    pass\n")
    assert space_checks(tmp_path / "x.py") == [1]


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py")))
def test_measures_follow_what_they_measure(name: str) -> None:
    """Nothing else imports them, so that nothing else would notice."""
    assert importlib.import_module(f"bench.{name}").__doc__
