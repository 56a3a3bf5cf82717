"""Decisions of the active loop on made-up landscapes: each design once, the same again, what a perfect model finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from moocore import is_nondominated

import dse.active.candidate_pool
import dse.active.policy
from design.contracts import Space
from design.core import Batch, Evaluation, Objective, Status, key_bytes
from design.hls.design import TARGETS
from dse.active.candidate_pool import CandidatePool
from dse.active.policy import ActivePolicy, Plan, Query
from dse.search.engine import Effort
from dse.spaces.hls import HlsSpace
from dse.spaces.listed import ListedSpace
from tests.dse.active.made_up import (
    OBJECTIVES,
    TASK,
    FormulaModel,
    MadeUp,
    answer,
    costs,
    endless,
    failing,
    guessing,
    hopeless,
    perfect,
    truth,
    unknown,
    unsound,
)
from tests.evaluators.truth.small_kernel import designs
from tests.small_kernels import TINY

SPACE = ListedSpace(designs())
FORMULAS = [perfect, guessing, endless, unknown, failing, hopeless]
Formula = Callable[[Batch, int], Evaluation]
USUAL = Plan()
Event = tuple[str, Query]  # "ask" or "tell"


def search_by(formula: Formula, plan: Plan = USUAL, seed: int = 0, space: Space = SPACE) -> ActivePolicy:
    """Over all 72 designs."""
    return ActivePolicy(TASK, space, MadeUp(formula), OBJECTIVES, Effort(20, 10, 0.8, seed), plan)


def answered(search: ActivePolicy, query: Query) -> None:
    """The truth's answer to a query."""
    search.tell(query.key, query.batch, truth(query.batch, 0))


def played(search: ActivePolicy, together: int = 1, most: int = 1000) -> list[Event]:
    """Up to `together` designs on their way at once; those that are answered next are drawn by lot. `most` queries."""
    rng, running, events, queries = np.random.default_rng(3), list[Query](), list[Event](), 0
    while True:
        while len(running) < together and queries < most and (query := search.ask()) is not None:
            queries += 1
            running.append(query)
            events.append(("ask", query))
        if not running:
            return events
        events.append(("tell", running.pop(int(rng.integers(len(running))))))
        answered(search, events[-1][1])


def queries_of(events: list[Event]) -> list[Query]:
    """In their order."""
    return [query for what, query in events if what == "ask"]


@pytest.mark.parametrize("plan", [Plan(), Plan(first=9, every=4), Plan(every=0)], ids=["usual", "first", "never"])
@pytest.mark.parametrize("together", [1, 3])
@pytest.mark.parametrize("formula", FORMULAS)
def test_every_design_once(formula: Formula, together: int, plan: Plan) -> None:
    """Whatever the model says: no design twice, nor while it is on its way, until all are bought; then it ends."""
    search = search_by(formula, plan)
    queries = queries_of(played(search, together))
    assert len({query.key for query in queries}) == len(queries) == SPACE.size == search.labels
    assert search.ended == "no new designs to buy" and search.ask() is None
    for query in queries:
        assert key_bytes(SPACE.schema.key(query.batch)) == [query.key]
        assert key_bytes(SPACE.schema.key(SPACE.decode(query.genome))) == [query.key]
        assert json.loads(json.dumps(dict(query.provenance), allow_nan=False)) == query.provenance


def test_what_is_predicted_of_a_query() -> None:
    """Medians also where the model states no interval; ends that are not known are None."""
    query = search_by(perfect).ask()
    assert query is not None
    expected = perfect(query.batch, 0).metrics
    said = query.provenance["said"]
    assert {name: one["median"] for name, one in said.items()} == {n: expected[n][0] for n in ("cycles", "lut")}
    assert all(one["interval"] == [None, None] and one["by"] == "model/p" for one in said.values())
    bounded = search_by(endless).ask()
    assert bounded is not None and bounded.provenance["said"]["cycles"]["interval"] == [0.0, None]


def test_waiting_is_no_end() -> None:
    """Where all that is left is on its way there is nothing to ask about, and more may come."""
    search = search_by(guessing, space=ListedSpace(designs(3)))
    queries = [search.ask() for _ in range(3)]
    assert search.ask() is None and search.ended is None
    for query in queries:
        assert query is not None
        answered(search, query)
    assert search.ask() is None and search.ended is not None


@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize("plan", [Plan(), Plan(first=12, every=7), Plan(every=0)], ids=["usual", "first", "never"])
def test_taken_up_anywhere(plan: Plan, together: int) -> None:
    """A second search that is told the queries and answers up to some point goes on as the first did."""
    events = played(search_by(guessing, plan), together)
    for begin in range(0, len(events), 17):
        told = [query for what, query in events[:begin] if what == "tell"]
        done = {query.key for query in told}
        second = search_by(guessing, plan)
        for query in queries_of(events[:begin]):
            if query.key not in done:
                second.pending(query)
        for query in told:
            answered(second, query)
        for what, query in events[begin : begin + 8]:
            if what == "tell":
                answered(second, query)
                continue
            again = second.ask()
            assert again is not None and (again.key, again.provenance) == (query.key, query.provenance), begin


def test_the_seed_decides() -> None:
    """The same queries from the same seed, others from another: by lot at first, and by the draws of posteriors."""
    for plan in (Plan(first=6, every=0), Plan(every=0)):
        one, same, other = (queries_of(played(search_by(guessing, plan, seed), most=20)) for seed in (0, 0, 1))
        assert [query.key for query in one] == [query.key for query in same] != [query.key for query in other]


@pytest.mark.parametrize("landscape", range(6))
def test_a_perfect_model_asks_about_the_front_and_nothing_else(landscape: int) -> None:
    """In as many queries as there are points on it, those that are not feasible left aside."""

    def knowing(batch: Batch, labels: int) -> Evaluation:
        valid = np.where(unsound(batch, landscape), 0.0, 1.0)
        return answer(costs(batch, landscape), np.zeros(len(batch)), "model/k", valid)

    batch = designs()
    sound = ~unsound(batch, landscape)
    front = is_nondominated(np.where(sound[:, None], costs(batch, landscape), np.inf)) & sound
    keys = np.array(key_bytes(batch.schema.key(batch)), dtype=object)
    search = search_by(knowing)
    for _ in range(front.sum()):
        query = search.ask()
        assert query is not None
        search.tell(query.key, query.batch, truth(query.batch, landscape))
    assert search._keys == set(keys[front].tolist()) and 3 < front.sum() < 20


def test_what_is_unknown_does_not_matter() -> None:
    """A design of which the model knows nothing changes none of the queries before it."""
    (first,) = key_bytes(SPACE.schema.key(designs(1)))

    def silent(batch: Batch, labels: int) -> Evaluation:
        mute = np.array([key == first for key in key_bytes(batch.schema.key(batch))])
        status = np.where(mute, Status.FAILED, Status.OK)
        return answer(costs(batch, 0), status, "model/s", np.where(mute, np.nan, 1.0))

    rest = ListedSpace(designs().take(np.arange(1, 72)))
    most = (Objective("cycles", -1), Objective("lut", -1))  # what is unknown must not stand for the worst there is
    searches = [ActivePolicy(TASK, s, MadeUp(silent), most, Effort(20, 10, 0.8, 0), Plan()) for s in (SPACE, rest)]
    whole, part = (queries_of(played(search)) for search in searches)
    assert whole[-1].key == first
    assert [(w.key, w.provenance["expected_gain"]) for w in whole[:-1]] == [
        (w.key, w.provenance["expected_gain"]) for w in part
    ]


@pytest.mark.parametrize("every", [0, 1, 5])
def test_versions(every: int) -> None:
    """One each `every` labels, conditioned on all labels up to a round number; none after the first for 0."""
    search = search_by(guessing, Plan(every=every))
    renewed = []
    while (query := search.ask()) is not None:
        renewed.append(search.renewed)
        assert query.provenance["labels_before"] == search.labels
        assert query.provenance["version"] == search.version == (search.labels // every if every else 0)
        answered(search, query)
    surrogate = search.surrogate
    assert isinstance(surrogate, MadeUp)
    assert surrogate.counts == (list(range(0, 73, every)) if every else [0])
    assert np.flatnonzero(renewed).tolist() == (list(range(0, 72, every)) if every else [0])
    assert search.scored == {"model": 72 * len(surrogate.counts)}


def test_a_late_answer_is_learned_from_once_it_is_there() -> None:
    """With others on their way a version is conditioned on what came first, in the order in which it came."""
    search = search_by(guessing, Plan(every=2))
    queries = [search.ask() for _ in range(4)]
    late, *others = [query for query in queries if query is not None]
    for query in others:
        answered(search, query)
    assert (after := search.ask()) is not None and after.provenance["version"] == 1 and after.key != late.key
    answered(search, late)
    assert (last := search.ask()) is not None and last.provenance["version"] == 2


def test_least_gain_ends_a_search() -> None:
    """Once a perfect model has the front it expects nothing more, and says so; without a least gain it goes on."""
    search = search_by(perfect, Plan(every=5, least_gain=0.001))
    events = played(search)
    assert search.ended is not None and "0.001 of the hypervolume" in search.ended
    batch = designs()
    sound = ~unsound(batch, 0)
    front = int((is_nondominated(np.where(sound[:, None], costs(batch, 0), np.inf)) & sound).sum())
    assert front <= len(queries_of(events)) <= front + 3 * 5 and search.ask() is None
    assert len(queries_of(played(search_by(perfect, Plan(every=5))))) == 72
    nothing = search_by(guessing, Plan(every=5, least_gain=1e9))
    assert len(queries_of(played(nothing))) == 15, "the first version has nothing to compare with, two are calm"


def test_least_gain_ends_a_search_that_was_taken_up() -> None:
    """At the same label, wherever that was."""
    plan = Plan(every=5, least_gain=0.02)
    queries = queries_of(played(search_by(guessing, plan)))
    assert 15 <= len(queries) < 72
    for begin in range(1, len(queries), 11):
        second = search_by(guessing, plan)
        for query in queries[:begin]:
            second.pending(query)
        for query in queries[:begin]:
            answered(second, query)
        assert begin + len(queries_of(played(second))) == len(queries), begin


@pytest.mark.parametrize("status", list(Status))
def test_only_sound_labels_are_on_the_front(status: Status) -> None:
    """A label that nothing can beat ends all hope where it is OK; where it is not, it is as if it were not there."""
    search = search_by(perfect, Plan(every=0))
    query = search.ask()
    assert query is not None
    search.tell(query.key, query.batch, answer(np.array([[1.0, 1.0]]), np.array([status]), "truth/1"))
    following = search.ask()
    assert following is not None
    assert (following.provenance["expected_gain"] is None) == (status is not Status.OK)
    assert (search.promising() is None) == (status is Status.OK)


def test_promising_designs() -> None:
    """Those that were not labelled and that neither each other nor a label dominates, by brute force."""
    search = search_by(guessing)
    assert search.promising() is None
    for _ in range(30):
        query = search.ask()
        assert query is not None
        answered(search, query)
        found = search.promising()
        expected = brute_force_promising(search)
        assert (set() if found is None else set(key_bytes(SPACE.schema.key(found[0])))) == expected
        if found is not None:
            batch, said, sound = found
            assert len(batch) == len(said) == len(sound) and (sound >= 0.5).all()
            assert np.array_equal(said.metrics["cycles"], guessing(batch, search.version * 5).metrics["cycles"])
    everything = search_by(guessing)
    played(everything)
    assert everything.promising() is None


def brute_force_promising(search: ActivePolicy) -> set[bytes]:
    """Of a search whose model is `guessing`."""
    batch = designs()
    said, keys = guessing(batch, search.version * 5), key_bytes(batch.schema.key(batch))
    values = np.stack([said.metrics["cycles"], said.metrics["lut"]], axis=1)
    bought = truth(batch, 0)
    labels = [row for row, key in enumerate(keys) if key in search._keys]
    own = np.stack([bought.metrics["cycles"], bought.metrics["lut"]], axis=1)
    rivals = [own[row] for row in labels if bought.status[row] == Status.OK]
    hopes = [
        r for r in range(72) if r not in labels and said.status[r] == 0 and said.metrics["valid_probability"][r] >= 0.5
    ]
    rivals += [values[row] for row in hopes]
    return {
        keys[row]
        for row in hopes
        if not any((rival <= values[row]).all() and (rival < values[row]).any() for rival in rivals)
    }


# --- pools of spaces too large to be scored as a whole


def unlisted() -> HlsSpace:
    """One gene a directive, of unknown size."""
    space = HlsSpace(TINY, TARGETS["v20"], most_listed=0)
    assert space.size is None and space.designs == 28
    return space


def test_a_pool_grows_by_designs_that_are_new() -> None:
    """Each is there once, is scored once by a version, and its posterior is as the version predicts."""
    space = unlisted()
    pool = CandidatePool(space, OBJECTIVES, 0)
    model, sizes = FormulaModel(0, lambda batch: guessing(batch, 0)), []
    for seed in range(4):
        pool.widen(model, Effort(6, 3, 0.5, seed), 2, pool.genomes[:0])
        sizes.append(len(pool))
        check_pool(pool, model)
        assert len(model.asked) == len(set(model.asked)) == len(pool)
    assert 0 < sizes[0] < sizes[-1] <= space.designs
    kept = np.arange(len(pool)) % 3 == 0
    other = FormulaModel(1, lambda batch: guessing(batch, 1))
    before = [key for key, keep in zip(pool.keys, kept, strict=True) if keep]
    pool.rescored(other, kept)
    assert pool.keys == before and other.asked == before
    check_pool(pool, other)
    pool.widen(other, Effort(6, 3, 0.5, 9), 5, pool.genomes[:2])
    assert pool.keys[: len(before)] == before and len(other.asked) == len(set(other.asked)) == len(pool)
    check_pool(pool, other)


def check_pool(pool: CandidatePool, model: FormulaModel) -> None:
    """Its parts are of the same designs, in one order."""
    assert pool.answers is not None and pool.posterior is not None
    assert pool.keys == key_bytes(pool.space.schema.key(pool.batch)) and len(set(pool.keys)) == len(pool)
    assert pool.keys == key_bytes(pool.space.schema.key(pool.space.decode(pool.genomes)))
    assert [pool.row(key) for key in pool.keys] == list(range(len(pool))) and pool.row(b"?" * 16) is None
    fresh = FormulaModel(0, model._formula).evaluate(pool.batch, seed=0)
    np.testing.assert_array_equal(pool.answers.metrics["cycles"], fresh.metrics["cycles"])
    known = np.isfinite(fresh.metrics["cycles"])
    middle = np.median(pool.posterior.draws[known, :, 0], axis=1)
    assert np.abs(middle - np.log2(fresh.metrics["cycles"][known])).max() < 2.5
    assert not pool.posterior.feasibility[~known].any() and (pool.posterior.feasibility[known] > 0).all()


def test_a_search_of_an_unlisted_space() -> None:
    """It asks about no design twice, and about none that is not in the space; the same again from the same seed."""
    space = unlisted()
    plan = Plan(every=3, generations=3)
    first, second = (queries_of(played(search_by(guessing, plan, space=space), together=2)) for _ in range(2))
    assert [query.key for query in first] == [query.key for query in second]
    assert len({query.key for query in first}) == len(first) > space.designs * 0.8


def test_what_a_pool_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was labelled or is on its way, and at most so many others, before it grows anew."""
    monkeypatch.setattr(dse.active.policy, "POOL_LIMIT", 12)
    monkeypatch.setattr(dse.active.candidate_pool, "WHOLE", 10)
    search = search_by(guessing, Plan(every=4, generations=2), space=SPACE)
    new = 2 * search.effort.population
    running: list[Query] = []
    while (query := search.ask()) is not None and search.labels < 40:
        assert not search.pool.whole
        bought = {one.key for one in running} | search._keys
        assert bought <= set(search.pool.keys)
        assert len(search.pool) <= 12 + new + len(bought)
        running.append(query)
        if len(running) > 2:
            answered(search, running.pop(0))
    assert search.labels > 20


@pytest.mark.parametrize("formula", FORMULAS)
def test_any_model_widens_a_pool(formula: Formula, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that knows nothing, and one that says that nothing can be."""
    monkeypatch.setattr(dse.active.candidate_pool, "WHOLE", 10)
    queries = queries_of(played(search_by(formula, Plan(every=4, generations=3)), most=40))
    assert len({query.key for query in queries}) == len(queries) == 40


def test_unlike() -> None:
    """A design is like itself, is as unlike several as all of them one by one, and at least as unlike the nearest; the
    posterior of a design counts as much as what it is."""
    search = search_by(perfect)
    assert search.ask() is not None
    pool, rows = search.pool, np.arange(20)
    keys = pool.keys[3:6]
    each = np.array([pool.diversity(rows, [key]) for key in keys])
    assert (np.diagonal(each[:, 3:6]) == 0).all() and (each[:, 10:] > 0).all()
    np.testing.assert_allclose(pool.diversity(rows, keys), each.prod(axis=0))
    np.testing.assert_allclose(pool.diversity(rows, keys, nearest=True), each.min(axis=0))
    assert pool.posterior is not None
    nearer = replace(pool.posterior, mean=np.zeros_like(pool.posterior.mean))
    pool.posterior = nearer
    assert (pool.diversity(rows, [keys[0]]) <= each[0]).all() and (pool.diversity(rows, [keys[0]]) < each[0]).any()
    assert (pool.diversity(rows, []) == 1).all() and (pool.diversity(rows, [b"nobody"]) == 1).all()
