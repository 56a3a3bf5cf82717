"""Exploration from Python: the printed example, what a front is, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design.errors import InputError
from design.nmp.device import HardwareSpace, Platform, Processors
from dse.studies.nmp import library
from dse.studies.nmp.library import Front, explore_designs, load_layer
from tests.cases import ROOT, all_equal
from tests.dse.nmp.small import BUFFERED, FAST, LAYER, PLATFORM, SLOW, devices

MODEL = ROOT / "config" / "llama3-8b"
CHOICES = devices((1, 2, 3), (FAST, SLOW), (1, 4), (1, 4), (1, 8))


def explored(**changes: Any) -> Front:
    """A small front of three objectives."""
    given: dict[str, Any] = {"generations": 4, "population": 30, "seed": 5, "platform": PLATFORM} | changes
    return explore_designs(LAYER, CHOICES, **given)


def values(front: Front) -> list[tuple[float, ...]]:
    """Its points, one a design."""
    table = [front.evaluation.metrics[objective.metric] for objective in front.objectives]
    return [tuple(row) for row in np.stack(table, axis=1).tolist()]


def non_dominated(points: list[tuple[float, ...]]) -> bool:
    """Whether no point is as good as another in everything, all to be minimised."""
    pairs = [(a, b) for i, a in enumerate(points) for j, b in enumerate(points) if i != j]
    return not any(all(x <= y for x, y in zip(a, b, strict=True)) for a, b in pairs)


def test_the_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The code that the module begins with runs as printed, but for its patience."""
    assert library.__doc__ is not None
    _, code = library.__doc__.split("\n\n", 1)
    assert code.count("generations=20") == 1
    monkeypatch.chdir(ROOT)
    known: dict[str, Any] = {}
    exec(code.replace("generations=20", "generations=2"), known)
    front, layer = known["front"], known["layer"]
    assert (layer.name, layer.batch, layer.prompt, layer.generated, layer.layers) == ("llama3-8b", 4, 783, 209, 32)
    assert len(front) > 3 and non_dominated(values(front))
    assert set(front.designs.columns["nmp_channels"].tolist()) <= {4, 6, 8}
    lines = capsys.readouterr().out.splitlines()
    assert lines == str(front).splitlines() and len(lines) == 1 + len(front)


def test_a_front() -> None:
    """Feasible designs of the space that none other is better than; the values are the evaluator's."""
    front = explored()
    points = values(front)
    assert len(front) == len(points) > 3 and non_dominated(points)
    assert points == sorted(points)
    again = BUFFERED.evaluate(front.designs, seed=0)
    assert (again.status == 0).all()
    assert all(np.array_equal(again.metrics[name], front.evaluation.metrics[name]) for name in again.metrics)
    for name, choices in (("nmp_channels", CHOICES.nmp_channels), ("input_kb", CHOICES.input_kb)):
        assert set(front.designs.columns[name].tolist()) <= set(choices)


def test_in_words() -> None:
    """A heading with the objectives, then a line a design: its values, and what it is."""
    front = explored(objectives="edp,max:power_w")
    heading, *lines = str(front).splitlines()
    assert heading.split() == ["edp", "power_w", "design"]
    assert len(lines) == len(front) > 1
    for row, line in enumerate(lines):
        energy, latency = (front.evaluation.metrics[name][row] for name in ("energy_j", "latency_s"))
        said = line.split()
        assert [float(word) for word in said[:2]] == pytest.approx([energy * latency, energy / latency], rel=1e-5)
        assert line.endswith(front.designs.schema.text(front.designs, row))
    assert [objective.goal for objective in front.objectives] == ["min", "max"]


def test_one_objective_has_one_design() -> None:
    """The front of one objective is its best design, at most that of a short run."""
    short, long = (explored(objectives="energy_j", generations=g) for g in (1, 6))
    assert len(short) == len(long) == 1
    assert values(long)[0] < values(short)[0]


def test_same_seed_same_front() -> None:
    """Bit for bit; another seed finds another."""
    first, second, other = explored(), explored(), explored(seed=6)
    assert all_equal(first.designs, second.designs) and str(first) == str(second)
    assert str(first) != str(other)


def test_nothing_feasible() -> None:
    """A machine too small: a front of no designs, which is a heading in words."""
    front = explored(platform=Platform(total_channels=4, bank_bytes=1))
    assert len(front) == 0 and len(str(front).splitlines()) == 1


def test_other_constants(tmp_path: Path) -> None:
    """The front is priced with the constants of the file that is named."""
    table = json.loads(library.TECHNOLOGY.read_text(encoding="utf-8"))
    for row in table["rows"]:
        if "um2" in row["name"]:
            row |= {key: 2 * row[key] for key in ("low", "value", "high")}
    path = tmp_path / "technology.json"
    path.write_text(json.dumps(table), encoding="utf-8")
    least = [min(values(explored(objectives="area_mm2", technology=t)))[0] for t in (library.TECHNOLOGY, path)]
    assert least[1] == pytest.approx(2 * least[0], rel=1e-12)


def model(folder: Path, **files: str) -> Path:
    """A folder of a model with some of its files replaced."""
    for name in ("shape", "operator_graph"):
        text = files.get(name, (MODEL / f"{name}.json").read_text(encoding="utf-8"))
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return folder


def test_a_layer() -> None:
    """Named by its folder, however that is written; used as asked."""
    layer = load_layer(MODEL / ".." / "llama3-8b", batch=3, prompt=10, generated=5, max_seq_len=12, precision="int8")
    assert (layer.name, layer.batch, layer.prompt, layer.generated) == ("llama3-8b", 3, 10, 5)
    assert (layer.max_context, layer.bytes_per_element, layer.layers) == (12, 1.0, 32)
    assert layer.operators[3].decode.N == 12


@pytest.mark.parametrize(
    ("files", "culprit"),
    [
        ({"shape": "{}"}, "shape.json"),
        ({"shape": "nonsense"}, "shape.json"),
        ({"operator_graph": "[]"}, "operator_graph.json"),
        ({"operator_graph": '{"node": {"q": 0}, "edge": [[0, 0]]}'}, "cycle"),
    ],
)
def test_broken_models(files: dict[str, str], culprit: str, tmp_path: Path) -> None:
    """Refused with the file's name."""
    with pytest.raises(InputError, match=culprit):
        load_layer(model(tmp_path, **files))
    with pytest.raises(InputError, match=r"shape\.json"):
        load_layer(tmp_path / "none")


@pytest.mark.parametrize(
    "usage",
    [{"batch": 0}, {"batch": -1}, {"prompt": 0}, {"prompt": 4096}, {"generated": -5}, {"precision": "fp64"}],
    ids=str,
)
def test_impossible_uses(usage: dict[str, Any]) -> None:
    """A use that no model can be put to is refused as unusable input too."""
    with pytest.raises(InputError):
        load_layer(MODEL, **usage)


@pytest.mark.parametrize(
    "changes",
    [
        {"objectives": "beauty"},
        {"objectives": "latency_s,latency_s"},
        {"technology": "no/such.json"},
        {"platform": Platform(total_channels=2)},
    ],
    ids=str,
)
def test_impossible_explorations(changes: dict[str, Any]) -> None:
    """Unknown objectives, no constants, more NMP channels than channels."""
    with pytest.raises(InputError):
        explored(**changes)


def test_devices_of_another_machine() -> None:
    """The default machine has 8 channels; a platform of 12 may have 10 of them near memory."""
    ten = HardwareSpace((10,), (Processors(8, 600, 25.6),), (4,), (4,), (8,))
    with pytest.raises(InputError, match="10 NMP channels"):
        explore_designs(LAYER, ten, generations=1, population=4)
    front = explore_designs(LAYER, ten, generations=1, population=10, platform=Platform(total_channels=12))
    assert (front.designs.columns["nmp_channels"] == 10).all() and len(front) > 0
