"""Columns that no near-memory design has, for the conformance tests of its evaluators."""

from __future__ import annotations

from typing import Any

import numpy as np


def spoiled_nmp_designs(operators: int) -> list[dict[str, Any]]:
    """Columns that no near-memory design of so many operators on 6 of 8 channels has."""
    return [
        *({"nmp_channels": count} for count in (-1, 9, 63, 2**40)),
        *({"fpus": count} for count in (0, -8)),
        *({name: value} for name in ("mhz", "pe_gbps") for value in (np.nan, 0.0, -1.0, np.inf, -np.inf)),
        *({name: index} for name in ("group", "part", "stratum") for index in (-1, operators, 2**31 - 1)),
        *({"channels": channels} for channels in (-1, 1 << 6, 1 << 62, -(2**63))),
        *({"normal": use} for use in (-1, 2)),
        *({"nmp_units": units, "npu_units": 0} for units in (-1, 0, 1, 2**40, 2**63 - 1, -(2**63))),
        *({"nmp_units": 0, "npu_units": units} for units in (-1, 0, 1, 2**40, 2**63 - 1, -(2**63))),
        {"nmp_units": 2**62, "npu_units": 2**62},
        {"channels": 0, "normal": 0},
        {"nmp_channels": 8, "channels": 0, "normal": 1},
    ]
