"""What a model may learn from: tables of results with where they come from, and never a held-out kernel's."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from cost_model.corpus.hls.fingerprint import likenesses, marks_of
from cost_model.corpus.split import Split, read_split
from design.errors import InputError
from design.hls.design import TARGETS
from frontends.c_kernel import parse_kernel
from frontends.hls_results.files import open_files
from frontends.hls_results.tables import RESOURCES, KernelTable, family_of, read_results, result_names

TOOL, ESTIMATE = "tool", "estimate"  # fidelity: who made the labels


@dataclass(frozen=True)
class Record:
    """One kernel's designs with one tool's answers. `fidelity` says whether the tool itself or an estimate of it made
    them. `ancestors` are the digests and likenesses of the kernels that this one was made from, none of one that is
    as it was read. `bought_from` names who said bought labels, as name/version, and nobody for a data set's."""

    table: KernelTable
    fidelity: str = TOOL
    ancestors: tuple[str, ...] = ()
    bought_from: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the kernel."""
        return self.table.name

    @property
    def family(self) -> str:
        """Variants of one kernel are one family; so are those that were made from it."""
        return self.table.family

    @property
    def tool(self) -> str:
        """Its version."""
        return self.table.target.tool

    @property
    def where(self) -> str:
        """The file that the labels were read from."""
        return self.table.where

    @property
    def digest(self) -> str:
        """Of the kernel's source."""
        return self.table.kernel.digest

    @cached_property
    def likenesses(self) -> tuple[str, str]:
        """By which copies of the kernel are found, see cost_model/corpus/hls/fingerprint.py."""
        return likenesses(self.table.kernel)

    @property
    def marks(self) -> tuple[str, ...]:
        """All that it could be a copy by: its own hashes, and its ancestors'."""
        return (self.digest, *self.likenesses, *self.ancestors)


@dataclass(frozen=True)
class Corpus:
    """Records to learn from, at least one; `split` is what they were kept apart from, `left_out` the results that
    were there and not read, as TOOL/KERNEL. Raises InputError without a record."""

    records: tuple[Record, ...]
    split: Split
    left_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError("corpus", "holds no record", "results of at least one kernel that is not held out")

    @property
    def rows(self) -> int:
        """Designs in all."""
        return sum(len(record.table) for record in self.records)

    @cached_property
    def digest(self) -> str:
        """Hash of kernels, designs, labels, fidelities and ancestries in order; not of the paths of files."""
        state = blake2b(digest_size=16)
        for record in self.records:
            table = record.table
            head = (
                record.name,
                record.tool,
                record.digest,
                record.fidelity,
                record.ancestors,
                list(table.batch.columns),
            )
            state.update(repr((*head, len(table))).encode())
            for column in (*table.batch.columns.values(), table.cycles, *(table.counts[r] for r in RESOURCES)):
                state.update(column.tobytes())
            state.update(table.valid.tobytes())
        return state.hexdigest()

    def joined(self, more: Collection[Record]) -> Corpus:
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
    records, left_out = list[Record](), list[str]()
    for tool, names in result_names(path).items():
        kept = [name for name in names if family_of(name) not in split.families]
        left_out += [f"{tool}/{name}" for name in names if name not in kept]
        if tool in TARGETS and kept:
            records += [Record(table) for table in read_results(path, tool, kept) if len(table)]
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
        who = f"record {record.name} of {record.tool} ({record.where})"
        if record.family in forbidden.families:
            raise InputError(who, f"is of the held-out family {record.family}", "kernels of other families")
        for mark in record.marks:
            if mark in forbidden.marks:
                how = "is a copy of" if mark in (record.digest, *record.likenesses) else "was made from"
                what = f"{how} the held-out kernel {forbidden.marks[mark]}"
                raise InputError(who, what, "kernels that are not held out under another name")
