"""Ways to walk a space behind ask and tell. The only file that imports pymoo, and only when one is used.

A generation is `population` candidates. An evolutionary search keeps the `topk` best as parents; of the next
generation a share of `mutate_ratio` are varied parents and the rest fresh samples. pymoo decides who survives;
variation is the space's own.
"""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from design.contracts import Space
from design.core import Floats, Genomes, Rows
from design.errors import InputError
from dse.search.propose import Candidates, Proposer


@dataclass(frozen=True)
class Effort:
    """Size of a search: candidates a generation, parents kept, share of varied parents, seed."""

    population: int
    topk: int
    mutate_ratio: float
    seed: int


class Search(Protocol):
    """A walk through a space."""

    def ask(self) -> Candidates | None:
        """The next generation; None when there is nothing new to try."""
        ...

    def tell(self, genomes: Genomes, values: Floats, violation: Floats) -> None:
        """Answers for genomes of the last generation: (n, objectives) to minimise, (n, constraints) >= 0."""
        ...


class RandomSearch:
    """Fresh samples only: the honest baseline. It does not use known starts."""

    def __init__(self, space: Space, effort: Effort) -> None:
        self._space, self._effort = space, effort
        self._rng, self._proposer = np.random.default_rng(effort.seed), Proposer(space)

    def ask(self) -> Candidates | None:
        """See `Search`."""
        return self._proposer.fresh(lambda n: self._space.sample(n, self._rng), self._effort.population)

    def tell(self, genomes: Genomes, values: Floats, violation: Floats) -> None:
        """Random search learns nothing."""


class Enumeration:
    """Every candidate of a space of known size, in lexicographic order of its genes."""

    def __init__(self, space: Space, effort: Effort) -> None:
        assert space.size is not None
        self._space, self._effort, self._next = space, effort, 0
        self._proposer = Proposer(space)

    def ask(self) -> Candidates | None:
        """See `Search`."""
        assert self._space.size is not None
        begin, self._next = self._next, min(self._next + self._effort.population, self._space.size)
        if begin == self._next:
            return None
        low, high = self._space.bounds.T
        genes = np.unravel_index(np.arange(begin, self._next), tuple((high - low + 1).tolist()))
        genomes = np.stack(genes, axis=1).astype(np.int64) + low
        return self._proposer.fresh(lambda _: genomes, self._effort.population)

    def tell(self, genomes: Genomes, values: Floats, violation: Floats) -> None:
        """Enumeration learns nothing."""


class Evolution:
    """A pymoo algorithm: it keeps the survivors, the space varies them."""

    def __init__(self, space: Space, effort: Effort, algorithm: str, objectives: int) -> None:
        self._space, self._effort = space, effort
        self._rng, self._proposer = np.random.default_rng(effort.seed), Proposer(space)
        self._algorithm = _pymoo_algorithm(algorithm, objectives, effort)
        self._objectives = objectives
        # In random order: a small first generation should not see one corner of the hardware only.
        self._starts = self._rng.permutation(np.unique(space.starts(), axis=0))
        self._problem: Any = None

    def ask(self) -> Candidates | None:
        """See `Search`."""
        draw = self._first if self._problem is None else self._next
        return self._proposer.fresh(draw, self._effort.population, lambda n: self._space.sample(n, self._rng))

    def _first(self, count: int) -> Genomes:
        starts = self._known(count)
        return np.concatenate([starts, self._space.sample(count - len(starts), self._rng)])

    def _known(self, count: int) -> Genomes:
        """Known simple designs not tried yet, at most half of a draw."""
        share = -(-count // 2)
        chosen, self._starts = self._starts[:share], self._starts[share:]
        return chosen

    def _next(self, count: int) -> Genomes:
        starts = self._known(count)
        parents = self._algorithm.pop.get("X")
        varied = round((count - len(starts)) * self._effort.mutate_ratio)
        # pymoo returns survivors front by front, best first; squaring a uniform draw favours the earlier.
        chosen = parents[(len(parents) * self._rng.random(varied) ** 2).astype(int)]
        children = self._space.vary(chosen, self._rng) if varied else chosen
        return np.concatenate([starts, children, self._space.sample(count - len(starts) - varied, self._rng)])

    def tell(self, genomes: Genomes, values: Floats, violation: Floats) -> None:
        """See `Search`."""
        if not len(genomes):
            return
        first = self._problem is None
        rows = self._worth_showing(values, violation)
        genomes, values, violation = genomes[rows], values[rows], violation[rows]
        if not len(genomes):
            return
        if first:
            self._begin(genomes, violation.shape[1])
            offspring = self._algorithm.ask()
        else:
            offspring = _population(genomes)
        offspring.set("F", values, "G", violation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # crowding of equal values divides by zero
            self._algorithm.tell(infills=offspring)
            if first:
                a = self._algorithm
                a.pop = a.survival.do(
                    self._problem, a.pop, n_survive=self._effort.topk, algorithm=a, random_state=a.random_state
                )

    def _worth_showing(self, values: Floats, violation: Floats) -> Rows:
        """Rows that may matter to the survivors.

        Many designs differ in name only and cost the same: they would crowd all others out of the parents, so
        of equal answers one survives. And with one objective only the `topk` best of the rows can survive;
        pymoo handles individuals one by one in Python, so the others are not shown to it.
        """
        answers = np.concatenate([values, violation], axis=1)
        if self._problem is not None:
            known = np.concatenate(self._algorithm.pop.get("F", "G"), axis=1)
            answers = np.concatenate([known, answers])
        new = len(answers) - len(values)
        _, first = np.unique(_rounded(answers), axis=0, return_index=True)
        rows = np.sort(first[first >= new]) - new
        if self._objectives == 1 and len(rows) > self._effort.topk:
            best = np.lexsort((values[rows, 0], violation[rows].mean(axis=1)))[: self._effort.topk]
            rows = rows[best]
        return rows

    def _begin(self, genomes: Genomes, constraints: int) -> None:
        from pymoo.core.problem import Problem

        low, high = self._space.bounds.T
        self._problem = Problem(
            n_var=len(low), n_obj=self._objectives, n_ieq_constr=constraints, xl=low, xu=high, vtype=int
        )
        self._algorithm.initialization.sampling = _population(genomes)
        self._algorithm.setup(self._problem, seed=self._effort.seed)


def _population(genomes: Genomes) -> Any:
    from pymoo.core.population import Population

    return Population.new("X", genomes)


def _rounded(values: Floats) -> Floats:
    """To 40 binary digits: sums in another order differ in the last of a float's 53."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**40), exponent - 40)


ALGORITHMS = (
    "auto",
    "ga",
    "nsga2",
    "nsga3",
    "unsga3",
    "sms-emoa",
    "age-moea",
    "age-moea2",
    "spea2",
    "random",
    "enumerate",
)
SINGLE, MANY = "ga", "nsga2"  # what `auto` stands for with one objective, and with several


def make_search(space: Space, effort: Effort, algorithm: str, objectives: int, candidates: int) -> Search:
    """The search of that name. `auto` enumerates a space that has no more than `candidates` designs.

    Raises InputError for an algorithm that cannot do what is asked.
    """
    if algorithm == "auto":
        small = space.size is not None and space.size <= candidates
        algorithm = "enumerate" if small else SINGLE if objectives == 1 else MANY
    if algorithm == "random":
        return RandomSearch(space, effort)
    if algorithm == "enumerate":
        if space.size is None:
            raise InputError("--algorithm", "enumerate on a space of unknown size", "a fixed dataflow")
        return Enumeration(space, effort)
    if algorithm == "ga" and objectives > 1:
        raise InputError("--algorithm", f"ga with {objectives} objectives", "one objective, or nsga2")
    return Evolution(space, effort, algorithm, objectives)


def _pymoo_algorithm(name: str, objectives: int, effort: Effort) -> Any:
    """The named algorithm with `topk` survivors. Its own sampling and variation are never called."""
    from pymoo.core.mating import Mating
    from pymoo.core.termination import NoTermination

    unused: Any = Mating(None, None, None)
    common: dict[str, Any] = {"pop_size": effort.topk, "mating": unused, "eliminate_duplicates": False}
    if name == "ga":
        from pymoo.algorithms.soo.nonconvex.ga import GA as made
    elif name == "nsga2":
        from pymoo.algorithms.moo.nsga2 import NSGA2 as made
    elif name in ("nsga3", "unsga3"):
        from pymoo.algorithms.moo.nsga3 import NSGA3
        from pymoo.algorithms.moo.unsga3 import UNSGA3

        made = NSGA3 if name == "nsga3" else UNSGA3
        common["ref_dirs"] = _directions(objectives, effort)
    elif name == "sms-emoa":
        from pymoo.algorithms.moo.sms import SMSEMOA as made
    elif name in ("age-moea", "age-moea2"):
        made = _age_moea(name)
    elif name == "spea2":
        from pymoo.algorithms.moo.spea2 import SPEA2 as made
        from pymoo.algorithms.moo.spea2 import SPEA2Survival

        # pymoo's default is one object for all instances, whose normalisation leaks from run to run.
        common["survival"] = SPEA2Survival(normalize=True)
    else:
        raise InputError("--algorithm", f"'{name}' is unknown", ", ".join((*ALGORITHMS, "exact")))
    algorithm = made(**common)
    algorithm.termination = NoTermination()
    algorithm.output = None
    return algorithm


def _age_moea(name: str) -> Any:
    """These two need numba, which a plain search can do without."""
    if importlib.util.find_spec("numba") is None:
        raise InputError("--algorithm", f"{name} needs numba", "pip install -r requirements.txt, or nsga2")
    from pymoo.algorithms.moo.age import AGEMOEA
    from pymoo.algorithms.moo.age2 import AGEMOEA2

    return AGEMOEA if name == "age-moea" else AGEMOEA2


def _directions(objectives: int, effort: Effort) -> Floats:
    """At most `topk` reference directions, evenly spread over the simplex."""
    from pymoo.util.ref_dirs import get_reference_directions

    if objectives == 1:
        return np.ones((1, 1))
    return get_reference_directions("energy", objectives, effort.topk, seed=effort.seed)
