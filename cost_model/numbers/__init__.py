"""Numbers as tokens; CODECS has the ways of writing them by name."""

from __future__ import annotations

from collections.abc import Callable

from cost_model.numbers.base import Codec
from cost_model.numbers.plain import PlainDigits
from cost_model.numbers.scientific import Scientific

__all__ = ["CODECS", "Codec", "PlainDigits", "Scientific"]

CODECS: dict[str, Callable[..., Codec]] = {PlainDigits.name: PlainDigits, Scientific.name: Scientific}
