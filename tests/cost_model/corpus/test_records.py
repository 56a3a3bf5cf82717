"""What a corpus holds, what it never holds, and what it says to bad input."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cost_model.corpus.hls.augment import augmented
from cost_model.corpus.hls.records import Corpus, Forbidden, forbidden_of, gather, refuse
from cost_model.corpus.split import Split
from design.contracts import ESTIMATE, Dataset
from design.core import Status
from design.errors import InputError
from design.hls.fingerprint import likenesses
from design.hls.task import hls_task_of
from frontends.c_kernel import parse_kernel
from frontends.hls_results.tables import read_results
from tests.cases_hls import DOT, dot_designs, packed, scale_designs, scale_source, usual, write_data

DOTLESS = Split(("dot",), "for the test")
RENAMED = DOT.replace("sum", "total").replace("left", "a").replace("right", "b").replace("dot", "product")


def named(data: Dataset, name: str) -> Dataset:
    """The same by another name."""
    return replace(data, task=replace(hls_task_of(data), known_as=name))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The usual data set."""
    return usual(tmp_path_factory.mktemp("data"))


def test_what_is_there(path: Path) -> None:
    """All tables of both tool versions but for those held out, each with where it came from."""
    corpus = gather(path, DOTLESS)
    assert [(hls_task_of(r).target.tool, r.task.name, r.task.family) for r in corpus.records] == [
        ("v18", "scale", "scale"),
        ("v18", "scale-large", "scale"),
        ("v18", "twice", "twice"),
        ("v20", "scale", "scale"),
        ("v20", "twice", "twice"),
    ]
    assert corpus.rows == 5 * 90 and corpus.left_out == ("v18/dot",)
    first = corpus.records[0]
    assert first.fidelity == "tool" and first.provenance.ancestors == ()
    assert first.provenance.where.endswith("designs/v18/scale.json")
    kernel = parse_kernel(scale_source(), "")
    assert first.task.digest == kernel.digest and first.task.fingerprints == (kernel.digest, *likenesses(kernel))


def test_held_out_results_stay_closed(path: Path, tmp_path: Path) -> None:
    """A table that cannot be read does no harm where it is held out, and does where it is not. By default it is
    config/hls/split.json that says so."""
    data = usual(tmp_path)
    write_data(data, {"bicg_kernel.c": DOT.replace("256", "250")}, {"v18/dot": "no table", "v20/bicg": "no table"})
    sources = data / "sources"
    assert gather(data, Split(("dot", "bicg"), "")).rows == 450
    (data / "designs" / "v18" / "dot.json").unlink()
    (sources / "dot_of_two_kernel.c").unlink()
    assert gather(data).left_out == ("v20/bicg",)
    with pytest.raises(InputError, match="bicg"):
        gather(data, DOTLESS)


def test_digest_is_of_the_contents(path: Path, tmp_path: Path) -> None:
    """The same from an archive; another for another label, design, kernel, order, ancestry or fidelity."""
    corpus = gather(path, DOTLESS)
    assert gather(packed(path, tmp_path / "set.tar.gz"), DOTLESS).digest == corpus.digest
    first, *rest = corpus.records
    status, cycles = first.evaluation.status.copy(), first.metric("cycles").copy()
    status[3] = Status.INFEASIBLE if first.feasible[3] else Status.OK
    cycles[5] += 1
    children = [
        replace(first, evaluation=replace(first.evaluation, status=status)),
        replace(first, evaluation=replace(first.evaluation, metrics=first.evaluation.metrics | {"cycles": cycles})),
        named(first, "other"),
        first.take(np.arange(89)),
        replace(first, fidelity=ESTIMATE),
        replace(first, provenance=replace(first.provenance, ancestors=("0" * 32,))),
        augmented(first, 0),
    ]
    corpora = [Corpus((child, *rest), DOTLESS) for child in children]
    corpora += [corpus, Corpus((*rest, first), DOTLESS), corpus.joined([first])]
    assert len({each.digest for each in corpora}) == len(corpora)
    assert corpora[-1].rows == 540 and corpora[-1].left_out == corpus.left_out


def test_nothing_to_learn(path: Path, tmp_path: Path) -> None:
    """One line, whether everything is held out, empty or by unknown tools."""
    with pytest.raises(InputError, match=r"holds no results to learn from outside scale, twice, dot"):
        gather(path, Split(("scale", "twice", "dot"), ""))
    write_data(tmp_path, {"dot_kernel.c": DOT}, {"v18/dot": {}, "v99/dot": dot_designs()})
    with pytest.raises(InputError, match="holds no results to learn from"):
        gather(tmp_path)
    with pytest.raises(InputError, match="is not there"):
        gather(tmp_path / "absent")
    with pytest.raises(InputError, match="holds no record"):
        Corpus((), DOTLESS)


def test_renamed_copies_are_refused(tmp_path: Path) -> None:
    """A data set with a held-out kernel under other names is refused, naming both, although its results are of another
    family; so is one in other words."""
    for number, text in enumerate((RENAMED, RENAMED.replace("i++", "++i").replace("i < 256", "i <= 255"))):
        folder = tmp_path / str(number)
        write_data(
            folder,
            {"dot_of_two_kernel.c": DOT, "friend_kernel.c": text, "scale_kernel.c": scale_source()},
            {"v18/dot": dot_designs(), "v18/friend": dot_designs(), "v18/scale": scale_designs()},
        )
        with pytest.raises(InputError, match=r"record friend of v18.* is a copy of the held-out kernel dot_of_two;"):
            gather(folder, DOTLESS)
        (folder / "designs" / "v18" / "friend.json").unlink()
        assert gather(folder, DOTLESS).rows == 90


def test_hashes_of_the_split_file_do_without_the_source(tmp_path: Path) -> None:
    """Either likeness finds the copy where the data set lacks the held-out kernel."""
    write_data(tmp_path, {"friend_kernel.c": RENAMED}, {"v20/friend": dot_designs()})
    assert gather(tmp_path, DOTLESS).rows == 27
    for mark in likenesses(parse_kernel(DOT, "dot")):
        with pytest.raises(InputError, match=r"record friend of v20.* is a copy of the held-out kernel dot-large"):
            gather(tmp_path, Split(("dot",), "", {mark: "dot-large"}))


def test_children_of_held_out_kernels_are_refused(path: Path) -> None:
    """By family, and by ancestry where the family is denied; through two generations; the others pass."""
    forbidden = forbidden_of(path, DOTLESS)
    corpus = gather(path, DOTLESS)
    stolen = read_results(path, "v18", ["dot"])[0]
    child = augmented(augmented(stolen, 1), 2)
    assert child.task.digest not in forbidden.marks and len(child.provenance.ancestors) >= 5
    with pytest.raises(InputError, match=r"record dot-\w{8}-\w{8} .*is of the held-out family dot"):
        refuse(corpus.joined([child]), forbidden)
    posing = named(child, "friend")
    with pytest.raises(InputError, match=r"record friend .*is a copy of the held-out kernel dot_of_two"):
        refuse(corpus.joined([posing]), forbidden)
    other = parse_kernel(DOT.replace("256", "255").replace("sum +=", "sum = sum -"), "far from it")
    distant = replace(posing, task=replace(hls_task_of(posing), kernel=other))
    with pytest.raises(InputError, match=r"record friend .*was made from the held-out kernel dot_of_two"):
        refuse(corpus.joined([distant]), forbidden)
    refuse(corpus.joined([augmented(record, 3) for record in corpus.records]), forbidden)
    refuse(corpus.joined([replace(distant, provenance=replace(distant.provenance, ancestors=()))]), forbidden)


def test_family_names_are_whole(tmp_path: Path) -> None:
    """Family 'do' holds out neither dot nor its source; 'dot' holds out all variants of it."""
    sources = {"dot_kernel.c": DOT, "dot-b_kernel.c": DOT.replace("256", "64"), "dot_two_kernel.c": DOT}
    write_data(tmp_path, sources, {"v18/dot": dot_designs()})
    assert not forbidden_of(tmp_path, Split(("do",), "")).marks
    found = forbidden_of(tmp_path, DOTLESS)
    assert isinstance(found, Forbidden) and set(found.marks.values()) == {"dot-b", "dot_two"} and len(found.marks) == 6


def test_gathered_is_as_read(path: Path) -> None:
    """Tables are those of the reader, row by row."""
    table = read_results(path, "v20", ["twice"])[0]
    found = gather(path, DOTLESS).records[-1]
    assert found.task.name == "twice"
    assert json.dumps(found.metric("cycles").tolist()) == json.dumps(table.metric("cycles").tolist())
