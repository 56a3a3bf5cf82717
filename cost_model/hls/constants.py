"""The constants of the model: what they mean, and between which bounds the fit may move them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from hashlib import blake2b


@dataclass(frozen=True)
class HlsConstants:
    """Of one tool version. Units stand in the names: cycles, and counts of LUT, FF, DSP and 18 Kb block RAMs."""

    # Operators and memory
    add_cycles: float = 8.0  # addition of floating numbers
    mul_cycles: float = 6.0
    div_cycles: float = 30.0
    int_mul_cycles: float = 2.0
    logic_cycles: float = 0.5  # integer addition, comparison, logic
    memory_cycles: float = 5.0  # load and store of a statement on chip
    carried_cycles: float = 4.0  # load and store within a recurrence through memory
    named_reduction_cycles: float = 13.0  # interval of a reduction that the source names
    # Loops
    entry_cycles: float = 4.0  # to enter and leave a loop
    step_cycles: float = 2.0  # of each iteration of a loop that is not pipelined
    nest_flattening: float = 0.5  # share of a perfect nest's inner fills that automatic flattening saves
    coarse_overlap: float = 0.2  # share of a coarse pipeline's stages that do overlap
    tile_cycles: float = 10.0  # to begin a tile
    outer_power: float = 0.9  # PARALLEL f on an outermost loop with pipelines inside divides cycles by f to this power
    middle_power: float = 0.1  # the same of a loop between; below 0 it harms
    ports_per_bank: float = 2.0  # accesses a cycle
    implied_banks: float = 8.0  # banks that an array gets for loops unrolled without a PARALLEL of their own
    # Transfers
    start_cycles: float = 300.0
    burst_power: float = 0.7  # words a cycle = (words that divide a row) ** burst_power
    transfer_share: float = 0.7  # share of all transfers that nothing hides
    reload_share: float = 0.3  # share of the transfers that a tile repeats
    # Resources
    base_lut: float = 6000.0
    base_ff: float = 7000.0
    base_bram: float = 40.0
    add_lut: float = 700.0
    add_ff: float = 900.0
    add_dsp: float = 3.0
    mul_lut: float = 250.0
    mul_ff: float = 500.0
    mul_dsp: float = 11.0
    div_lut: float = 3000.0
    div_ff: float = 5000.0
    int_lut: float = 40.0
    int_ff: float = 40.0
    int_mul_dsp: float = 3.0
    copy_lut: float = 150.0  # wiring of one more copy of a statement, shared operators or not
    copy_ff: float = 200.0
    bank_lut: float = 60.0
    bank_ff: float = 60.0
    array_bram: float = 6.0  # of the interface of one argument
    shared: float = 0.8  # power of the interval by which operators are shared
    # Whether the tool gets through and the design fits
    tool_size: float = 14.0  # log2 of unrolled operations at which half of the runs fail
    tool_slope: float = 0.5  # of the log odds, per doubling of them
    share_spread: float = 0.7  # standard deviation of log2(utilisation / estimate)

    def digest(self) -> str:
        """Short hash: equal constants, equal digest."""
        text = repr(sorted(asdict(self).items()))
        return blake2b(text.encode(), digest_size=6).hexdigest()

    @staticmethod
    def names() -> tuple[str, ...]:
        """Of all constants, in order."""
        return tuple(f.name for f in fields(HlsConstants))


SHARES = ("nest_flattening", "coarse_overlap", "burst_power", "shared")  # between 0 and 1
BOUNDS: dict[str, tuple[float, float]] = {
    "add_cycles": (3.0, 15.0),
    "mul_cycles": (2.0, 14.0),
    "div_cycles": (10.0, 60.0),
    "int_mul_cycles": (1.0, 4.0),
    "logic_cycles": (0.2, 0.8),
    "memory_cycles": (1.0, 30.0),
    "carried_cycles": (0.5, 6.0),
    "named_reduction_cycles": (1.0, 16.0),
    "entry_cycles": (1.0, 60.0),
    "step_cycles": (1.0, 30.0),
    "tile_cycles": (1.0, 2000.0),
    "ports_per_bank": (1.0, 4.0),
    "implied_banks": (1.0, 2048.0),
    "start_cycles": (10.0, 3000.0),
    "transfer_share": (0.2, 3.0),
    "outer_power": (0.0, 1.0),
    "middle_power": (-0.5, 1.0),
    "reload_share": (0.02, 2.0),
    "tool_size": (4.0, 40.0),
    "tool_slope": (0.05, 3.0),
    "share_spread": (0.1, 3.0),
    **dict.fromkeys(SHARES, (0.0, 1.0)),
}
VALIDITY_CONSTANTS = ("tool_size", "tool_slope", "share_spread")
CYCLE_CONSTANTS = tuple(n for n in HlsConstants.names() if n in BOUNDS and n not in (*VALIDITY_CONSTANTS, "shared"))
RESOURCE_CONSTANTS = tuple(n for n in HlsConstants.names() if n not in (*CYCLE_CONSTANTS, *VALIDITY_CONSTANTS))


def bounds(name: str) -> tuple[float, float]:
    """Within which the fit may move a constant; one without a row in BOUNDS may change tenfold."""
    default = float(getattr(HlsConstants(), name))
    return BOUNDS.get(name, (default / 10, default * 10))
