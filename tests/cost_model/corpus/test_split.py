"""The file of held-out families: the shipped one, one with hashes, and what is no split."""

from __future__ import annotations

from pathlib import Path

import pytest

from cost_model.corpus.split import read_split
from design.errors import InputError

MARK = "0123456789abcdef" * 2


def test_shipped() -> None:
    """The published families, with a reason."""
    split = read_split()
    assert split.families == ("bicg", "doitgen", "gemver", "stencil", "syr2k") and split.why


def test_with_hashes(tmp_path: Path) -> None:
    """Of kernels that are not at hand."""
    path = tmp_path / "split.json"
    path.write_text(f'{{"test_families": ["a"], "why": "b", "likenesses": {{"{MARK}": "a-large"}}}}')
    assert read_split(path).likenesses == {MARK: "a-large"}
    path.write_text('{"test_families": ["a"], "why": "b"}')
    assert read_split(path).likenesses == {}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[]", "holds"),
        ('{"test_families": []}', "'why'"),
        ('{"test_families": [], "why": ""}', "at least one"),
        ('{"test_families": [1], "why": ""}', "no list of families"),
        ('{"test_families": ["a-b"], "why": ""}', "without a '-'"),
        ('{"test_families": ["a", "a"], "why": ""}', "twice"),
        ('{"test_families": ["a"], "why": "", "more": 1}', "unknown"),
        ('{"test_families": ["a"], "why": "", "likenesses": []}', "an object"),
        ('{"test_families": ["a"], "why": "", "likenesses": {"12": "a"}}', "32 hexadecimal"),
        (f'{{"test_families": ["a"], "why": "", "likenesses": {{"{MARK}": 1}}}}', "32 hexadecimal"),
    ],
)
def test_no_split(text: str, word: str, tmp_path: Path) -> None:
    """One line that names the file."""
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(InputError, match=r"split\.json") as caught:
        read_split(tmp_path / "split.json")
    assert word in str(caught.value)
