"""Which way imports point: `python -m pytest tests/test_layers.py` reads every import of every file.

The packages are floors of a house; a file may import from its own floor and from those below, never in a circle.
A heavy library lives in one place.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    **dict.fromkeys(("torch", "transformers", "peft"), (("cost_model/", "frontends/"), 1000)),
}
GROUND_FLOOR = ("design", {"numpy", *sys.stdlib_module_names})


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
            elif floor == GROUND_FLOOR[0] and top not in GROUND_FLOOR[1]:
                found.append(f"{where}; the ground floor has numpy only")
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


def test_help_needs_no_heavy_library() -> None:
    """What `main` imports when it is imported, module level only, leads to no heavy library."""
    known = sources(ROOT)
    waiting, seen = ["main"], set()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        names = set()
        for node in ast.parse(known[module].read_text()).body:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        assert not {name.split(".")[0] for name in names} & {*HOMES, "pandas", "pyarrow", "moocore", "scipy"}, module
        waiting += [name for name in names & set(known) if name not in seen]
    assert len(seen) > 1


CLEAN = {
    "main.py": "import dse.engine\nimport argparse\n",
    "ae/plot.py": "import main\nimport matplotlib.pyplot\n",
    "dse/__init__.py": "",
    "dse/engine.py": "from evaluators import roofline\n\ndef f():\n    import pymoo.core\n",
    "dse/report/__init__.py": "",
    "dse/report/figure.py": "import matplotlib\nfrom .. import engine\n",
    "evaluators/__init__.py": "",
    "evaluators/roofline.py": "from design.core import x\n",
    "evaluators/pool.py": "import ray\nfrom . import roofline\n",
    "cost_model/__init__.py": "",
    "cost_model/lm.py": "import torch, transformers, peft\nimport frontends.hf\n",
    "frontends/__init__.py": "",
    "frontends/hf.py": "import torch\nimport design\n",
    "frontends/graphs.py": "import onnx\n",
    "design/__init__.py": "",
    "design/core.py": "import json\nimport numpy.typing\nfrom . import other\n",
    "design/other.py": "",
    "tests/test_x.py": "import pymoo, dse.engine\n",
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
        ("design/other.py", "def f():\n    from dse import engine", "which is above it"),
        ("cost_model/lm.py", "from evaluators.roofline import x", "which is above it"),
        ("evaluators/roofline.py", "if TYPE_CHECKING:\n    import dse.engine", "which is above it"),
        ("dse/engine.py", "import main", "which is above it"),
        ("main.py", "import ae.plot", "which is above it"),
        ("frontends/hf.py", "import importlib\nimportlib.import_module('dse.engine')", "which is above it"),
        ("frontends/hf.py", "__import__('dse.engine')", "which is above it"),
        ("main.py", "import dse.absent", "which is not there"),
        ("main.py", "import tests.test_x", "nothing needs the tests"),
        ("design/other.py", "import pandas", "the ground floor has numpy only"),
        ("design/other.py", "from .core import x", "is a circle"),
        ("design/other.py", "from design import core", "is a circle"),
        ("evaluators/roofline.py", "def f():\n    from evaluators.pool import x", "is a circle"),
        ("evaluators/__init__.py", "from .roofline import x\n", ""),
        ("evaluators/roofline.py", "from evaluators import name", ""),
        ("dse/archive.py", "def f():\n    from pymoo.core import x", "whose home is dse/engine.py"),
        ("ae/plot.py", "import pymoo", "whose home is dse/engine.py"),
        ("evaluators/other.py", "import ray", "one file is its home"),
        ("dse/engine.py", "import ray", "whose home is evaluators/"),
        ("evaluators/pool.py", "import torch", "whose home is cost_model/ or frontends/"),
        ("frontends/more.py", "import peft", "one export file may"),
        ("frontends/more.py", "from onnx import x", "one file is its home"),
        ("cost_model/lm.py", "import onnx", "whose home is frontends/"),
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
