"""Every algorithm behind ask and tell: it runs, repeats itself under one seed, and proposes no candidate twice."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from cost_model.nmp.roofline import RooflineEvaluator
from design.contracts import Space
from design.core import Status, key_bytes
from design.errors import InputError
from design.nmp.device import Platform
from dse.search.engine import ALGORITHMS, Effort, make_search
from dse.search.propose import Candidates
from dse.spaces.nmp.fixed import FixedSpace
from tests.cases import all_equal, hardware, model_workload, nmp_space

METRICS = ("prefill_s", "decode_s", "latency_s")
EFFORT = Effort(population=30, topk=12, mutate_ratio=0.8, seed=5)
WORKLOAD, PLATFORM = model_workload(batch=16), Platform()


@cache
def nmp() -> Space:
    """OPT-6.7B at batch 16, for which NMP channels are scarce."""
    return nmp_space(WORKLOAD, PLATFORM, hardware((4, 6)))


def fixed(input_kb: tuple[int, ...] = (8, 16, 32)) -> FixedSpace:
    """Two NMP channel counts, two processors, a few buffers."""
    return FixedSpace("fc_offloading", WORKLOAD, PLATFORM, hardware((2, 6), input_kb=input_kb))


def walk(
    space: Space, algorithm: str, metrics: Sequence[str], generations: int = 3, effort: Effort = EFFORT
) -> list[Candidates]:
    """Some generations of a search, told what the roofline evaluator says."""
    evaluator = RooflineEvaluator(WORKLOAD, PLATFORM)
    search = make_search(space, effort, algorithm, len(metrics), generations * effort.population)
    found = []
    for _ in range(generations):
        candidates = search.ask()
        if candidates is None:
            break
        found.append(candidates)
        answer = evaluator.evaluate(candidates.batch, seed=0)
        values = np.stack([answer.metrics[name] for name in metrics], axis=1)
        search.tell(candidates.genomes, values, np.stack(list(answer.violation.values()), axis=1))
    return found


def applies(algorithm: str, objectives: int) -> bool:
    """Whether an algorithm can do with that many objectives, and with a space that is not counted."""
    return algorithm != "enumerate" and (objectives == 1 or algorithm != "ga")


RUNS = [(name, METRICS[:count]) for name in ALGORITHMS for count in (1, 2, 3) if applies(name, count)]


@pytest.mark.parametrize(
    ("algorithm", "metrics"), RUNS, ids=lambda value: str(value if isinstance(value, str) else len(value))
)
@pytest.mark.filterwarnings("error")
def test_every_algorithm(algorithm: str, metrics: tuple[str, ...]) -> None:
    """With one, two and three objectives: whole generations of new candidates with their keys and genomes, and the
    same ones again under the same seed; no warning."""
    space = nmp()
    found, again = walk(space, algorithm, metrics), walk(space, algorithm, metrics)
    assert [len(candidates) for candidates in found] == [EFFORT.population] * 3
    keys = [key for candidates in found for key in candidates.keys]
    assert len(set(keys)) == len(keys)
    for candidates, twin in zip(found, again, strict=True):
        assert np.array_equal(candidates.genomes, twin.genomes) and candidates.keys == twin.keys
        assert candidates.keys == key_bytes(space.schema.key(candidates.batch))
        assert all_equal(space.decode(candidates.genomes), candidates.batch)


@pytest.mark.parametrize("algorithm", ["nsga2", "sms-emoa", "spea2"])
def test_a_search_leaves_nothing_behind(algorithm: str) -> None:
    """A search is the same again after others in the same process, with more and with fewer objectives."""
    first = walk(nmp(), algorithm, METRICS[:2])
    for metrics in (METRICS, METRICS[:1]):
        walk(nmp(), algorithm, metrics)
    again = walk(nmp(), algorithm, METRICS[:2])
    assert [candidates.keys for candidates in again] == [candidates.keys for candidates in first]


@pytest.mark.parametrize("algorithm", ["auto", "nsga2", "random"])
def test_another_seed_is_another_search(algorithm: str) -> None:
    """Only the seed differs, and so do the candidates."""
    metrics = METRICS[:2]
    one, other = (walk(nmp(), algorithm, metrics, 2, Effort(30, 12, 0.8, seed)) for seed in (1, 2))
    assert not np.array_equal(one[0].genomes, other[0].genomes)
    assert not np.array_equal(one[1].genomes, other[1].genomes)


@pytest.mark.parametrize(
    "effort",
    [Effort(1, 1, 0.8, 0), Effort(7, 30, 1.0, 0), Effort(20, 1, 0.0, 0), Effort(2, 2, 0.5, 0)],
    ids=lambda effort: f"{effort.population}-{effort.topk}-{effort.mutate_ratio}",
)
@pytest.mark.parametrize("metrics", [METRICS[:1], METRICS[:2]], ids=len)
@pytest.mark.filterwarnings("error")
def test_odd_sizes(effort: Effort, metrics: tuple[str, ...]) -> None:
    """A generation of one, more parents than candidates, no variation, nothing but variation."""
    found = walk(nmp(), "auto", metrics, 5, effort)
    assert [len(candidates) for candidates in found] == [effort.population] * 5


@pytest.mark.parametrize("population", [1, 5, 12, 100])
@pytest.mark.parametrize("algorithm", ["auto", "enumerate"])
def test_enumeration_covers_a_space(algorithm: str, population: int) -> None:
    """Every candidate of a fixed dataflow once, in whole generations, then the end; `auto` does so by itself."""
    space = fixed()
    found = walk(space, algorithm, METRICS[:1], 13, Effort(population, 5, 0.8, 0))
    assert all(len(candidates) == population for candidates in found[:-1])
    keys = [key for candidates in found for key in candidates.keys]
    assert len(keys) == len(set(keys)) == space.size == 12


@pytest.mark.parametrize("algorithm", ["ga", "nsga2", "random"])
def test_a_small_space_ends(algorithm: str) -> None:
    """Without enumeration, too, all 12 designs are found, none twice, and then there is nothing new to try."""
    found = walk(fixed(), algorithm, METRICS[:1], 20, Effort(5, 5, 0.8, 0))
    assert sum(map(len, found)) == len({key for candidates in found for key in candidates.keys}) == 12
    assert len(found) < 20


def test_auto_searches_what_is_too_large_to_enumerate() -> None:
    """More designs than candidates: not the lexicographic order of an enumeration."""
    few = Effort(5, 5, 0.8, 0)
    enumerated, searched = (walk(fixed(), name, METRICS[:1], 2, few) for name in ("enumerate", "auto"))
    assert not np.array_equal(enumerated[0].genomes, searched[0].genomes)


def test_starts_come_first() -> None:
    """An evolutionary search begins with known simple designs, random search does not know them."""
    space = nmp()
    starts = set(key_bytes(space.schema.key(space.decode(space.starts()))))
    assert starts & set(walk(space, "auto", METRICS[:1], 1)[0].keys)
    assert not starts & set(walk(space, "random", METRICS[:1], 1)[0].keys)


def test_a_generation_that_taught_nothing() -> None:
    """Where all candidates failed and none is told, the search goes on with new ones."""
    search, keys = make_search(nmp(), EFFORT, "auto", 1, 100), []
    for _ in range(3):
        candidates = search.ask()
        assert candidates is not None
        keys += candidates.keys
        search.tell(candidates.genomes[:0], np.empty((0, 1)), np.empty((0, 1)))
    assert len(keys) == len(set(keys)) == 90


def test_evolution_learns() -> None:
    """With the same number of candidates, the best latency is lower than that of random search, for each of 3 seeds."""
    evaluator = RooflineEvaluator(WORKLOAD, PLATFORM)
    for seed in range(3):
        best = []
        for algorithm in ("random", "ga"):
            found = walk(nmp(), algorithm, ("latency_s",), 10, Effort(100, 20, 0.8, seed))
            lowest = np.inf
            for candidates in found:
                answer = evaluator.evaluate(candidates.batch, seed=0)
                lowest = np.min(answer.metrics["latency_s"][answer.status == Status.OK], initial=lowest)
            best.append(float(lowest))
        assert best[1] < best[0] < np.inf


@pytest.mark.parametrize(
    ("algorithm", "objectives", "text"),
    [
        ("ga", 2, "ga with 2 objectives"),
        ("enumerate", 1, "enumerate on a space of unknown size"),
        ("nsga4", 1, "'nsga4' is unknown"),
        ("", 2, "'' is unknown"),
        ("GA", 1, "'GA' is unknown"),
    ],
)
def test_what_cannot_be_done_is_refused(algorithm: str, objectives: int, text: str) -> None:
    """One line that names the option."""
    with pytest.raises(InputError, match=f"^--algorithm: {text}"):
        make_search(nmp(), EFFORT, algorithm, objectives, 100)
