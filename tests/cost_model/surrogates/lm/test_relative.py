"""Answers relative to the estimate, and labels in the prompt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.numbers import Scientific
from cost_model.surrogates.lm.examples import ONE, Prompts
from cost_model.surrogates.lm.grammar import Grammar
from cost_model.surrogates.lm.inference import Reader
from cost_model.surrogates.lm.labels import labels_text
from cost_model.surrogates.lm.surrogate import LmSurrogate
from cost_model.surrogates.lm.training import Trainer, TrainingExamples, lesson, usual
from cost_model.training.checkpoint import Checkpoint
from cost_model.training.models import recipe_of
from cost_model.views.tokens import IDS, VOCABULARY
from design.errors import InputError
from design.hls.design import VU9P
from design.metrics import HLS_METRICS
from frontends.hls_results.tables import read_results
from tests.cases_hls import usual as usual_data
from tests.cost_model.surrogates.lm.small import RECIPE, TASK, VIEW, designs, examples, prompter, untrained
from tests.cost_model.surrogates.test_lm import batch_of, labels_of

SHOWN = RECIPE.model_copy(update={"shots": 6, "number_steps": 0})


def some(count: int) -> Prompts:
    """Prompts of random designs."""
    return prompter().prompts(designs(count))[0]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> TrainingExamples:
    """Of the largest table of a small data set."""
    tables = read_results(usual_data(tmp_path_factory.mktemp("data")), "v20")
    every = [examples(table) for table in tables]
    largest = max(every, key=lambda one: len(one.known))
    return lesson(largest, RECIPE.make_codec(), RECIPE.spread)


def test_units() -> None:
    """The estimate is told as ONE; of resources nothing is told against less than tables report."""
    estimate = {metric: np.array([5.0, 1e6]) for metric in HLS_METRICS}
    found = VIEW.prompts(TASK).units(estimate)
    assert found[1].tolist() == [1e6] * len(HLS_METRICS) and found[0, 0] == 5.0
    least = [VU9P.reported * VU9P.resources[name] for name in HLS_METRICS[1:]]
    np.testing.assert_allclose(found[0, 1:], np.maximum(5.0, least))


def test_answers_are_in_their_units() -> None:
    """The same tokens in units twice as large are answers twice as large."""
    prompts = some(4)
    reader = Reader(untrained().model, Grammar(RECIPE.make_codec()), prompts.program)
    plain = reader.read(prompts).metrics["dsp"]
    double = reader.read(replace(prompts, units=2 * prompts.units)).metrics["dsp"]
    assert np.array_equal(double.low, 2 * plain.low) and np.array_equal(double.high, 2 * plain.high)
    assert np.array_equal(double.share, plain.share)


@given(st.integers(0, 10**6), st.floats(0.01, 100.0))
def test_centred(seed: int, factor: float) -> None:
    """What all designs of a kernel have in common is left out: the median, and so any common factor."""
    rng = np.random.default_rng(seed)
    told = ONE * 10 ** rng.normal(0, 1, (9, 3))
    told[rng.random((9, 3)) < 0.2] = 0
    told[:, 2] = 0
    found = usual(told)
    assert found[2] == ONE
    for place in (0, 1):
        assert found[place] == pytest.approx(
            np.median(told[told[:, place] > 0, place]) if told[:, place].any() else ONE
        )
    np.testing.assert_allclose(usual(told * factor)[:2], found[:2] * np.where(told[:, :2].any(axis=0), factor, 1.0))


def test_a_kernels_own_factor_is_not_taught(taught: TrainingExamples) -> None:
    """Centred targets of a kernel that takes eight times as long are the same; others are not."""
    one = taught.examples
    slow = replace(one, values=one.values * np.array([8.0, 1, 1, 1, 1]))
    for centred in (True, False):
        codec = Scientific(2, signed=False, exponents=(0, 9))
        first, second = (lesson(each, codec, 0.05, centred).targets[0].wanted for each in (one, slow))
        assert np.allclose(first, second, atol=1e-6) == centred


def test_text_of_labels() -> None:
    """Directives without the estimate, then each metric's answer; what is not known is left out."""
    prompts, codec = some(2), Scientific(2, signed=False)
    values = np.array([[4100.0, 0.0, 77.0, np.nan, 5.0], [9.0, 1.0, 1.0, 1.0, 1.0]])
    plain = replace(prompts, units=np.ones((2, len(HLS_METRICS))))
    words = [VOCABULARY[token] for token in labels_text(codec, plain, values)]
    assert "estimate" not in words and words.count("v20") == 2 and words[0] == "v20"
    first = words[: words.index("v20", 1)]
    design = [VOCABULARY[token] for token in prompts.designs[0]]
    assert first[: first.index("cycles")] == design[: design.index("estimate")]
    answer = ["cycles", "E3", "4", "1", "lut", "zero", "0", "0", "ff", "E1", "7", "7", "bram", "E0", "5", "0"]
    assert first[first.index("cycles") :] == answer


def test_shown_labels_are_not_asked(taught: TrainingExamples) -> None:
    """Half of the time some are shown, none of them is asked, and none without cycles is shown."""
    trainer, shown = Trainer(SHOWN, [taught]), []
    for seed in range(60):
        for _, asked, labels in trainer._drawn(np.random.default_rng(seed)):
            assert not set(asked.tolist()) & set(labels.tolist())
            assert set(labels.tolist()) <= set(taught.examples.known.tolist())
            shown.append(len(labels))
    assert max(shown) == SHOWN.shots and 15 <= shown.count(0) <= 45
    before = trainer.model.kept()["rows.weight"].clone()
    while trainer.step < trainer.last:
        trainer.advance()
    assert not np.array_equal(before.numpy(), trainer.model.kept()["rows.weight"].numpy())


def test_a_model_that_is_shown_labels() -> None:
    """It answers otherwise with labels than without, as many of them as it was trained with, within its context."""
    made = untrained()
    model, batch = Checkpoint(SHOWN, made.model, made.learned, made.digest), batch_of(5)
    plain = LmSurrogate(model, VIEW).condition(TASK, None, seed=0)
    seeing = LmSurrogate(model, VIEW).condition(TASK, labels_of(20, 3.0), seed=0)
    assert "6 labels shown" in seeing.version and plain.version != seeing.version
    answers = [one.evaluate(batch, seed=0).metrics["cycles"] for one in (plain, seeing)]
    assert not np.array_equal(*answers)
    assert np.count_nonzero(seeing.prompter.program == IDS["v20"]) == 6
    short = Checkpoint(SHOWN.model_copy(update={"context": 330}), made.model, made.learned, made.digest)
    assert len(plain.prompter.program) < 330
    with pytest.raises(InputError, match="tokens with its labels"):
        LmSurrogate(short, VIEW).condition(TASK, labels_of(20, 3.0), seed=0)


def test_power_beside_the_rest(taught: TrainingExamples) -> None:
    """A metric without an estimate is told by itself; what is known of it is learned, the rest not asked."""
    recipe = RECIPE.model_copy(
        update={"metrics": [*HLS_METRICS, "power"], "number_steps": 2, "steps": 80, "rate": 0.01, "dropout": 0.0}
    )
    one = taught.examples
    units = np.concatenate([one.prompts.units, np.full((len(one.values), 1), 1 / ONE)], axis=1)
    prompts = replace(one.prompts, units=units, metrics=tuple(recipe.metrics))
    watts = np.where(np.arange(len(one.values)) % 2, 0.7, np.nan)[:, None]
    known = replace(one, prompts=prompts, values=np.concatenate([one.values, watts], axis=1))
    made = lesson(known, recipe.make_codec(), recipe.spread)
    assert not made.targets[-1].asked[::2].any() and made.targets[-1].asked[1::2].any()
    trainer = Trainer(recipe, [made])
    while trainer.step < trainer.last:
        trainer.advance()
    reader = Reader(trainer.model, Grammar(recipe.make_codec()), prompts.program)
    said = reader.read(prompts.take(known.known[:4])).metrics["power"].quantiles(np.array([0.5]))
    np.testing.assert_allclose(said, 0.7, rtol=0.3)
    model = Checkpoint(recipe, trainer.model, untrained().learned, "power")
    evaluator = LmSurrogate(model, VIEW).condition(TASK, labels_of(20, 3.0), seed=0)
    answer = evaluator.evaluate(batch_of(3), seed=0)
    assert evaluator.metrics["power_w"] == "W" and answer.samples["power_w"].shape == (3, 5)
    assert list(evaluator.digits(batch_of(1))) == [*HLS_METRICS, "power_w"]


@pytest.mark.parametrize(
    "metrics", [["cycles"], [*HLS_METRICS, "speed"], [*HLS_METRICS, "power", "power"], ["power", *HLS_METRICS]]
)
def test_metrics_of_recipes(metrics: list[str]) -> None:
    """Those that have an estimate first, others that are known, each once."""
    with pytest.raises(InputError, match="metrics"):
        recipe_of({"metrics": metrics}, "recipe.json")
