"""One decoder layer as ONNX, by either exporter of torch. Nothing is computed and no weight is ever allocated: tensors
are on the meta device, and weights are inputs of the graph, so that the file holds their shapes only.

The only front-end file that needs torch.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from design.errors import InputError
from design.nmp.transformer import ModelShape

if TYPE_CHECKING:
    from torch import Tensor, nn

EXPORTERS = DYNAMO, TORCHSCRIPT = ("dynamo", "torchscript")
OPSET = 18  # the newest that both exporters write
HIDDEN = "hidden"  # the input that goes through the layer: (batch, tokens, hidden_dim)
ROWS = {0: "batch", 1: "tokens"}  # its axes of any length
TRACED = (2, 5)  # batch and tokens while tracing; different, and neither is 1, so that no exporter takes them as fixed
EPSILON = 1e-5  # of the norms


def export_layer(shape: ModelShape, path: Path, exporter: str) -> None:
    """Writes a layer with the dimensions of `shape` and of its type: opt has a plain feed-forward network and layer
    norms, llama a gated one and root-mean-square norms, palm a gated one beside the attention.

    Inputs are `hidden` and a matrix for each operator (q.weight, ...), each (outputs, inputs) wide; positions are left
    out, for they cost no GEMM. Raises InputError for an unknown exporter and a path that cannot be written.
    """
    if exporter not in EXPORTERS:
        raise InputError("exporter", f"is '{exporter[:40]}'", " or ".join(EXPORTERS))
    import torch

    shapes = layer_weights(shape)
    names = [HIDDEN, *shapes]
    with torch.device("meta"):
        hidden = torch.empty(*TRACED, shape.hidden_dim)
        weights = tuple(torch.empty(extents) for extents in shapes.values())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _quiet():
            if exporter == DYNAMO:
                torch.onnx.export(
                    _layer(shape),
                    (hidden, *weights),
                    path,
                    dynamo=True,
                    input_names=names,
                    output_names=["output"],
                    dynamic_shapes=(ROWS, tuple({} for _ in weights)),
                    opset_version=OPSET,
                    verbose=False,
                    external_data=False,
                )
            else:
                torch.onnx.export(
                    _layer(shape),
                    (hidden, *weights),
                    str(path),
                    dynamo=False,
                    input_names=names,
                    output_names=["output"],
                    dynamic_axes={HIDDEN: ROWS},
                    opset_version=OPSET,
                    export_params=False,
                    do_constant_folding=False,
                )
    except OSError as error:
        raise InputError(str(path), f"cannot be written ({error.strerror})", "a place for the ONNX file") from None


def layer_weights(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all weights of a layer; matrices are (outputs, inputs)."""
    d, f, kv = shape.hidden_dim, shape.intermediate_dim, shape.kv_head_num * shape.head_dim
    matrices = {"q": (d, d), "k": (kv, d), "v": (kv, d), "o": (d, d), "f1": (f, d), "f3": (f, d), "f2": (d, f)}
    if shape.type == "opt":
        del matrices["f3"]
    norms = ("norm1",) if shape.type == "palm" else ("norm1", "norm2")
    return {f"{name}.weight": extents for name, extents in matrices.items()} | {
        f"{name}.weight": (d,) for name in norms
    }


def _layer(shape: ModelShape) -> nn.Module:
    """A module of `hidden` and the weights, in the order of `layer_weights`."""
    from torch import nn

    names = list(layer_weights(shape))

    class Layer(nn.Module):
        """One decoder layer without state."""

        def forward(self, hidden: Tensor, *weights: Tensor) -> Tensor:
            given = dict(zip(names, weights, strict=True))
            normed = _norm(hidden, given["norm1.weight"], shape)
            attended = hidden + _attention(normed, given, shape)
            if shape.type == "palm":
                return attended + _feed_forward(normed, given, shape)
            return attended + _feed_forward(_norm(attended, given["norm2.weight"], shape), given, shape)

    return Layer().eval()


def _norm(hidden: Tensor, gain: Tensor, shape: ModelShape) -> Tensor:
    from torch.nn import functional

    if shape.type == "llama":
        return hidden * (hidden.pow(2).mean(-1, keepdim=True) + EPSILON).rsqrt() * gain
    return functional.layer_norm(hidden, (shape.hidden_dim,), gain, None, EPSILON)


def _attention(normed: Tensor, weights: Mapping[str, Tensor], shape: ModelShape) -> Tensor:
    """Causal, with a key-value head for each group of query heads."""
    from torch.nn import functional

    batch, tokens, _ = normed.shape

    def heads(name: str, count: int) -> Tensor:
        made = functional.linear(normed, weights[f"{name}.weight"])
        return made.view(batch, tokens, count, shape.head_dim).transpose(1, 2)

    q, k, v = heads("q", shape.q_head_num), heads("k", shape.kv_head_num), heads("v", shape.kv_head_num)
    share = shape.q_head_num // shape.kv_head_num
    if share > 1:
        k, v = k.repeat_interleave(share, 1), v.repeat_interleave(share, 1)
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    return functional.linear(mixed.transpose(1, 2).reshape(batch, tokens, shape.hidden_dim), weights["o.weight"])


def _feed_forward(normed: Tensor, weights: Mapping[str, Tensor], shape: ModelShape) -> Tensor:
    from torch.nn import functional

    first = functional.linear(normed, weights["f1.weight"])
    if shape.type == "opt":
        inner = functional.relu(first)
    else:
        inner = functional.silu(first) * functional.linear(normed, weights["f3.weight"])
    return functional.linear(inner, weights["f2.weight"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell of their progress on all channels there are."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
