"""The estimator of HLS designs: counts by hand, an independent recount, and laws."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost_model.hls.constants import HlsConstants
from cost_model.hls.estimator import Estimator, valid_probability
from design.hls.design import COARSE, FLATTEN, choices
from design.metrics import HLS_METRICS
from tests.cost_model.hls.cases import GEMM, PLAIN, SCALE, STAGES, SUM, columns, kernel, rows_kernel

GEMM_KERNEL, SCALE_KERNEL = kernel(GEMM), kernel(SCALE)


def cycles(of, constants: HlsConstants = PLAIN, **values: int) -> float:
    """Of one design."""
    return float(Estimator(of, constants).estimate(columns(of, **values))["cycles"][0])


@st.composite
def designs(draw: st.DrawFn) -> dict[str, int]:
    """A design of GEMM, without the underscores of its names."""
    return {
        p.name.removeprefix("__").replace("__", "_"): draw(st.sampled_from(choices(GEMM_KERNEL, p)))
        for p in GEMM_KERNEL.parameters
    }


# Counts by hand: start 100, pipeline of depth d over n steps at interval i: d + 3 + (n - 1) i.


def test_a_pipeline_is_its_depth_and_a_step_each_cycle() -> None:
    depth = 4 + 6  # memory, multiplication
    assert cycles(SCALE_KERNEL) == 100 + depth + 3 + 63


def test_parallel_copies_divide_the_steps() -> None:
    assert cycles(SCALE_KERNEL, PARA_L0=8) == 100 + 4 + 6 + 3 + 7


def test_a_factor_that_leaves_a_remainder_runs_it_in_single_steps() -> None:
    # 64 = 2 x 24 + 16: 2 steps of 24 copies, 16 of one
    assert cycles(SCALE_KERNEL, PARA_L0=24) == 100 + 4 + 6 + 3 + (2 + 16 - 1)


def test_a_whole_unrolled_loop_is_one_block() -> None:
    assert cycles(SCALE_KERNEL, PARA_L0=64) == 100 + (4 + 6) + 1


def test_a_tile_fills_the_pipeline_anew() -> None:
    # 8 tiles of 8 steps, each 5 cycles to begin
    assert cycles(SCALE_KERNEL, TILE_L0=8) == 100 + 8 * (4 + 6 + 3) + 63 + 8 * 5


def test_a_recurrence_sets_the_interval_and_copies_lengthen_its_chain() -> None:
    # the sum stays in a register: 8 cycles from one to the next, and 8 + 4 through the pipeline; before and after it
    # a constant (1 cycle) and a store (4)
    of = kernel(SUM % "")
    assert cycles(of) == 100 + 1 + (4 + 8 + 3 + 63 * 8) + 4
    assert cycles(of, PARA_L0=4) == 100 + 1 + (4 + 8 + 3 + 15 * 8 * 4) + 4


def test_a_named_reduction_is_joined_by_a_tree() -> None:
    free, named = kernel(SUM % ""), kernel(SUM % "reduction = s")
    constants = replace(PLAIN, named_reduction_cycles=16.0)
    assert cycles(free, constants, PARA_L0=16) > 3 * cycles(named, constants, PARA_L0=16)


def test_ports_set_the_interval() -> None:
    # 32 copies read 32 values of A each step: a single bank of 2 ports takes 16 cycles, 32 banks take 1. Both wait
    # 2 cycles for the 3 accesses to y[i].
    of = rows_kernel(16)
    few = replace(PLAIN, implied_banks=1.0)
    wide, narrow = (cycles(of, constants, PIPE_L0=FLATTEN) for constants in (PLAIN, few))
    assert narrow - wide == 15 * (16 - 2)


def test_coarse_stages_overlap() -> None:
    of = kernel(STAGES)
    stage = 4 + 6 + 3 + 63
    assert cycles(of) == 100 + 32 * (2 * stage + 2) + 3
    assert cycles(of, PIPE_L0=COARSE) == 100 + 32 * (stage + 2) + 3


def test_flattening_unrolls_what_is_inside() -> None:
    of = rows_kernel(16)
    assert cycles(of, PIPE_L0=FLATTEN) == cycles(of, PARA_L1=32)


def test_a_parallel_that_waits_for_its_recurrence_is_ignored() -> None:
    assert cycles(GEMM_KERNEL, PARA_L1=4) == cycles(GEMM_KERNEL)


def test_an_independent_recount_of_a_matrix_by_a_vector() -> None:
    """Loop by loop in plain Python, of every design without tiles."""
    of = rows_kernel(24)
    for outer in (1, 2, 3, 5, 8, 24):
        for inner in (1, 2, 4, 6, 32):
            chain = 8 + 2  # addition, and y[i] in memory
            whole, rest = divmod(24, outer)
            steps = 1 if outer == 24 else whole + rest
            depth = 4 + 6 + 8
            if inner == 32:
                continue  # the loop over i becomes the pipeline, see above
            turns, left = divmod(32, inner)
            inside = (depth + 3) + (turns - 1) * chain * inner + left * chain
            clear = 4  # y[i] = 0
            expected = 100 + steps * (clear + inside + 2) + 3
            assert cycles(of, PARA_L0=outer, PARA_L1=inner) == pytest.approx(expected), (outer, inner)


# Laws


@settings(max_examples=60, deadline=None)
@given(st.lists(designs(), min_size=2, max_size=6))
def test_many_at_once_are_each_alone(rows: list[dict[str, int]]) -> None:
    estimator = Estimator(GEMM_KERNEL, HlsConstants())
    alone = [estimator.estimate(columns(GEMM_KERNEL, **row)) for row in rows]
    parts = [columns(GEMM_KERNEL, **row) for row in rows]
    batch = estimator.estimate({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    for name in (*HLS_METRICS, "code"):
        assert np.array_equal(batch[name], np.concatenate([one[name] for one in alone])), name
        assert np.isfinite(batch[name]).all() and (batch[name] >= 0).all()


@settings(max_examples=100, deadline=None)
@given(designs(), st.sampled_from(["PARA_L0", "PARA_L1", "PARA_L2"]), st.data())
def test_more_unrolling_without_sharing_never_takes_fewer_dsp(
    design: dict[str, int], name: str, data: st.DataObject
) -> None:
    """With operators that are never shared: where they are, a longer interval may well save some."""
    constants = HlsConstants(shared=0.0)
    more = data.draw(st.sampled_from([f for f in (1, 2, 4, 8, 16) if f >= min(design[name], 16)]))
    if more < design[name]:
        return
    few, many = (
        Estimator(GEMM_KERNEL, constants).estimate(columns(GEMM_KERNEL, **{**design, name: factor}))["dsp"][0]
        for factor in (design[name], more)
    )
    assert many >= few


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60))
def test_a_sequential_loop_grows_linearly_in_its_trip_count(trip: int) -> None:
    """At constants without transfers: those grow with the array."""
    one, two, many = (cycles(rows_kernel(n)) for n in (trip, trip + 1, trip + 40))
    assert many - one == pytest.approx(40 * (two - one))


@settings(max_examples=60, deadline=None)
@given(designs(), st.sampled_from(["add_cycles", "mul_cycles", "start_cycles", "transfer_share", "reload_share"]))
def test_slower_operators_and_transfers_never_make_a_design_faster(design: dict[str, int], name: str) -> None:
    slower = replace(PLAIN, **{name: getattr(PLAIN, name) * 1.5 + 0.5})
    assert cycles(GEMM_KERNEL, slower, **design) >= cycles(GEMM_KERNEL, **design)


def test_validity_falls_with_size_and_with_utilisation() -> None:
    constants = HlsConstants()
    code, share = np.array([1e2, 1e4, 1e6]), np.array([0.01, 0.5, 1.5])
    by_code = valid_probability(constants, code, np.full(3, 0.1), 0.8)
    by_share = valid_probability(constants, np.full(3, 10.0), share, 0.8)
    assert (np.diff(by_code) < 0).all() and (np.diff(by_share) < 0).all()
    assert math.isclose(
        float(valid_probability(constants, np.array([1.0]), np.array([0.8]), 0.8)[0]),
        0.5 / (1 + math.exp(-constants.tool_slope * constants.tool_size)),
    )
