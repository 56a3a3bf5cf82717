"""The published artifact's own numbers for fixed dataflows: every row of the reference file, to 1e-9 relative."""

from __future__ import annotations

import csv
from functools import cache

import pytest

from cost_model.nmp.roofline import RooflineEvaluator
from design.nmp.device import Platform, Processors
from dse.spaces.nmp.fixed import FixedSpace
from tests.cases import MODELS, ROOT, hardware, model_workload

FILE = ROOT.parent / "shared" / "reference" / "h2llm_fixed_dataflows.csv"
DATA_SETS = {"he": (157, 67), "sg": (783, 209), "lb": (1886, 97), "lg": (1971, 17)}  # prompt, generated tokens
DATAFLOWS = {
    "CP": "2x_npu_only",
    "Attn-NMP": "attention_offloading",
    "Attn-NMP-Split": "attention_offloading_with_ffn_splitting",
    "FC-NMP": "fc_offloading",
}


@cache
def rows() -> list[dict[str, str]]:
    """All rows of the file."""
    if not FILE.is_file():
        pytest.skip(f"the artifact's values are not here ({FILE})")
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("design", DATAFLOWS)
def test_every_row_is_reproduced(design: str) -> None:
    """Models, data sets and batches of each design that the file has; the centralised design has a 2x NPU."""
    central = design == "CP"
    platform = Platform(npu_gmacs=256e3 if central else 128e3)
    choices = hardware((0 if central else 6,), (Processors(8, 600, 25.6),))
    mine = [row for row in rows() if row["design"] == design]
    for row in mine:
        model = next(name for name in MODELS if name.startswith(row["model"]))
        prompt, generated = DATA_SETS[row["dataset"]]
        workload = model_workload(model, batch=int(row["batch"]), prompt=prompt, generated=generated)
        space = FixedSpace(DATAFLOWS[design], workload, platform, choices)
        batch = space.decode(space.starts())
        answer = RooflineEvaluator(workload, platform, check_capacity=False).evaluate(batch, seed=0)
        for metric in ("latency_s", "prefill_s", "decode_s"):
            assert answer.metrics[metric].tolist() == pytest.approx([float(row[metric])], rel=1e-9, abs=0), (
                row,
                metric,
            )
    assert len({(row["model"], row["dataset"], row["batch"]) for row in mine}) == len(mine) > 0


def test_no_row_is_left_out() -> None:
    """The file holds no design that the test above does not know."""
    assert {row["design"] for row in rows()} == set(DATAFLOWS)
