"""What is known of a C expression while a kernel is read: its value where it is affine or constant, and from which
reads it comes by which operations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from design.hls.loop_nest import Affine
from frontends.c_kernel.analysis.affine import ZERO, add
from frontends.c_kernel.c_types import CType, Number, Rows

Source = int | tuple[str, int]  # a load's number, or (scalar, loop): the scalar's value as an iteration begins
GUARD, TWICE = "guard", "twice"  # tags beside those of operations


@dataclass(frozen=True)
class Path:
    """The longest chain of operations on the way from a source, and the tags of those on all ways."""

    chain: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()

    def then(self, name: str, tag: str) -> Path:
        """One operation further."""
        return Path((*self.chain, name), self.tags | {tag})

    def on(self, other: Path) -> Path:
        """This way and then another."""
        return Path(self.chain + other.chain, self.tags | other.tags)

    def beside(self, other: Path) -> Path:
        """Two ways from the same source."""
        longer = self.chain if len(self.chain) >= len(other.chain) else other.chain
        return Path(longer, self.tags | other.tags)


Sources = Mapping[Source, Path]


def joined(several: Iterable[Sources], twice: bool = False) -> dict[Source, Path]:
    """All sources of several values. `twice` marks what comes in by more than one of them."""
    found: dict[Source, Path] = {}
    for sources in several:
        for source, path in sources.items():
            if source in found:
                path = found[source].beside(path)
                path = Path(path.chain, path.tags | {TWICE}) if twice else path
            found[source] = path
    return found


@dataclass(frozen=True)
class Value:
    """An expression's. `key` is equal for what is certainly equal; `compared` are the keys of a comparison's sides."""

    ctype: Number
    affine: Affine | None = None
    number: float | None = None
    sources: Sources = field(default_factory=dict)
    key: object = None
    compared: tuple[object, object] | None = None

    @property
    def known(self) -> float | None:
        """The number, where it is a constant."""
        if self.affine is not None:
            return None if self.affine.terms else self.affine.constant
        return self.number

    def after(self, name: str, tag: str) -> Sources:
        """The sources, one operation further."""
        return {source: path.then(name, tag) for source, path in self.sources.items()}

    def as_type(self, ctype: Number) -> Value:
        """Said to be of another type, by a conversion that costs nothing or is counted elsewhere."""
        return replace(self, ctype=ctype)


@dataclass(frozen=True)
class Region:
    """Part of an array: `index` chosen so far, `offset` to be added to the next one. `rest` is what is left of the
    type. Where pointer arithmetic hides the place in an array of several dimensions, `lost`. `place` is equal for equal
    subscripts, affine or not."""

    array: str
    rest: CType
    index: tuple[Affine | None, ...] = ()
    offset: Affine | None = ZERO
    lost: bool = False
    place: tuple[object, ...] = ()

    def at(self, subscript: Affine | None, key: object) -> Region:
        """One subscript further; `key` is the subscript's."""
        assert isinstance(self.rest, Rows)
        where = None if subscript is None or self.offset is None else add(self.offset, subscript)
        place = (*self.place, self.offset, key)
        return Region(self.array, self.rest.element, (*self.index, where), Affine(0), self.lost, place)

    def moved(self, by: Affine | None) -> Region:
        """Pointer arithmetic."""
        offset = None if by is None or self.offset is None else add(self.offset, by)
        return replace(self, offset=offset)
