"""From a checkpoint's file to a predictor. Needs PyTorch only when it is asked for one."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from design.errors import InputError

if TYPE_CHECKING:
    from evaluators.lm import LmPredictor

CHECKPOINT = Path(__file__).resolve().parents[1] / "config" / "lm" / "tiny.safetensors"


def predictor_from(path: str | None) -> LmPredictor:
    """The predictor of a checkpoint's file, of the shipped one without a path. Raises InputError for a file that is
    not of this kind, and where PyTorch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise InputError("--evaluator", "lm needs PyTorch", "pip install -r requirements.txt")
    from cost_model.lm.checkpoint import load
    from evaluators.lm import LmPredictor

    return LmPredictor(load(CHECKPOINT if path is None else Path(path)))
