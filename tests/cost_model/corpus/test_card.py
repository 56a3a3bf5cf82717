"""The data card of the usual small data set, as it was read by eye."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cost_model.corpus.hls.augment import augmented
from cost_model.corpus.hls.card import HLSYN, data_card, main
from cost_model.corpus.hls.records import gather
from cost_model.corpus.split import Split
from tests.cases_hls import usual

GOLDEN = Path(__file__).parent / "golden" / "card.txt"


def test_card(tmp_path: Path, golden: Callable[[Path, str], None]) -> None:
    """Everything on it, a child of a rewrite too; the licence line is HLSyn's unless another is given."""
    corpus = gather(usual(tmp_path), Split(("dot",), "Kept to judge by.", {"a" * 32: "dot-large"}))
    corpus = corpus.joined([augmented(corpus.records[0], 0)])
    golden(GOLDEN, data_card(corpus, "made up by tests"))
    assert HLSYN in data_card(corpus) and "CC BY-SA 4.0" in HLSYN


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the card of a data set by a split file."""
    (tmp_path / "split.json").write_text('{"test_families": ["scale"], "why": "none"}')
    data = usual(tmp_path / "data")
    main(["--data", str(data), "--split", str(tmp_path / "split.json"), "--source", "us"])
    said = capsys.readouterr().out
    assert said == data_card(gather(data, Split(("scale",), "none")), "us") and "v18/scale-large" in said
