"""Transformer-H: tokens that say what they should, a causal model, training that repeats and learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cost_model.surrogates.tables.correction import Correction, learn
from cost_model.surrogates.transformer_h.model import TransformerH
from cost_model.surrogates.transformer_h.recipe import Recipe
from cost_model.surrogates.transformer_h.trained import Ensemble, RawPrediction
from cost_model.surrogates.transformer_h.training import Pupil, agreement_of, answer, error_of, folds_of, trusted
from cost_model.surrogates.transformer_h.training_examples import (
    Outputs,
    lessons_of,
    outputs_from,
    scaled,
    scaling_from,
)
from cost_model.views.hls.matrices import (
    ARRAY,
    KINDS,
    LOOP,
    MOST_STATEMENTS,
    RECURRENCE,
    STATEMENT,
    WIDTHS,
    chain_cycles,
    kernel_tokens,
)
from cost_model.views.hls.matrix_input import (
    BLOCKS,
    DESIGN_WIDTHS,
    DIRECTIVES,
    ESTIMATE,
    KERNEL_WIDTH,
    LOOP_WIDTH,
    TOOLS,
    design_matrices,
    kernel_input,
)
from cost_model.views.hls.view import HlsView
from design.core import Floats, Rows
from design.errors import InputError
from design.hls.design import COARSE, FLATTEN, OFF, TARGETS
from design.hls.task import HlsTask, hls_task_of
from design.metrics import HLS_METRICS, target_table
from frontends.c_kernel import parse_kernel
from tests.cases_hls import DOT, scale_source
from tests.cost_model.surrogates.tiny_transformer_h import RECIPE, pupil, tiny, tiny_lessons, tiny_tables

V18 = TARGETS["v18"]
SMALL = Recipe(width=16, layers=2, heads=2, metrics=["cycles", "lut"])
BODY = "".join(f"      x[i] = x[i] * {n}.5;\n" for n in range(2, 102))
LONG = f"#pragma ACCEL kernel\nvoid f(double x[9]) {{\n  int i;\n  for (i = 0; i < 9; i++) {{\n{BODY}  }}\n}}\n"


def test_matrices_by_hand() -> None:
    """Trips, depth, strides and dependences of two small kernels, at their places."""
    tokens = kernel_tokens(parse_kernel(scale_source(), "scale"))
    assert {kind: rows.shape for kind, rows in tokens.rows.items()} == {
        LOOP: (2, WIDTHS[LOOP]),
        STATEMENT: (1, WIDTHS[STATEMENT]),
        ARRAY: (2, WIDTHS[ARRAY]),
        RECURRENCE: (0, WIDTHS[RECURRENCE]),
    }
    assert [tokens.places[kind].tolist() for kind in KINDS] == [[1, 2], [2], [0, 0], []]
    np.testing.assert_allclose(tokens.rows[LOOP][:, :3], np.log2([[65] * 3, [9] * 3]))
    assert tokens.rows[LOOP][:, 5].tolist() == [0, 1] and tokens.rows[LOOP][:, 6].tolist() == [1, 0]
    inner, outer = tokens.rows[STATEMENT][0][15:21], tokens.rows[STATEMENT][0][21:27]
    np.testing.assert_allclose(inner, [np.log2(9), np.log2(3), np.log2(3), 1, 0, 0])  # both accesses move by one
    np.testing.assert_allclose(outer, [np.log2(65), np.log2(3), 0, np.log2(9), 0, 0])  # and by a row of eight
    assert not tokens.rows[STATEMENT][0][27:39].any()  # there are two levels only
    sums = kernel_tokens(parse_kernel(DOT, "dot"))
    assert len(sums.rows[RECURRENCE]) == 1 and sums.places[RECURRENCE].tolist() == [1]
    assert sums.rows[RECURRENCE][0][9:11].tolist() == [1, 1]  # a reduction, and a cycle
    assert chain_cycles(["add.f64", "mul.f64", "add.i32"]) == 15


def test_long_bodies_are_told_in_runs() -> None:
    """A hundred statements make few rows, and none is lost."""
    rows = kernel_tokens(parse_kernel(LONG, "f")).rows[STATEMENT]
    assert len(rows) == 20 <= MOST_STATEMENTS
    assert (2 ** rows[:, -1] - 1).round().sum() == 100


def test_directives_by_hand() -> None:
    """Of a flattened loop with four copies the inner loop is all copies."""
    task = HlsTask(parse_kernel(scale_source(), "scale"), V18)
    columns = {"P0": [OFF, FLATTEN, COARSE], "T0": [2, 1, 1], "U0": [1, 4, 64], "U1": [3, 1, 1]}
    found = design_matrices(task, {name: np.array(values) for name, values in columns.items()})
    assert found.loops.tolist() == [0, 1] and found.directives.shape == (3, 2, DESIGN_WIDTHS[DIRECTIVES])
    outer, inner = found.directives[:, 0], found.directives[:, 1]
    assert outer[:, :5].tolist() == [[1, 0, 0, 1, 0], [0, 0, 1, 0, 2], [1, 0, 0, 0, 6]]  # coarse of a whole loop is off
    assert outer[:, 5].tolist() == [0, 0, 1] and inner[:, 7].tolist() == [1, 0, 0]  # whole; 3 of 8 leaves a rest
    assert outer[1, 9:11].tolist() == [2, 4] and inner[1, 9:11].tolist() == [3, 0]  # copies made and trips left
    assert outer[1, 13:17].tolist() == [3, 2, 4, 0] and inner[1, 13:17].tolist() == [0, 5, 4, 1]
    assert inner[:, 12].tolist() == [0, 1, 0]


def test_equal_designs_look_equal() -> None:
    """Flatten swallows what is inside it, and the tokens do not tell."""
    task = HlsTask(parse_kernel(scale_source(), "scale"), V18)
    columns = {"P0": [FLATTEN] * 2, "T0": [1] * 2, "U0": [2] * 2, "U1": [1, 4]}
    found = design_matrices(task, {name: np.array(values) for name, values in columns.items()})
    for rows in (found.directives, found.estimate, found.start):
        np.testing.assert_array_equal(rows[0], rows[1])


def test_scaling_centres_and_clips() -> None:
    """Training rows have mean 0 and deviation 1; a constant column stays silent; far values are held back."""
    lessons = tiny_lessons()
    scaling = scaling_from(lessons)
    kernels = {lesson.digest: lesson.kernel for lesson in lessons}
    rows = np.concatenate([scaling.apply(LOOP, kernel.rows[LOOP]) for kernel in kernels.values()])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-9)
    assert set(np.round(rows.std(axis=0), 6)) <= {0.0, 1.0} and rows.std(axis=0).max() > 0.9
    assert np.abs(scaling.apply(ESTIMATE, np.full(BLOCKS[ESTIMATE], 1e4))).max() <= 4
    told = kernel_input(lessons[0].kernel, scaling)
    assert told.rows.shape == (len(told.places), KERNEL_WIDTH) and (told.rows[:, -len(KINDS) :].sum(axis=1) == 1).all()


def test_outputs_come_back() -> None:
    """Targets to outputs and back, from the estimate or not, if all is trusted; a list of some metrics is enough."""
    lesson = tiny_lessons()[0]
    for difference in (True, False):
        outputs = outputs_from(tiny_lessons(), ("cycles", "dsp"), difference)
        y = outputs.targets(lesson.designs.start, outputs.outputs(lesson.designs.start, lesson.y))
        np.testing.assert_allclose(y, lesson.y[:, [0, 3]])
    with pytest.raises(InputError, match="power"):
        outputs_from(tiny_lessons(), ("cycles", "power"), True)


def inputs(model: TransformerH, batch: int = 3) -> list[torch.Tensor]:
    """Random inputs of two kernels with 5 tokens, and of designs with two loops."""
    torch.manual_seed(0)
    there = torch.ones(2, 5, dtype=torch.bool)
    kernel = [torch.randn(2, 5, KERNEL_WIDTH), torch.randint(0, 9, (2, 5)), there]
    design = [torch.randn(2, batch, 2, LOOP_WIDTH), torch.randint(0, 9, (2, 2)), torch.ones(2, 2, dtype=torch.bool)]
    return [*kernel, *design, torch.randn(2, len(TOOLS)), torch.randn(2, batch, DESIGN_WIDTHS[ESTIMATE])]


def said(model: TransformerH, given: list[torch.Tensor]) -> torch.Tensor:
    """What a model answers to inputs as above."""
    return model.answer(model.encode(*given[:3]), *given[3:])


@pytest.fixture
def model() -> TransformerH:
    """With a head that is not silent."""
    torch.manual_seed(1)
    model = TransformerH(SMALL).eval().requires_grad_(False)
    torch.nn.init.normal_(model.head.weight)
    return model


def test_an_untrained_model_says_the_estimate(model: TransformerH) -> None:
    assert not said(TransformerH(SMALL).eval(), inputs(model)).any()


def test_a_kernel_does_not_see_designs_and_designs_not_each_other(model: TransformerH) -> None:
    """Causal: later tokens change no earlier one; another design or kernel in the batch changes nothing."""
    given = inputs(model)
    before, memory = said(model, given), model.encode(*given[:3])
    given[0][:, 3:] += 1.0  # the last two tokens of each kernel
    for (key, value), (old_key, old_value) in zip(model.encode(*given[:3]).layers, memory.layers, strict=True):
        assert torch.equal(key[:, :, :3], old_key[:, :, :3]) and torch.equal(value[:, :, :3], old_value[:, :, :3])
        assert not torch.equal(key[:, :, 3:], old_key[:, :, 3:])
    assert not torch.allclose(said(model, given), before, atol=1e-4)
    given = inputs(model)
    given[3][0, 0] += 1.0
    after = said(model, given)
    torch.testing.assert_close(after[0, 1:], before[0, 1:])
    torch.testing.assert_close(after[1], before[1])
    assert not torch.allclose(after[0, 0], before[0, 0], atol=1e-4)


def test_padding_says_nothing(model: TransformerH) -> None:
    """Neither behind a kernel's tokens nor behind a design's loops."""
    given = inputs(model)
    before = said(model, given)
    pad = torch.nn.functional.pad
    longer = [pad(given[0], (0, 0, 0, 3), value=9.0), pad(given[1], (0, 3)), pad(given[2], (0, 3), value=False)]
    longer += [pad(given[3], (0, 0, 0, 2), value=9.0), pad(given[4], (0, 2)), pad(given[5], (0, 2), value=False)]
    torch.testing.assert_close(said(model, [*longer, *given[6:]]), before)


def test_training_learns_and_repeats() -> None:
    """Nearer than the estimate on what was taught; the same seed gives the same weights."""
    member = tiny().model.members[0]
    again = pupil(RECIPE).member
    for one, two in zip(member.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, two)
    other = tiny().model.members[1].model.parameters()
    assert any(not torch.equal(one, two) for one, two in zip(member.model.parameters(), other, strict=True))
    long = pupil(RECIPE.model_copy(update={"steps": 80, "check": 80})).member
    silent = TransformerH(RECIPE).eval()
    taught = [scaled(lesson, long.scaling, long.outputs) for lesson in tiny_lessons() if lesson.family == "scale"]
    assert error_of(long.model, taught, long.outputs) < error_of(silent, taught, long.outputs) / 1.2


def test_a_global_seed_is_left_alone() -> None:
    """Training draws from its own seed and puts torch back as it was."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    pupil(RECIPE.model_copy(update={"steps": 2}))
    assert torch.equal(torch.rand(3), expected) and torch.get_num_threads() == threads


def test_unknown_targets_are_left_out() -> None:
    """A resource known of one design only teaches from that one; of none at all, it is no target."""
    blank = [replace(lesson, y=np.where(np.arange(5) == 3, np.nan, lesson.y)) for lesson in tiny_lessons()]
    with pytest.raises(InputError, match="dsp, which no design has"):
        pupil(RECIPE, lessons=blank)
    scale = next(place for place, lesson in enumerate(blank) if lesson.family == "scale")
    blank[scale].y[np.flatnonzero(blank[scale].known)[0], 3] = 2.0
    learned = pupil(RECIPE.model_copy(update={"steps": 20}), lessons=blank)
    assert all(torch.isfinite(value).all() for value in learned.member.model.parameters())
    agreement = agreement_of(learned.member.model, learned.exam, learned.member.outputs)
    assert np.isfinite(learned.best) and np.isfinite(agreement).all()


def test_held_out_families() -> None:
    """Every family in one part, other parts by the seed; some but not all can be held out."""
    many = [replace(tiny_lessons()[0], family=f"f{number}") for number in range(10)]
    drawn = [folds_of(many, 4, seed) for seed in range(3)]
    for parts in drawn:
        assert sorted(name for part in parts for name in part) == sorted(lesson.family for lesson in many)
        assert {len(part) for part in parts} <= {2, 3}
    assert drawn[0] != drawn[1] != drawn[2]
    assert sorted(folds_of(tiny_lessons(), 4, 0)) == [("dot",), ("scale",), ("twice",)]
    for names in ((), ("nobody",), ("dot", "scale", "twice")):
        with pytest.raises(InputError, match="validation families"):
            Pupil(RECIPE, tiny_lessons(), names)
    with pytest.raises(InputError, match="no design with cycles"):
        lessons_of([])


def test_trust_is_earned_on_held_out_families() -> None:
    """What is wanted is done as far as that was best: not where it was wrong, by half where it went twice too far."""
    first, second = tiny().model.members
    pieces = [np.array([[2.0, -1, 1, 9, 0], [1.0, 1, 4, 1, 0]]), np.array([[0.0, 0, 1, 9, 0], [1.0, 1, 0, 1, 0]])]
    for member in trusted((first, second), pieces):
        np.testing.assert_allclose(member.outputs.trust, [1, 0, 0.5, 1, 0])
    lesson = tiny_lessons()[0]
    said, start = np.ones((len(lesson.y), 5)), lesson.designs.start
    full = replace(first.outputs, trust=np.ones(5))
    np.testing.assert_allclose(replace(full, trust=np.zeros(5)).targets(start, said), start)
    middle = replace(full, trust=np.full(5, 0.5)).targets(start, said)
    np.testing.assert_allclose(middle, (full.targets(start, said) + start) / 2)
    exam = scaled(lesson, first.scaling, full)  # a model that is silent wants the centre
    product, square = agreement_of(TransformerH(RECIPE).eval(), [exam], full)
    known = np.isfinite(lesson.y).all(axis=1)
    np.testing.assert_allclose(square, full.center**2)
    np.testing.assert_allclose(product, ((lesson.y - start)[known] * full.center).mean(axis=0))


def test_batches_of_training_are_those_of_use() -> None:
    """What training computes in single precision, padded beside other kernels, is what a model at work says."""
    member = tiny().model.members[0]
    tables = [tiny_tables()[place] for place in (0, 1)]
    lessons = [lesson for table in tables for lesson in lessons_of([table])]
    asked = [(scaled(lesson, member.scaling, member.outputs), np.arange(10)) for lesson in lessons]
    with torch.no_grad():
        raw = answer(member.model, asked).numpy()
    alone = Ensemble((member,))
    for place, (table, lesson) in enumerate(zip(tables, lessons, strict=True)):
        found = alone.of(hls_task_of(table)).predict(table.batch.take(np.arange(10)).columns)
        expected = member.outputs.targets(lesson.designs.start[:10], raw[place, :, :-1].astype(np.float64))
        np.testing.assert_allclose(found.y, expected, atol=1e-4)
        np.testing.assert_allclose(found.valid, 1 / (1 + np.exp(-raw[place, :, -1])), atol=1e-4)


def test_members_are_averaged() -> None:
    table = tiny_tables()[0]
    both = tiny().model.of(hls_task_of(table)).predict(table.batch.columns).y
    alone = [Ensemble((member,)).of(hls_task_of(table)) for member in tiny().model.members]
    first, second = (model.predict(table.batch.columns).y for model in alone)
    np.testing.assert_allclose(both, (first + second) / 2)
    assert not np.allclose(first, second)


def test_labels_shift_then_correct() -> None:
    """Three labels shift, twenty correct; on cycles the errors alone are learned."""
    table = next(table for table in tiny_tables() if table.task.name == "scale")
    task, view = table.task, HlsView()
    rows = np.flatnonzero(table.metric("cycles") > 0)
    model = tiny().model.of(hls_task_of(table))

    def taught(some: Rows) -> tuple[Correction, RawPrediction, Floats]:
        batch = table.batch.take(some)
        said = model.predict(batch.columns)
        truth = target_table({name: table.metric(name)[some] for name in HLS_METRICS}, HLS_METRICS)
        return learn(view, task, batch, said.y, said.estimate, truth, 1), said, truth

    few, said, truth = taught(rows[:3])
    assert few.errors is None and few.anew is None
    np.testing.assert_allclose(few.shift, np.median(truth - said.y, axis=0) * 3 / 5)
    nothing = learn(view, task, table.batch.take(rows[:0]), said.y[:0], said.estimate[:0], truth[:0], 1)
    assert not nothing.shift.any()
    picked = np.random.default_rng(0).permutation(rows)
    more, _, _ = taught(picked[:20])
    rest = table.batch.take(picked[20:])
    _, before, truth = taught(picked[20:])
    after = more.targets(view, task, rest, before.y, before.estimate)
    error, old = (np.sqrt(np.mean((found - truth) ** 2, axis=0)) for found in (after, before.y))
    assert (error < old).all() and error.mean() < old.mean() / 2
    alone = replace(more, anew=replace(more.anew, regression=lambda rows: np.zeros((len(rows), 5))))
    halved = alone.targets(view, task, rest, before.y, before.estimate)
    np.testing.assert_allclose(halved[:, 0], after[:, 0])
    assert (halved[:, 1:] < after[:, 1:]).all()


def test_metrics_may_be_fewer() -> None:
    """A list of targets shapes the model."""
    member = pupil(RECIPE.model_copy(update={"metrics": ["cycles", "dsp"], "steps": 2})).member
    assert member.model.head.out_features == 3 and isinstance(member.outputs, Outputs)
    assert member.outputs.metrics == ("cycles", "dsp")
