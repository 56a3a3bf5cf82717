"""What a model may learn from: tables of results with where they come from, and never a held-out kernel's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from cost_model.corpus.split import Split, read_split
from design.contracts import Dataset
from design.errors import InputError
from design.hls.design import TARGETS
from design.hls.fingerprint import marks_of
from design.hls.task import family_of, hls_task_of
from design.metrics import HLS_METRICS
from frontends.c_kernel import parse_kernel
from frontends.hls_results.files import open_files
from frontends.hls_results.tables import read_results, result_names


@dataclass(frozen=True)
class Corpus:
    """Data sets to learn from, at least one; `split` is what they were kept apart from, `left_out` the results that
    were there and not read, as TOOL/KERNEL. Raises InputError without a data set."""

    records: tuple[Dataset, ...]
    split: Split
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError("corpus", "holds no record", "results of at least one kernel that is not held out")

    @property
    def rows(self) -> int:
        """Designs in all."""
        return sum(len(record) for record in self.records)

    @cached_property
    def digest(self) -> str:
        """Hash of kernels, designs, labels, fidelities and ancestries in order; not of the paths of files."""
        state = blake2b(digest_size=16)
        for record in self.records:
            task = hls_task_of(record)
            head = (task.name, task.target.tool, task.digest, record.fidelity, record.provenance.ancestors)
            state.update(repr((*head, list(record.batch.columns), len(record))).encode())
            for column in (*record.batch.columns.values(), *(record.metric(name) for name in HLS_METRICS)):
                state.update(column.tobytes())
            state.update(record.feasible.tobytes())
        return state.hexdigest()

    def joined(self, more: Collection[Dataset]) -> Corpus:
        """With more records at its end."""
        return replace(self, records=(*self.records, *more))


@dataclass(frozen=True)
class Forbidden:
    """What no record may come from: families by name, and kernels by hash, `marks[hash]` naming the kernel."""

    families: frozenset[str]
    marks: Mapping[str, str] = field(default_factory=dict)


def gather(path: Path, split: Split | None = None) -> Corpus:
    """All results of a data set, by all known tool versions, but for those of the split's families, whose tables stay
    closed; by default of config/hls/split.json. Empty tables are passed over.

    Raises InputError as `read_results` and `refuse` do, and where nothing is left.
    """
    split = read_split() if split is None else split
    forbidden = forbidden_of(path, split)
    records, left_out = list[Dataset](), list[str]()
    for tool, names in result_names(path).items():
        kept = [name for name in names if family_of(name) not in split.families]
        left_out += [f"{tool}/{name}" for name in names if name not in kept]
        if tool in TARGETS and kept:
            records += [table for table in read_results(path, tool, kept) if len(table)]
        elif kept:
            left_out += [f"{tool}/{name}" for name in kept]
    if not records:
        families = ", ".join(split.families)
        raise InputError(str(path), f"holds no results to learn from outside {families}", "results of other kernels")
    corpus = Corpus(tuple(records), split, tuple(left_out))
    refuse(corpus, forbidden)
    return corpus


def forbidden_of(path: Path, split: Split) -> Forbidden:
    """What a split holds out, with the hashes of its kernels whose sources are in the data set; results stay closed.
    Raises InputError where a source cannot be read."""
    files = open_files(path)
    marks = dict(split.likenesses)
    for name in sorted(files.sources):
        kernel = name.removesuffix(".c").removesuffix("_kernel")
        if any(kernel == family or kernel.startswith((f"{family}-", f"{family}_")) for family in split.families):
            text, where = files.text(name)
            marks |= dict.fromkeys(marks_of(parse_kernel(text, where)), kernel)
    return Forbidden(frozenset(split.families), marks)


def refuse(corpus: Corpus, forbidden: Forbidden) -> None:
    """Raises InputError, naming the record, where one is of a forbidden family, is a copy of a forbidden kernel under
    other names, or was made from one."""
    for record in corpus.records:
        task = hls_task_of(record)
        who = f"record {task.name} of {task.target.tool} ({record.provenance.where})"
        if task.family in forbidden.families:
            raise InputError(who, f"is of the held-out family {task.family}", "kernels of other families")
        for mark in (*task.fingerprints, *record.provenance.ancestors):
            if mark in forbidden.marks:
                how = "is a copy of" if mark in task.fingerprints else "was made from"
                what = f"{how} the held-out kernel {forbidden.marks[mark]}"
                raise InputError(who, what, "kernels that are not held out under another name")
