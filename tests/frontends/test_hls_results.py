"""Reading result tables: what a data set says arrives, and what cannot be used is one line."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design.contracts import Dataset
from design.errors import InputError
from design.hls.design import TARGETS, points_of
from design.hls.task import hls_task_of
from design.metrics import RESOURCES
from frontends.hls_results import files as hls_files
from frontends.hls_results.tables import read_results, result_names
from tests.cases_hls import DOT, dot_designs, entry, key_of, packed, scale_designs, usual, write_data

POINT = {"PIPE": "", "PARA": 4}
METRICS = ("cycles", *RESOURCES, *(f"{name}_share" for name in RESOURCES))


def dot_data(folder: Path, designs: Any) -> Path:
    """A data set of one kernel."""
    return write_data(folder, {"dot_kernel.c": DOT}, {"v18/dot": designs})


def refused(path: Path, tool: str = "v18", names: list[str] | None = None) -> str:
    """The one line of a refusal."""
    with pytest.raises(InputError) as error:
        read_results(path, tool, names)
    assert "\n" not in str(error.value)
    return str(error.value)


def same(left: list[Dataset], right: list[Dataset]) -> None:
    """Two readings agree in all but where they were read."""
    tasks = [[hls_task_of(table) for table in side] for side in (left, right)]
    assert [(t.name, t.target, t.digest) for t in tasks[0]] == [(t.name, t.target, t.digest) for t in tasks[1]]
    for one, other in zip(left, right, strict=True):
        for name, column in one.batch.columns.items():
            np.testing.assert_array_equal(column, other.batch.columns[name])
        np.testing.assert_array_equal(one.feasible, other.feasible)
        for name in METRICS:
            np.testing.assert_array_equal(one.evaluation.metrics[name], other.evaluation.metrics[name])


def test_what_is_read(tmp_path: Path) -> None:
    """Names, families, target, points, labels; no cycles and no resources are NaN; validity is the tool's word."""
    path = usual(tmp_path)
    assert result_names(path) == {"v18": ("dot", "scale", "scale-large", "twice"), "v20": ("scale", "twice")}
    tables = read_results(path, "v18")
    assert [(t.task.name, t.task.family, len(t)) for t in tables] == [
        ("dot", "dot", 27),
        ("scale", "scale", 90),
        ("scale-large", "scale", 90),
        ("twice", "twice", 90),
    ]
    table, said = tables[1], list(scale_designs().values())
    task, cycles = hls_task_of(table), table.metric("cycles")
    assert task.target == TARGETS["v18"]
    assert points_of(task.kernel, table.batch) == [design["point"] for design in said]
    assert cycles.tolist()[0] == said[0]["perf"]
    failed = np.array([design["perf"] == 0 for design in said])
    assert failed.sum() == 18
    np.testing.assert_array_equal(np.isnan(cycles), failed)
    np.testing.assert_array_equal(np.isnan(table.metric("lut")), failed)
    for name in ("lut", "ff", "dsp", "bram"):
        expected = [design["res_util"][f"total-{name.upper()}"] for design in said if design["perf"]]
        assert table.metric(name)[~failed].tolist() == expected
        expected = [design["res_util"][f"util-{name.upper()}"] for design in said if design["perf"]]
        assert table.metric(f"{name}_share")[~failed].tolist() == expected
    assert table.feasible.tolist() == [design["valid"] for design in said]
    assert not table.feasible[table.batch.columns["U0"] == 64].any()
    assert table.fidelity == "tool" and (table.evaluation.violation["tool"] == ~table.feasible).all()
    assert set(table.evaluation.source["cycles"].tolist()) == {"recorded-v18"}
    some = table.take(np.array([5, 2]))
    assert some.metric("cycles").tolist() == [cycles[5], cycles[2]] and some.task.name == "scale"
    assert some.batch.columns["U1"].tolist() == [said[5]["point"]["U1"], said[2]["point"]["U1"]]


def test_resources_without_cycles_are_kept(tmp_path: Path) -> None:
    """A design that has resources and no cycles, even one that counts as valid."""
    table = read_results(dot_data(tmp_path, {"a": entry(POINT, 0.0, True, LUT=77.0)}), "v18")[0]
    assert np.isnan(table.metric("cycles")[0]) and table.metric("lut")[0] == 77 and table.feasible[0]


def test_folder_and_archive_are_equal(tmp_path: Path) -> None:
    """With and without a folder at the top."""
    plain = read_results(usual(tmp_path / "plain"), "v18")
    same(plain, read_results(usual(tmp_path / "under", "anything"), "v18"))
    for name in ("plain", "under"):
        same(plain, read_results(packed(tmp_path / name, tmp_path / f"{name}.tar.gz"), "v18"))
    same(plain[:2], read_results(tmp_path / "plain.tar.gz", "v18", ["scale", "dot"]))


def test_no_designs_is_an_empty_table(tmp_path: Path) -> None:
    """Nothing was tried."""
    assert len(read_results(dot_data(tmp_path, {}), "v18")[0]) == 0


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """Damage elsewhere does not matter."""
    path = usual(tmp_path)
    (path / "designs/v18/twice.json").write_text("{")
    assert len(read_results(path, "v18", ["dot"])) == 1
    assert "twice.json" in refused(path)


def bad(change: dict[str, Any], **outer: Any) -> dict[str, Any]:
    """A good design and one with something changed, in its res_util or outside."""
    design = entry({"PIPE": "off", "PARA": 2}, 100.0)
    design["res_util"] |= change
    return {"good": entry(POINT, 50.0), "odd": {**design, **outer}}


@pytest.mark.parametrize(
    ("designs", "words"),
    [
        ("{", ["dot.json", "not JSON", "line 1"]),
        ("[]", ["dot.json", "no JSON object"]),
        ('{"a": 1' + "0" * 5000 + "}", ["dot.json", "thousands of digits"]),
        ("[" * 100_000, ["dot.json", "nested too deeply"]),
        ('{"a": 1, "a": 2}', ["dot.json", "'a' twice"]),
        ({"a": 3}, ["design a", "no object"]),
        ({"a": {"perf": 1.0, "point": POINT, "valid": True}}, ["design a", "lacks res_util"]),
        (bad({}, perf=-1.0), ["design odd", "perf -1"]),
        (bad({}, perf=0.5), ["design odd", "perf 0.5"]),
        (bad({}, perf=float("nan")), ["design odd", "perf nan"]),
        (bad({}, perf=float("inf")), ["design odd", "perf inf"]),
        (bad({}, perf="12"), ["design odd", "perf 12"]),
        (bad({}, perf=True), ["design odd", "perf True"]),
        (bad({}, valid=1), ["design odd", "valid"]),
        (bad({}, point=[]), ["design odd", "point"]),
        (bad({"total-DSP": -3}), ["design odd", "total-DSP -3"]),
        (bad({"util-FF": None}), ["design odd", "util-FF None"]),
        (bad({}, point={"PIPE": "off"}), ["dot.json", "no parameter PARA"]),
        (bad({}, point={"PIPE": "off", "PARA": 2, "TILE": 1}), ["dot.json", "unknown parameter TILE"]),
        (bad({}, point={"PIPE": "fast", "PARA": 2}), ["dot.json", "PIPE=fast"]),
        (bad({}, point={"PIPE": "off", "PARA": 0}), ["dot.json", "PARA=0"]),
        (bad({}, point={"PIPE": "off", "PARA": 2.5}), ["design odd", "PARA = 2.5"]),
        (bad({}, point={"PIPE": "off", "PARA": True}), ["dot.json", "PARA=True"]),
        ({"PIPE-off.PARA-4": entry(POINT, 3.0)}, ["PIPE-off.PARA-4", "PIPE=coarse"]),
        ({"PIPE-NA.PARA-8": entry(POINT, 3.0)}, ["PIPE-NA.PARA-8", "PARA=4"]),
    ],
)
def test_what_cannot_be_used(designs: Any, words: list[str], tmp_path: Path) -> None:
    """Damage and nonsense are one line that names the file or the design."""
    line = refused(dot_data(tmp_path, designs))
    assert all(word in line for word in words), line


def test_contradictory_labels(tmp_path: Path) -> None:
    """The same design under two keys: once where the answers agree, refused where any differs."""
    keys = ("PIPE-NA.PARA-4", "PARA-4.PIPE-NA")
    agree = dict.fromkeys(keys, entry(POINT, 50.0))
    assert read_results(dot_data(tmp_path / "agree", agree), "v18")[0].metric("cycles").tolist() == [50.0]
    for number, other in enumerate((entry(POINT, 51.0), entry(POINT, 50.0, False), entry(POINT, 50.0, FF=1.0))):
        line = refused(dot_data(tmp_path / str(number), {keys[0]: entry(POINT, 50.0), keys[1]: other}))
        assert all(key in line for key in keys) and "different answers" in line
    spelled = {"a": entry(POINT, 50.0), "b": entry({"PARA": "4", "PIPE": "NA"}, 60.0)}
    assert "different answers" in refused(dot_data(tmp_path / "spelled", spelled))


def test_other_layouts(tmp_path: Path) -> None:
    """No data set, two of them, another tool version, another kernel, no source or two."""
    assert "is not there" in refused(tmp_path / "absent")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "designs/" in refused(empty)
    (tmp_path / "text.tar.gz").write_text("not an archive")
    assert "text.tar.gz" in refused(tmp_path / "text.tar.gz")
    path = usual(tmp_path / "good")
    whole = packed(path, tmp_path / "cut.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    assert "cut.tar.gz" in refused(tmp_path / "cut.tar.gz")
    assert "v18, v20" in refused(path, "v21")
    line = refused(path, "v18", ["scale", "bicg"])
    assert "bicg" in line and "scale-large" in line
    usual(tmp_path / "two", "a")
    assert "2 data sets" in refused(usual(tmp_path / "two", "b"))
    (path / "sources/twice_kernel.c").unlink()
    assert "twice" in refused(path) and "no source" in refused(path)
    (path / "sources/dot_of_three_kernel.c").write_text(DOT)
    assert "dot_of_three_kernel.c and dot_of_two_kernel.c" in refused(path, "v18", ["dot"])


def test_archives_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names with '..', a file twice, links, and sizes beyond the limits; nothing is written beside the archive."""

    def archive(*members: tuple[str, bytes]) -> Path:
        path = tmp_path / "set.tar.gz"
        with tarfile.open(path, "w:gz") as file:
            for name, data in members:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
        return path

    good = [("sources/dot_kernel.c", DOT.encode()), ("designs/v18/dot.json", json.dumps(dot_designs()).encode())]
    assert len(read_results(archive(*good), "v18")[0]) == 27
    assert "../x.c" in refused(archive(("../x.c", b""), *good))
    assert "/etc/x.c" in refused(archive(("/etc/x.c", b""), *good))
    assert "twice" in refused(archive(*good, good[0]))
    assert [p.name for p in tmp_path.iterdir()] == ["set.tar.gz"]
    with tarfile.open(tmp_path / "link.tar.gz", "w:gz") as file:
        info = tarfile.TarInfo("sources/dot_kernel.c")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        file.addfile(info)
    assert "sources/" in refused(tmp_path / "link.tar.gz")
    for limit, value in (("MOST_MEMBERS", 1), ("LARGEST_FILE", 100), ("LARGEST_SET", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(hls_files, limit, value)
            assert "larger than any data set" in refused(archive(*good))


def test_a_key_that_is_only_a_name(tmp_path: Path) -> None:
    """Keys of another form do not matter; those that name a parameter too few are of another form."""
    designs = {"first": entry(POINT, 9.0), "PIPE-off": entry({"PIPE": "", "PARA": 2}, 8.0)}
    designs[key_of({"PIPE": "off", "PARA": 1})] = entry({"PIPE": "off", "PARA": 1}, 7.0)
    assert read_results(dot_data(tmp_path, designs), "v18")[0].metric("cycles").tolist() == [9.0, 8.0, 7.0]
