"""A run's directory is its own while it runs, and earlier runs are moved aside, never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from design.errors import InputError
from dse.records.directory import RunDirectory, write_whole


def test_two_runs_cannot_share(tmp_path: Path) -> None:
    """The second is refused while the first is there, and what the first wrote stays; later it is welcome."""
    with RunDirectory(tmp_path):
        (tmp_path / "result.log").write_text("first")
        with pytest.raises(InputError, match="another run"), RunDirectory(tmp_path):
            pass
        assert (tmp_path / "result.log").read_text() == "first"
    with RunDirectory(tmp_path):
        assert not (tmp_path / "result.log").exists()
        assert (tmp_path / "earlier" / "001" / "result.log").read_text() == "first"


def test_only_own_files_move(tmp_path: Path) -> None:
    """Files that no run writes are left alone; numbers go on."""
    (tmp_path / "earlier" / "007").mkdir(parents=True)
    for name in ("front.csv", "run.sqlite-wal", "paper.tex"):
        (tmp_path / name).write_text(name)
    with RunDirectory(tmp_path):
        pass
    assert (tmp_path / "paper.tex").exists()
    moved = {path.name for path in (tmp_path / "earlier" / "008").iterdir()}
    assert moved == {"front.csv", "run.sqlite-wal"}


def test_write_whole_replaces(tmp_path: Path) -> None:
    """The new text is there, and no part file is left."""
    path = tmp_path / "a.txt"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two" and [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]
