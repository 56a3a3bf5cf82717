"""Acquired labels beside a data set: whose name a kernel has, which designs are new, and what is a contradiction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost_model.corpus.hls.acquired import BoughtLabel, read_augmentation
from cost_model.corpus.hls.augment import augmented
from cost_model.corpus.hls.card import data_card
from cost_model.corpus.hls.merge import with_bought
from cost_model.corpus.hls.records import Corpus, gather, refuse
from cost_model.corpus.hls.records import forbidden_of as forbidden
from cost_model.corpus.split import Split
from design.contracts import Dataset
from design.errors import InputError
from tests.cases_hls import DOT, entry, scale_source, usual
from tests.cost_model.corpus.acquired_cases import kernel_of, label_of, labels_of, written

TWICE = scale_source(96).replace("3.0", "2.0 + in[i][0]")
RENAMED = TWICE.replace("scale", "friend").replace("in[", "from[").replace("out[", "to[")
NEW = {"P0": "off", "T0": 4, "U0": 8, "U1": 8}  # a design that the data set lacks
SPLIT = Split(("dot",), "for the test")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual data set."""
    return usual(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def corpus(path: Path) -> Corpus:
    """All of it but dot."""
    return gather(path, SPLIT)


def bought(path: Path, labels: list[BoughtLabel], source: str | None = None, tool: str = "v18") -> Dataset:
    """A data set by way of a file."""
    return read_augmentation(written(path, labels, source, tool))


def test_a_new_kernel(corpus: Corpus, tmp_path: Path) -> None:
    """It is at the end by its own name, all of it."""
    source = scale_source(77)
    record = bought(tmp_path / "a.json", labels_of(kernel_of(source), range(5)), source)
    found = with_bought(corpus, [record])
    assert found.records[:-1] == corpus.records
    assert found.records[-1].metric("cycles").tolist() == record.metric("cycles").tolist()
    assert found.digest != corpus.digest and (record.task.name, record.task.family) == ("scale", "scale")


@pytest.mark.parametrize("source", [TWICE, TWICE.replace("\n", "\n\n"), RENAMED])
def test_known_kernels_keep_their_name(source: str, corpus: Corpus, tmp_path: Path) -> None:
    """By source or likeness, so that families which are held back for validation stay whole."""
    record = bought(tmp_path / "a.json", [label_of(kernel_of(source), entry(NEW, 900.0))], source)
    assert record.task.family != "twice"
    found = with_bought(corpus, [record]).records[-1]
    assert (found.task.name, found.task.family) == ("twice", "twice")
    assert found.provenance.where == str(tmp_path / "a.json")


def test_known_designs_are_left_out(corpus: Corpus, tmp_path: Path) -> None:
    """Of the same tool; a file of which nothing is left makes no record; designs without an answer are known, too."""
    kernel = kernel_of()
    labels = [*labels_of(kernel, [0, 9, 30]), label_of(kernel, entry(NEW, 900.0))]
    found = with_bought(corpus, [bought(tmp_path / "a.json", labels)])
    assert found.rows == corpus.rows + 1 and found.records[-1].metric("cycles").tolist() == [900.0]
    assert with_bought(corpus, [bought(tmp_path / "b.json", labels[:3])]) is corpus
    other = [label_of(kernel, entry(NEW, 900.0), "v20"), *labels_of(kernel, [0, 9], "v20")]
    assert with_bought(corpus, [bought(tmp_path / "c.json", other, tool="v20")]).rows == corpus.rows + 1


def test_two_files_of_one_kernel(corpus: Corpus, tmp_path: Path) -> None:
    """The second brings what the first has not."""
    source = scale_source(77)
    labels = labels_of(kernel_of(source), range(6))
    files = [bought(tmp_path / "a.json", labels[:4], source), bought(tmp_path / "b.json", labels[2:], source)]
    assert [len(r) for r in with_bought(corpus, files).records[-2:]] == [4, 2]
    files[1] = bought(tmp_path / "b.json", [replace(labels[2], cycles=7.0)], source)
    with pytest.raises(InputError, match=r"b\.json, design P0=off .*is known with another answer \(cycles 7\.0, and"):
        with_bought(corpus, files)


def test_contradictions(corpus: Corpus, tmp_path: Path) -> None:
    """Other cycles, none or some, other counts, or another word on validity; a count that one does not know is none."""
    made, none = labels_of(kernel_of(), [0, 9])
    unknown = dict.fromkeys(made.counts, float("nan"))
    cases = {
        "cycles": [
            replace(made, cycles=made.cycles + 1),
            replace(made, cycles=float("nan")),
            replace(none, cycles=5.0),
        ],
        "valid": [replace(made, valid=not made.valid), replace(none, valid=not none.valid)],
        "dsp": [replace(made, counts={**made.counts, "dsp": 99.0})],
    }
    for name, labels in cases.items():
        for one in labels:
            with pytest.raises(
                InputError, match=rf"a\.json, design .*another answer \({name} .*designs/v18/scale\.json"
            ):
                with_bought(corpus, [bought(tmp_path / "a.json", [one])])
    same = [replace(made, counts=unknown), replace(made, shares=unknown), replace(none, counts={**unknown, "lut": 1.0})]
    for one in same:
        assert with_bought(corpus, [bought(tmp_path / "a.json", [one])]) is corpus


def test_held_out_kernels_are_refused(path: Path, corpus: Corpus, tmp_path: Path) -> None:
    """A copy under other names by its likeness, naming file and kernel; a variant of other sizes by its family."""
    design = entry({"PIPE": "off", "PARA": 2}, 50.0)
    copy = DOT.replace("sum", "total").replace("left", "a").replace("right", "b").replace("dot", "product")
    for source, said in (
        (copy, "is a copy of the held-out kernel dot_of_two"),
        (DOT.replace("256", "99"), "family dot"),
    ):
        record = bought(tmp_path / "a.json", [label_of(kernel_of(source), design)], source)
        with pytest.raises(InputError, match=rf"record \w+ of v18 \(.*a\.json\): .*{said}"):
            refuse(with_bought(corpus, [record]), forbidden(path, SPLIT))
    other = copy.replace("256", "99")
    refuse(
        with_bought(corpus, [bought(tmp_path / "a.json", [label_of(kernel_of(other), design)], other)]),
        forbidden(path, SPLIT),
    )


def test_where_they_come_from(corpus: Corpus, tmp_path: Path) -> None:
    """The card names file, designs, kernel, tool and who said so; a child in other words does as its parent."""
    labels = [label_of(kernel_of(), entry(NEW, 900.0), truth="command/12")]
    found = with_bought(corpus, [bought(tmp_path / "a.json", labels)])
    line = f"  {tmp_path / 'a.json'}: 1 designs of scale (v18), said by command/12\n"
    assert line in data_card(found) and "Acquired labels" in data_card(found)
    assert "Acquired" not in data_card(corpus)
    assert augmented(found.records[-1], 0).provenance.sources == ("command/12",)
    assert np.isfinite(found.records[-1].metric("cycles")).all()
