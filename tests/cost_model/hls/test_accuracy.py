"""How near the estimates are to what tools said, on kernels whose family the constants had not seen.

The bounds are a little above what was measured; families kept for judging are not read.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cost_model.hls.estimator import Estimator
from cost_model.hls.store import read_fitted
from design.hls.task import hls_task_of
from frontends.hls_results.tables import read_results
from tests.cases import ROOT

DATA = ROOT.parent / "shared" / "data" / "hlsyn.tar.gz"
LEAST_ROWS = 40


def errors(tool: str, path: Path) -> list[float]:
    """Per fitted kernel the root mean square error of log2(cycles) / 2, by constants fitted without its family."""
    fitted, found = read_fitted(tool), []
    for table in read_results(path, tool, sorted(fitted.kernels)):
        kernel, cycles = hls_task_of(table).kernel, table.metric("cycles")
        rows = cycles > 0
        if rows.sum() < LEAST_ROWS:
            continue
        columns = {name: values[rows] for name, values in table.batch.columns.items()}
        said = Estimator(kernel, fitted.constants_of(kernel.digest)).estimate(columns)["cycles"]
        found.append(float(np.sqrt(np.mean((np.log2(said / cycles[rows]) / 2) ** 2))))
    return found


@pytest.mark.parametrize("tool", ["v18", "v20"])
def test_unseen_families_are_estimated_as_well_as_was_measured(tool: str) -> None:
    if not DATA.is_file():
        pytest.skip(f"{DATA} is not there: results of tools are not part of the project")
    found = errors(tool, DATA)
    assert len(found) >= 10
    assert np.mean(found) < 0.75 and np.median(found) < 0.7
