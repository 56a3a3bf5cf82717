"""What a run answers beside its front: proof, whole-model figures, operators, sensitivity, constants, polish."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design.core import Batch, Status, key_bytes
from dse.options import read_settings
from dse.records.store import LATER, Store
from dse.run.run import POLISHED
from dse.studies.nmp.exact.prove import prove
from dse.studies.nmp.problem import NmpProblem, build
from main import main

ROOT = Path(__file__).resolve().parents[2]
LAYERS, BATCH, TOKENS = 32, 4, 209  # of LLaMA3-8B in use
USE = ["--model-type", "llama", "--input-seq-len", "783", "--max-gen-len", str(TOKENS), "--max-batch-size", str(BATCH)]
BUFFERS = ["--input-buffer-size-space", "32", "--weight-buffer-size-space", "32"]
BUFFERS += ["--output-buffer-total-size-space", "64"]
DEVICE = ["--nmp-channel-num-space", "6", "--fpu-pe-bw-space", "(8,600,25.6)", *BUFFERS]
REFERENCE = [*USE, *DEVICE]
SHORT = ["--num-generations", "1", "--population-num-per-generation", "4"]
FIXED = ["--is-dataflow-fixed", "fc_offloading"]
FIGURES = ("ttft_s", "token_s", "tokens_per_s", "answer_s", "joule_per_token", "watts", "area_mm2")
RESULTS = {"run.sqlite", "result.log", "summary.json", "settings.yaml", "report.html", "front.csv", "front.json"}
BASE = {"nmp_channels": 6, "fpus": 8, "mhz": 600, "pe_gbps": 25.6, "input_kb": 32, "weight_kb": 32, "output_kb": 64}


pytestmark = pytest.mark.usefixtures("at_root")


def answer(folder: Path, *arguments: str) -> dict[str, Any]:
    """The summary of a run that ends well."""
    assert main([*arguments, "--dse-output-dir", str(folder)]) == 0
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return found


def refused(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which the program refuses."""
    assert main([*arguments]) == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1, error
    return error


def problem_of(*arguments: str) -> NmpProblem:
    """What these arguments set up."""
    given = {name[2:]: (name, text) for name, text in zip(arguments[::2], arguments[1::2], strict=True)}
    return build(read_settings(given))


def stored(folder: Path, problem: NmpProblem) -> tuple[list[dict[str, Any]], Batch]:
    """The candidates of a run: their rows in the store, and the designs that the genomes there stand for."""
    store = Store.open(folder / "run.sqlite")
    names, rows = store.candidates()
    batch = problem.space.decode(store.genomes())
    store.close()
    return [dict(zip(names, row, strict=True)) for row in rows], batch


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The reference device after four designs, with all that can be said of it: its summary and its folder."""
    folder = tmp_path_factory.mktemp("full")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return answer(folder, *REFERENCE, *SHORT, "--report", "full"), folder


@pytest.fixture(scope="module")
def reference() -> NmpProblem:
    """What that run explored."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return problem_of(*REFERENCE)


Full = tuple[dict[str, Any], Path]


def test_proof_of_the_reference(full: Full, reference: NmpProblem) -> None:
    """The bound and the best design meet, where the solver, starting from nothing, sees the optimum."""
    summary, _ = full
    assert -1e-12 <= summary["gap"] <= 1e-9
    best = summary["best"]["metrics"]["latency_s"]
    assert summary["gap"] == pytest.approx(best / summary["lower_bound"] - 1, abs=1e-12)
    space = reference.space
    device = space.genes.decode(np.zeros((1, 5), dtype=np.int64))  # type: ignore[attr-defined]
    proof = prove(space, reference.evaluator, device, "latency_s")  # type: ignore[arg-type]
    assert proof.value == pytest.approx(best, rel=1e-9) and proof.lower_bound == pytest.approx(best, rel=1e-9)
    sample = reference.evaluator.evaluate(space.decode(space.sample(2000, np.random.default_rng(0))), seed=0)
    assert sample.metrics["latency_s"][sample.status == Status.OK].min() >= summary["lower_bound"]
    assert "this device" in summary["bound"]


def test_a_polished_run(full: Full, reference: NmpProblem) -> None:
    """Files, store and summary agree on the solver's design: one candidate more, in a generation of its own."""
    summary, folder = full
    assert summary["ended"] == "all generations done, then polished by the exact solver"
    assert summary["candidates"] == 5 and summary["best"]["id"] == 4 and len(summary["front"]) == 1
    rows, batch = stored(folder, reference)
    assert [row["id"] for row in rows] == [0, 1, 2, 3, 4] and [row["generation"] for row in rows] == [0, 0, 0, 0, LATER]
    last = {name: rows[4][name] for name in ("latency_s", "prefill_s", "decode_s")}
    assert last == summary["best"]["metrics"] and rows[4]["status"] == "OK"
    assert all(row["latency_s"] > last["latency_s"] for row in rows[:4] if row["status"] == "OK")
    again = reference.evaluator.evaluate(batch, seed=0).metrics["latency_s"]
    assert again.tolist() == [row["latency_s"] for row in rows]
    keys = key_bytes(reference.space.schema.key(batch))
    assert [key.hex().upper() for key in keys] == [row["key"] for row in rows]
    text = batch.schema.text(batch, 4)
    log = (folder / "result.log").read_text().splitlines()
    assert log == [
        f"Best idv latency is {last['latency_s']!r} (per layer).",
        f"Prefill latency is {last['prefill_s']!r} (per layer).",
        f"Decoding latency is {last['decode_s']!r} (per layer).",
        f"Design: {text}",
    ]
    assert summary["best"]["design"] == text and summary["best"]["hardware"] == BASE
    (front,) = json.loads((folder / "front.json").read_text())
    assert front["id"] == 4 and front["latency_s"] == last["latency_s"]
    assert {path.name for path in folder.iterdir()} >= RESULTS


def test_whole_model_figures_by_hand(full: Full, reference: NmpProblem) -> None:
    """Metrics of a layer, times 32, over 209 tokens of 4 sequences; energy and area by the buffered evaluator, which
    also says its own times of the same design."""
    summary, folder = full
    metrics, model = summary["best"]["metrics"], summary["model"]
    _, batch = stored(folder, reference)
    found = reference.physical.evaluate(batch.take(np.array([4])), seed=0).metrics
    physics = {name: float(values[0]) for name, values in found.items()}
    assert reference.physical.name == "buffered" and physics["latency_s"] != metrics["latency_s"]
    expected = {
        "layers": LAYERS,
        "ttft_s": LAYERS * metrics["prefill_s"],
        "token_s": LAYERS * metrics["decode_s"] / TOKENS,
        "tokens_per_s": BATCH * TOKENS / (LAYERS * metrics["decode_s"]),
        "answer_s": LAYERS * metrics["latency_s"],
        "joule_per_token": LAYERS * physics["energy_j"] / (TOKENS * BATCH),
        "watts": physics["energy_j"] / physics["latency_s"],
        "area_mm2": physics["area_mm2"],
    }
    assert model.pop("energy_and_area_by") == "buffered"
    assert model == pytest.approx(expected, rel=1e-12, abs=0)
    second = expected | {
        "ttft_s": LAYERS * physics["prefill_s"],
        "token_s": LAYERS * physics["decode_s"] / TOKENS,
        "tokens_per_s": BATCH * TOKENS / (LAYERS * physics["decode_s"]),
        "answer_s": LAYERS * physics["latency_s"],
    }
    assert summary["model_by_buffered"] == pytest.approx(second, rel=1e-12, abs=0)


def test_operators_and_description(full: Full) -> None:
    """The accounts add up to the design's metrics, and the words name its parts."""
    best = full[0]["best"]
    operators = best["operators"]
    assert [op["operator"] for op in operators] == [op["operator"] for op in best["dataflow"]]
    for name in ("prefill_s", "decode_s"):
        assert sum(op[name] for op in operators) == pytest.approx(best["metrics"][name], rel=1e-12)
    text, total = best["description"], best["metrics"]["latency_s"]
    assert "6 of 8 memory channels" in text and "The other 2 channels" in text and "25.6 GB/s" in text
    top = max(operators, key=lambda op: op["prefill_s"] + op["decode_s"])
    assert f"{top['operator']} takes most, {(top['prefill_s'] + top['decode_s']) / total:.0%}" in text
    assert f"Prefill takes {best['metrics']['prefill_s'] / total:.0%}" in text
    for op in best["dataflow"]:
        assert re.search(rf"\b{op['operator']} on ", text)
        if op["nmp_units"] and op["npu_units"]:
            assert f"({op['nmp_units']} of {op['nmp_units'] + op['npu_units']} " in text


def test_sensitivity_of_the_reference(full: Full) -> None:
    """Two steps a parameter, none of which can make a device with less of something faster."""
    summary, _ = full
    steps = summary["sensitivity"]
    best = summary["best"]["metrics"]["latency_s"]
    assert [(step["parameter"], step["before"]) for step in steps] == [
        (name, BASE[name]) for name in BASE for _ in "ab"
    ]
    for down, up in zip(steps[::2], steps[1::2], strict=True):
        assert down["after"] < down["before"] == up["before"] < up["after"]
        # The gap of a step is that of branch and bound.
        assert up["metrics"]["latency_s"] <= best * (1 + 2e-4) and best <= down["metrics"]["latency_s"] * (1 + 2e-4)
    changed = {step["parameter"] for step in steps if abs(step["metrics"]["latency_s"] / best - 1) > 0.01}
    assert {"nmp_channels", "pe_gbps"} <= changed <= {"nmp_channels", "pe_gbps", "fpus", "mhz"}


def test_a_brief_report(tmp_path: Path) -> None:
    """No proof, no steps, no constants; the figures, the operators and the words are there."""
    summary = answer(tmp_path, *REFERENCE, *SHORT, "--report", "brief")
    assert summary["sensitivity"] == summary["constants"] == [] and summary["candidates"] == 4
    assert summary["lower_bound"] is summary["gap"] is None and "--report full" in summary["bound"]
    assert summary["ended"] == "all generations done"
    assert (
        summary["model"]["layers"] == 32 and len(summary["best"]["operators"]) == 9 and summary["best"]["description"]
    )


def test_exact_on_two_devices(full: Full, tmp_path: Path) -> None:
    """The optimum of both is the reference's, on more channels; the smaller device need not be shown."""
    arguments = [*REFERENCE, "--nmp-channel-num-space", "4,6", "--algorithm", "exact", "--report", "brief"]
    summary = answer(tmp_path, *arguments)
    assert summary["best"]["hardware"] == BASE and 1 <= summary["candidates"] <= 2
    assert summary["best"]["metrics"]["latency_s"] == pytest.approx(full[0]["best"]["metrics"]["latency_s"], rel=1e-9)
    assert -1e-12 <= summary["gap"] <= 1e-9 and "every device" in summary["bound"]
    assert summary["ended"] == "no new designs to try"


def test_exact_on_a_fixed_dataflow(tmp_path: Path) -> None:
    """All hardware is tried, whatever the objective and however short the run should be."""
    arguments = [*USE, *FIXED, *BUFFERS, *SHORT, "--nmp-channel-num-space", "2,4,6", "--report", "brief"]
    summary = answer(tmp_path, *arguments, "--algorithm", "exact", "--objectives", "energy_j")
    assert summary["candidates"] == 48 and "every design" in summary["bound"]
    rows = json.loads((tmp_path / "front.json").read_text())
    assert summary["lower_bound"] == rows[0]["energy_j"] == summary["best"]["metrics"]["energy_j"]
    assert summary["gap"] == 0 and summary["model_by_buffered"] is None


@pytest.mark.parametrize("objectives", ["latency_s,energy_j", "prefill_s,decode_s", "energy_j", "max:latency_s", "edp"])
def test_exact_refuses(objectives: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Several objectives, or one that the solver does not know: one line, exit code 2, nothing written."""
    run = tmp_path / "run"
    exact = ["--algorithm", "exact", "--objectives", objectives, "--dse-output-dir", str(run)]
    assert objectives in refused(capfd, *REFERENCE, *exact) and not run.exists()


TABLE = json.loads((ROOT / "config/technology/hybrid-bonding.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", [None, "", "[1]", json.dumps(TABLE | {"rows": TABLE["rows"][1:]})])
@pytest.mark.parametrize("evaluator", ["roofline", "buffered"])
def test_broken_constants(text: str | None, evaluator: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, or is no such file: one line that names it, exit code 2, nothing written."""
    path, run = tmp_path / "technology.json", tmp_path / "run"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    arguments = ["--technology", str(path), "--evaluator", evaluator, "--dse-output-dir", str(run)]
    assert str(path) in refused(capfd, *REFERENCE, *SHORT, *arguments) and not run.exists()


MANY = [*USE, *FIXED, *BUFFERS, "--nmp-channel-num-space", "2,4,6,8"]


def test_front_at_the_ends_of_the_constants(tmp_path: Path) -> None:
    """A picture, and how much of the front stays at either end: counted again over all hardware."""
    summary = answer(tmp_path, *MANY, "--objectives", "energy_j,area_mm2", "--report", "full")
    assert (tmp_path / "pictures" / "constants.png").read_bytes().startswith(b"\x89PNG")
    assert "every design" in summary["bound"] and summary["candidates"] == 64
    problem = problem_of(*MANY, "--objectives", "energy_j,area_mm2")
    rows, batch = stored(tmp_path, problem)
    nominal = [design["id"] for design in summary["front"]]
    assert len(rows) == 64 and len(nominal) > 1 and [end["end"] for end in summary["constants"]] == ["low", "high"]
    for said in summary["constants"]:
        metrics = problem.evaluator_at(said["end"]).evaluate(batch, seed=0).metrics
        points = list(zip(metrics["energy_j"].tolist(), metrics["area_mm2"].tolist(), strict=True))
        best = [p for p in points if not any(o != p and o[0] <= p[0] and o[1] <= p[1] for o in points)]
        kept = sum(points[row] in best for row in nominal)
        assert said == said | {"designs": len(nominal), "still_on_the_front": kept, "front": len(set(best))}
    model, metrics = summary["model"], summary["best"]["metrics"]
    assert summary["model_by_buffered"] is None and model["energy_and_area_by"] == "buffered"
    figures = {
        "joule_per_token": LAYERS * metrics["energy_j"] / (TOKENS * BATCH),
        "watts": metrics["energy_j"] / metrics["latency_s"],
        "area_mm2": metrics["area_mm2"],
        "ttft_s": LAYERS * metrics["prefill_s"],
    }
    assert {name: model[name] for name in figures} == pytest.approx(figures, rel=1e-12, abs=0)


def test_no_ends_of_the_constants(tmp_path: Path) -> None:
    """Times do not depend on the constants."""
    objectives = ["--objectives", "latency_s,prefill_s", "--report", "full"]
    summary = answer(tmp_path, *REFERENCE, *FIXED, *SHORT, *objectives)
    assert summary["constants"] == [] and not (tmp_path / "pictures" / "constants.png").exists()
    assert len(summary["sensitivity"]) == 14


SMALL_SHAPE = {
    "type": "llama",
    "layer_num": 5,
    "hidden_dim": 256,
    "intermediate_dim": 512,
    "q_head_num": 8,
    "kv_head_num": 4,
}
FOUR = ["--total-channel-num", "4", "--nmp-channel-num-space", "2"]
SMALL_GRAPH = {"node": {"q": 0, "k": 1, "qk": 2}, "edge": [[0, 2], [1, 2]]}


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """Arguments for a layer of three operators on a device of four channels."""
    (tmp_path / "shape.json").write_text(json.dumps(SMALL_SHAPE))
    (tmp_path / "operator_graph.json").write_text(json.dumps(SMALL_GRAPH))
    use = ["--model-shape", str(tmp_path / "shape.json"), "--max-batch-size", "2", "--input-seq-len", "48"]
    return [*use, "--max-gen-len", "8", "--max-seq-len", "64", *DEVICE, *SHORT, *FOUR]


def test_same_seed_same_summary(small: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A full report, the polish included, apart from the time it took; and the store can be exported again."""
    seed = ["--seed", "1", "--algorithm", "random"]
    first, second = (answer(tmp_path / name, *small, *seed) for name in "ab")
    assert first["ended"].endswith(POLISHED) and len(first["sensitivity"]) == 14 and first["candidates"] == 5
    for one in (first, second):
        assert one.pop("wall_seconds") >= 0 and one.pop("cpu_seconds") > 0 and one["settings"].pop("dse-output-dir")
    assert first == second
    assert (tmp_path / "a" / "result.log").read_bytes() == (tmp_path / "b" / "result.log").read_bytes()
    out = capfd.readouterr().out
    assert "5 candidates in" in out and POLISHED in out and "Whole model" in out and "at most 0.00% above" in out
    assert main(["--execution-type", "export", "--export", "json", "--dse-output-dir", str(tmp_path / "a")]) == 0
    rows = json.loads((tmp_path / "a" / "candidates.json").read_text())
    assert len(rows) == 5 and rows[4]["latency_s"] == first["best"]["metrics"]["latency_s"]


def test_polish_with_a_second_objective(small: list[str], tmp_path: Path) -> None:
    """The solver's design joins the front as the best of the first objective; others stay for the second."""
    arguments = ["--seed", "1", "--algorithm", "random", "--objectives", "latency_s,energy_j"]
    summary = answer(tmp_path / "run", *small, *arguments)
    assert summary["ended"].endswith(POLISHED) and summary["best"]["id"] == 4 and summary["gap"] <= 1e-9
    points = [(one["metrics"]["latency_s"], one["metrics"]["energy_j"]) for one in summary["front"]]
    assert len(points) > 1 and all(a < b and x > y for (a, x), (b, y) in pairwise(points))
    assert [end["designs"] for end in summary["constants"]] == [len(points)] * 2


# Full reports of runs at the edge of what there is.
EDGES = {
    "no NMP channels": ["--nmp-channel-num-space", "0", "--evaluator", "buffered"],
    "energy without NMP channels": ["--is-dataflow-fixed", "npu_only", "--objectives", "energy_j"],
    "area without NMP channels": ["--is-dataflow-fixed", "2x_npu_only", "--objectives", "area_mm2,latency_s"],
    "the last normal channel, specpim": ["--is-dataflow-fixed", "specpim", "--nmp-channel-num-space", "3"],
    "the last normal channel, splitting": [
        "--is-dataflow-fixed",
        "attention_offloading_with_ffn_splitting",
        "--nmp-channel-num-space",
        "3",
    ],
    "all channels": ["--nmp-channel-num-space", "4"],
    "buffers too small for the second opinion": [
        *FIXED,
        "--bank-num-per-channel",
        "512",
        "--output-buffer-total-size-space",
        "2",
        "--evaluator",
        "roofline",
    ],
    "no time at all": ["--time-limit", "0"],
}


@pytest.mark.parametrize("case", EDGES)
def test_edges(case: str, small: list[str], tmp_path: Path) -> None:
    """A run that has found a design ends well and says what it can, whatever the next device would be."""
    summary = answer(tmp_path / "run", *small, *EDGES[case], "--report", "full")
    assert (summary["best"] is None) == (case == "no time at all")
    assert summary["best"] is None or all(summary["model"][name] is not None for name in FIGURES[:4])
    assert {path.name for path in (tmp_path / "run").iterdir()} >= RESULTS
