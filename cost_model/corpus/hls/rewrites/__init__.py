"""Other texts of a kernel that mean the same: REWRITES by name, in the order in which they are applied."""

from __future__ import annotations

from cost_model.corpus.hls.rewrites.base import Rewrite, Rewritten
from cost_model.corpus.hls.rewrites.forms import other_loop_forms, swapped_operands
from cost_model.corpus.hls.rewrites.names import other_names
from cost_model.corpus.hls.rewrites.order import other_order

__all__ = ["REWRITES", "Rewrite", "Rewritten"]

REWRITES: dict[str, Rewrite] = {
    "order": other_order,
    "operands": swapped_operands,
    "loops": other_loop_forms,
    "names": other_names,
}
