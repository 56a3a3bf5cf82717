"""The files of an HLS data set, from a folder or a tar archive that is read in memory and never unpacked.

A data set has `sources/*.c` and `designs/TOOL/*.json`, at the top or under one folder.
"""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from design.errors import InputError

MOST_MEMBERS = 20_000  # of an archive; the published set has about a hundred
LARGEST_FILE = 64 * 2**20  # bytes of one file
LARGEST_SET = 512 * 2**20  # bytes of all files of an archive, unpacked
DAMAGED = (OSError, tarfile.TarError, EOFError, zlib.error)
LAYOUT = "a folder or .tar.gz with sources/NAME_kernel.c and designs/TOOL/NAME.json, at the top or under one folder"


@dataclass(frozen=True)
class HlsFiles:
    """`sources` by file name and `tables[tool]` by kernel name: each reads one file's bytes."""

    where: str
    sources: dict[str, Callable[[], bytes]]
    tables: dict[str, dict[str, Callable[[], bytes]]]

    def source(self, kernel: str) -> tuple[str, str]:
        """(text, where) of the source of a kernel: NAME_kernel.c, or the only NAME_*_kernel.c."""
        exact = f"{kernel}_kernel.c"
        found = [exact] if exact in self.sources else []
        found = found or sorted(n for n in self.sources if n.startswith(f"{kernel}_") and n.endswith("_kernel.c"))
        if len(found) != 1:
            what = f"has {' and '.join(found)}" if found else "has no source"
            raise InputError(f"{self.where}, kernel {kernel}", what, f"sources/{exact}, or one {kernel}_*_kernel.c")
        return self.text(found[0])

    def text(self, source: str) -> tuple[str, str]:
        """(text, where) of one of `sources`."""
        where = f"{self.where}, sources/{source}"
        return _text(self.sources[source](), where), where

    def table(self, tool: str, kernel: str) -> tuple[dict[str, Any], str]:
        """(the JSON object, where) of the results of a kernel by a tool."""
        where = f"{self.where}, designs/{tool}/{kernel}.json"
        return json_object(_text(self.tables[tool][kernel](), where), where), where


def open_files(path: Path) -> HlsFiles:
    """The data set at `path`. Raises InputError where there is none, or where it is damaged or far too large."""
    if path.is_dir():
        members = dict(_in_folder(path))
    elif path.is_file():
        members = _in_archive(path)
    else:
        raise InputError(str(path), "is not there", LAYOUT)
    return _arranged(str(path), members)


def _in_folder(path: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    try:
        for top in ("", *(f"{entry.name}/" for entry in sorted(path.iterdir()) if entry.is_dir())):
            for pattern in ("sources/*.c", "designs/*/*.json"):
                for file in sorted((path / top).glob(pattern)):
                    yield PurePosixPath(file.relative_to(path).as_posix()), partial(_read, file)
    except OSError as error:
        raise InputError.unreadable(str(path), error, "a readable folder") from None


def _read(file: Path) -> bytes:
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise InputError(str(file), f"{file.stat().st_size} bytes", f"at most {LARGEST_FILE}")
        return file.read_bytes()
    except OSError as error:
        raise InputError.unreadable(str(file), error, "a readable file") from None


def _in_archive(path: Path) -> dict[PurePosixPath, Callable[[], bytes]]:
    """Ordinary files only, links left out, read in one pass; nothing is written, so a name can lead nowhere."""
    found: dict[PurePosixPath, Callable[[], bytes]] = {}
    total = 0
    try:
        with tarfile.open(path, "r:*") as archive:
            for count, member in enumerate(archive):
                total += member.size
                if count >= MOST_MEMBERS or member.size > LARGEST_FILE or total > LARGEST_SET:
                    limits = f"at most {MOST_MEMBERS} files, {LARGEST_FILE} bytes each, {LARGEST_SET} in all"
                    raise InputError(str(path), f"is larger than any data set at {member.name[:80]}", limits)
                name = PurePosixPath(member.name)
                if ".." in name.parts or name.is_absolute():
                    raise InputError(str(path), f"has the member {member.name[:80]}", "names inside the archive")
                if member.isreg() and name.suffix in (".c", ".json"):
                    if name in found:
                        raise InputError(str(path), f"has {name} twice", "each file once")
                    handle = archive.extractfile(member)
                    data = handle.read() if handle is not None else b""
                    found[name] = partial(bytes, data)
    except DAMAGED as error:
        raise InputError.unreadable(str(path), error, LAYOUT) from None
    return found


def _arranged(where: str, members: dict[PurePosixPath, Callable[[], bytes]]) -> HlsFiles:
    """Sorts the files by what they are; others are left alone."""
    sets: dict[tuple[str, ...], HlsFiles] = {}
    for name, read in members.items():
        parts, hidden = name.parts, name.name.startswith(".")
        for top in (0, 1):
            rest = parts[top:]
            if hidden or rest[:1] not in (("sources",), ("designs",)):
                continue
            files = sets.setdefault(parts[:top], HlsFiles(where, {}, {}))
            if rest[0] == "sources" and len(rest) == 2 and name.suffix == ".c":
                files.sources[name.name] = read
            elif rest[0] == "designs" and len(rest) == 3 and name.suffix == ".json":
                files.tables.setdefault(rest[1], {})[name.stem] = read
    whole = {top: files for top, files in sets.items() if files.sources and files.tables}
    if len(whole) != 1:
        found = f"holds {len(whole)} data sets" if whole else "holds no sources/ with designs/ beside it"
        raise InputError(where, found, LAYOUT)
    return next(iter(whole.values()))


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError.unreadable(where, error, "a text in UTF-8") from None


def json_object(text: str, where: str) -> dict[str, Any]:
    """A JSON object from text. Raises InputError where it is something else or gives a key twice, at any depth."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in found if names.count(name) > 1)
            raise InputError(where, f"gives the key '{twice[:120]}' twice", "each key once")
        return found

    try:
        value = json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InputError(where, f"is not JSON ({error.msg}, {place})", "a complete JSON object") from None
    except ValueError:
        raise InputError(where, "holds a number of thousands of digits", "numbers of a sane size") from None
    except RecursionError:
        raise InputError(where, "is nested too deeply", "an object of designs") from None
    if not isinstance(value, dict):
        raise InputError(where, "holds no JSON object", "one of designs by key")
    return value
