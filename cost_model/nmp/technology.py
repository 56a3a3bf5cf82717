"""Energy and area constants: rows of a file in `config/technology/`, each with source, node and range.

A row is stated at the logic node that its source used and scaled to the file's node by its own rule:
"energy" is proportional to the feature size (capacitance, at equal voltage), "area" to its square, "none" is
left as it is (DRAM, interfaces). No constant depends on the clock: all are at nominal voltage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from design.core import Floats
from design.errors import InputError
from design.loader import read_object
from design.nmp.device import Device

SCALING: dict[str, Callable[[float], float]] = {"none": lambda _: 1.0, "energy": lambda r: r, "area": lambda r: r * r}
STATUSES = ("sourced", "assumed")
LARGEST, LARGEST_NODE_NM = 1e12, 10_000
BUFFER_KB = 32.0  # the size that `sram_pj_bit` is stated at


@dataclass(frozen=True)
class Constants:
    """All constants at one end of their ranges, in the units of their names (1 um2 = 1e-6 mm2)."""

    dram_array_pj_bit: float
    hybrid_bond_pj_bit: float
    channel_io_pj_bit: float
    mac_fp16_pj: float
    mac_int8_pj: float
    mac_int4_pj: float
    npu_buffer_pj: float
    sram_pj_bit: float
    mac_leakage_mw: float
    sram_leakage_mw_kib: float
    dram_background_mw_channel: float
    npu_static_w: float
    mac_fp16_um2: float
    mac_int8_um2: float
    mac_int4_um2: float
    pe_control_um2: float
    sram_um2_kib: float

    def mac_pj(self, bytes_per_element: float) -> float:
        """Energy of one multiply-accumulate at that precision."""
        return {2.0: self.mac_fp16_pj, 1.0: self.mac_int8_pj, 0.5: self.mac_int4_pj}[bytes_per_element]

    def mac_um2(self, bytes_per_element: float) -> float:
        """Area of one multiply-accumulate lane at that precision."""
        return {2.0: self.mac_fp16_um2, 1.0: self.mac_int8_um2, 0.5: self.mac_int4_um2}[bytes_per_element]

    def sram_pj(self, kilobytes: Floats) -> Floats:
        """Energy per bit read or written in a buffer of that size: with the square root of the size, as the
        lengths of word and bit lines grow."""
        scaled: Floats = self.sram_pj_bit * (kilobytes / BUFFER_KB) ** 0.5
        return scaled


@dataclass(frozen=True)
class Row:
    """One constant as its source states it: at `node_nm`, with the range it may lie in."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    node_nm: int
    scaling: str
    source: str
    status: str
    note: str


@dataclass(frozen=True)
class Technology:
    """The rows of one file. `name` and `version` tell answers apart that came from other constants."""

    name: str
    logic_node_nm: int
    rows: tuple[Row, ...]

    def constants(self, corner: str = "nominal") -> Constants:
        """Values of one corner ("low", "nominal", "high") at the file's logic node."""
        field = {"nominal": "value"}.get(corner, corner)
        return Constants(
            **{
                row.name: getattr(row, field) * SCALING[row.scaling](self.logic_node_nm / row.node_nm)
                for row in self.rows
            }
        )


def read_technology(path: Path) -> Technology:
    """The constants of a JSON file. Raises InputError naming file, row and field."""
    content = read_object(path, {"name": str, "logic_node_nm": int, "rows": list})
    if not 1 <= content["logic_node_nm"] <= LARGEST_NODE_NM:
        found = f"is {str(content['logic_node_nm'])[:20]}"
        raise InputError(f"{path}, field 'logic_node_nm'", found, f"1 to {LARGEST_NODE_NM}")
    rows = tuple(_row(f"{path}, row {place + 1}", row) for place, row in enumerate(content["rows"]))
    names, wanted = [row.name for row in rows], [field.name for field in fields(Constants)]
    for name in wanted:
        if names.count(name) != 1:
            raise InputError(f"{path}, rows", f"'{name}' stands there {names.count(name)} times", "each constant once")
    for name in names:
        if name not in wanted:
            raise InputError(f"{path}, rows", f"'{name}' is unknown", f"only {', '.join(wanted)}")
    return Technology(content["name"], content["logic_node_nm"], rows)


def _row(where: str, row: Any) -> Row:
    names = [field.name for field in fields(Row)]
    if not isinstance(row, dict) or sorted(row) != sorted(names):
        raise InputError(where, "does not have the fields of a row", ", ".join(names))
    where = f"{where} ('{row['name']}')"
    for name in ("name", "unit", "scaling", "source", "status", "note"):
        if not isinstance(row[name], str) or not row[name].strip():
            raise InputError(f"{where}, field '{name}'", f"is {row[name]!r}", "a text")
    for name in ("value", "low", "high"):
        number = row[name]
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= LARGEST:
            raise InputError(f"{where}, field '{name}'", f"is {str(number)[:20]}", f"a number from 0 to {LARGEST:g}")
    if not row["low"] <= row["value"] <= row["high"]:
        raise InputError(where, f"low, value, high are {row['low']}, {row['value']}, {row['high']}", "rising order")
    if type(row["node_nm"]) is not int or not 1 <= row["node_nm"] <= LARGEST_NODE_NM:
        found = f"is {str(row['node_nm'])[:20]}"
        raise InputError(f"{where}, field 'node_nm'", found, f"a whole number from 1 to {LARGEST_NODE_NM}")
    for name, known in (("scaling", tuple(SCALING)), ("status", STATUSES)):
        if row[name] not in known:
            raise InputError(f"{where}, field '{name}'", f"is '{row[name]}'", f"one of {', '.join(known)}")
    return Row(**row)


def nmp_area_mm2(c: Constants, nmp_channels: Floats, device: Device) -> Floats:
    """Logic and buffers of the NMP channels of a design, (n,) mm2. The NPU is the same in all and left out."""
    lanes = device.fpus * device.platform.simd
    pe = lanes * c.mac_um2(device.bytes_per_element) + c.pe_control_um2 + device.weight_kb * c.sram_um2_kib
    channel = device.platform.banks_per_channel * pe + (device.input_kb + device.output_kb) * c.sram_um2_kib
    area: Floats = nmp_channels * channel / 1e6
    return area


def static_w(c: Constants, nmp_channels: Floats, device: Device) -> Floats:
    """Power that flows whatever is computed, (n,) W: leakage of NMP logic and buffers, DRAM standby, the NPU."""
    lanes = device.fpus * device.platform.simd
    pe = lanes * c.mac_leakage_mw + device.weight_kb * c.sram_leakage_mw_kib
    channel = device.platform.banks_per_channel * pe + (device.input_kb + device.output_kb) * c.sram_leakage_mw_kib
    background = device.platform.total_channels * c.dram_background_mw_channel
    power: Floats = (nmp_channels * channel + background) / 1e3 + c.npu_static_w
    return power
