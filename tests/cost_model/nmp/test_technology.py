"""The file of constants: what each row must say, how it is scaled, and every kind of broken file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from cost_model.nmp.technology import SCALING, STATUSES, Constants, read_technology
from design.errors import InputError
from tests.cases import ROOT

PATH = ROOT / "config" / "technology" / "hybrid-bonding.json"
TABLE = json.loads(PATH.read_text(encoding="utf-8"))
NAMES = [field.name for field in fields(Constants)]


@pytest.mark.parametrize("row", TABLE["rows"], ids=lambda row: row["name"])
def test_shipped_rows(row: dict[str, Any]) -> None:
    """A range around the value, units as the name has them, a source that can be looked up, and a note."""
    assert 0 < row["low"] < row["value"] < row["high"]
    assert row["status"] in STATUSES and row["scaling"] in SCALING
    assert len(row["source"].split()) > 3 and len(row["note"].split()) > 3
    if row["status"] == "sourced":
        assert any(mark in row["source"] for mark in ("doi", "commit", "CACTI", "index id", "github.com"))
    unit = row["unit"].replace("/", "_").replace("^", "").lower()
    assert any(row["name"].endswith(end) for end in (unit, unit.removesuffix("_mac"), f"{unit}_channel")), row["unit"]


def test_shipped_file() -> None:
    """Each constant once, its energy scaled as an energy and its area as an area; corners in order."""
    technology = read_technology(PATH)
    assert sorted(row.name for row in technology.rows) == sorted(NAMES)
    assert (technology.name, technology.logic_node_nm) == ("hybrid-bonding", 28)
    scaled = {row.name: row.scaling for row in technology.rows}
    for name in NAMES:
        low, nominal, high = (getattr(technology.constants(corner), name) for corner in ("low", "nominal", "high"))
        assert low < nominal < high, name
        assert (scaled[name] == "area") == ("um2" in name), name
    assert {row.status for row in technology.rows} == set(STATUSES)


def test_scaling_of_the_shipped_file_by_hand() -> None:
    """From 45 to 28 nm: fp16 arithmetic of 1.5 pJ and 3000 um2; SRAM from 32 nm; DRAM as it is."""
    found = read_technology(PATH).constants()
    assert found.mac_fp16_pj == pytest.approx(1.5 * 28 / 45, rel=1e-12)
    assert found.mac_fp16_um2 == pytest.approx(3000 * 784 / 2025, rel=1e-12)
    assert found.sram_pj_bit == pytest.approx(0.086 * 0.875, rel=1e-12)
    assert found.dram_array_pj_bit == 1.56


def written(path: Path, **changes: Any) -> Path:
    """A file with other content at its top level."""
    path.write_text(json.dumps(TABLE | changes), encoding="utf-8")
    return path


def test_scaling_by_hand(tmp_path: Path) -> None:
    """From 40 to 10 nm an energy is a quarter, an area a sixteenth, and the rest stays, at every corner."""
    factors = {"none": 1.0, "energy": 0.25, "area": 0.0625}
    rules = [list(factors)[place % 3] for place in range(len(NAMES))]
    rows = [
        TABLE["rows"][0]
        | {"name": name, "scaling": rule, "node_nm": 40, "low": 16 * i, "value": 32 * i, "high": 64 * i}
        for i, (name, rule) in enumerate(zip(NAMES, rules, strict=True))
    ]
    technology = read_technology(written(tmp_path / "t.json", name="made up", logic_node_nm=10, rows=rows[::-1]))
    assert technology.name == "made up"
    for corner, times in (("low", 16), ("nominal", 32), ("high", 64)):
        found = technology.constants(corner)
        for i, (name, rule) in enumerate(zip(NAMES, rules, strict=True)):
            assert getattr(found, name) == times * i * factors[rule], (corner, name)


def test_a_range_may_be_a_point(tmp_path: Path) -> None:
    """A constant of 0, and one known exactly, are good ones."""
    rows = [row | {"low": 0, "value": 0, "high": 0} for row in TABLE["rows"]]
    found = read_technology(written(tmp_path / "t.json", rows=rows)).constants("high")
    assert all(getattr(found, name) == 0 for name in NAMES)


ROW = TABLE["rows"][3]
Rows = list[Any]


def with_row(**changes: Any) -> Callable[[Rows], Rows]:
    """The rows with other fields in the fourth, `mac_fp16_pj`."""
    return lambda rows: [*rows[:3], rows[3] | changes, *rows[4:]]


def instead(row: Any) -> Callable[[Rows], Rows]:
    """The rows with something else in the place of the fourth."""
    return lambda rows: [*rows[:3], row, *rows[4:]]


# What is wrong, and what the line must name beside the file.
BROKEN: dict[str, tuple[Callable[[Rows], Rows], str]] = {
    "missing row": (lambda rows: rows[:3] + rows[4:], "'mac_fp16_pj'"),
    "no rows": (lambda rows: [], f"'{NAMES[0]}'"),
    "unknown row": (lambda rows: [*rows, ROW | {"name": "mac_fp8_pj"}], "'mac_fp8_pj'"),
    "row twice": (lambda rows: [*rows, ROW], "'mac_fp16_pj'"),
    "not an object": (instead([1, 2]), "row 4"),
    "a text for a row": (instead("mac_fp16_pj"), "row 4"),
    "null for a row": (instead(None), "row 4"),
    "missing field": (instead({k: v for k, v in ROW.items() if k != "note"}), "row 4"),
    "field too many": (with_row(colour="red"), "row 4"),
    "misspelt field": (instead({("Low" if k == "low" else k): v for k, v in ROW.items()}), "row 4"),
    "low above value": (with_row(low=1.6), "row 4 ('mac_fp16_pj')"),
    "value above high": (with_row(value=2.5), "row 4 ('mac_fp16_pj')"),
    "text for a number": (with_row(value="1.5"), "row 4 ('mac_fp16_pj'), field 'value'"),
    "null for a number": (with_row(high=None), "row 4 ('mac_fp16_pj'), field 'high'"),
    "list for a number": (with_row(low=[1.1]), "row 4 ('mac_fp16_pj'), field 'low'"),
    "negative": (with_row(low=-1.0), "row 4 ('mac_fp16_pj'), field 'low'"),
    "not a number": (with_row(value=float("nan")), "row 4 ('mac_fp16_pj'), field 'value'"),
    "low not a number": (with_row(low=float("nan")), "row 4 ('mac_fp16_pj'), field 'low'"),
    "infinite": (with_row(high=float("inf")), "row 4 ('mac_fp16_pj'), field 'high'"),
    "true for a number": (with_row(value=True, low=True), "row 4 ('mac_fp16_pj'), field 'value'"),
    "unknown scaling": (with_row(scaling="voltage"), "row 4 ('mac_fp16_pj'), field 'scaling'"),
    "list for a scaling": (with_row(scaling=["energy"]), "row 4 ('mac_fp16_pj'), field 'scaling'"),
    "unknown status": (with_row(status="guessed"), "row 4 ('mac_fp16_pj'), field 'status'"),
    "no source": (with_row(source=" "), "row 4 ('mac_fp16_pj'), field 'source'"),
    "no note": (with_row(note=""), "row 4 ('mac_fp16_pj'), field 'note'"),
    "number for a name": (with_row(name=7), "row 4"),
    "zero node": (with_row(node_nm=0), "row 4 ('mac_fp16_pj'), field 'node_nm'"),
    "broken node": (with_row(node_nm=45.5), "row 4 ('mac_fp16_pj'), field 'node_nm'"),
    "true for a node": (with_row(node_nm=True), "row 4 ('mac_fp16_pj'), field 'node_nm'"),
}


def refused(path: Path, *names: str) -> None:
    """One line that names the file and what else it must."""
    with pytest.raises(InputError) as error:
        read_technology(path).constants()
    text = str(error.value)
    assert "\n" not in text and len(text) < 600
    assert all(name in text for name in (str(path), *names)), text


@pytest.mark.parametrize("case", BROKEN)
def test_broken_rows(case: str, tmp_path: Path) -> None:
    """Each is refused with the row's place, or the constant's name."""
    change, culprit = BROKEN[case]
    refused(written(tmp_path / "t.json", rows=change(TABLE["rows"])), culprit)


@pytest.mark.parametrize(
    ("name", "value"),
    [("logic_node_nm", 0), ("logic_node_nm", -28), ("logic_node_nm", 28.5), ("logic_node_nm", True), ("name", 3)],
)
def test_broken_top_level(name: str, value: Any, tmp_path: Path) -> None:
    """The field is named."""
    refused(written(tmp_path / "t.json", **{name: value}), f"'{name}'")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "x", "logic_node_nm": 28}', '{"rows": {}, "rows": []}'])
def test_no_such_object(text: str, tmp_path: Path) -> None:
    """Empty, a list, cut off, without rows, with a field twice."""
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    refused(path)


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there is one line too."""
    refused(tmp_path / "none.json")


HUGE = 10**400  # a whole number that JSON may hold and a float may not


@pytest.mark.parametrize("where", ["row", "top"])
def test_numbers_beyond_a_float(where: str, tmp_path: Path) -> None:
    """Refused like any other number that cannot be computed with."""
    changes: dict[str, Any] = {"logic_node_nm": HUGE}
    if where == "row":
        changes = {"rows": with_row(low=HUGE, value=HUGE, high=HUGE)(TABLE["rows"])}
    refused(written(tmp_path / "t.json", **changes), "mac_fp16_pj" if where == "row" else "logic_node_nm")
