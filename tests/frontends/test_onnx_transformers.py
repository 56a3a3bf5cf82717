"""Real layers: small models of the `transformers` library, exported by both of torch's exporters.

Exports take some seconds of CPU each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from design.nmp.lowering import Usage, model_workload
from design.nmp.model import HEAD
from frontends.export import DYNAMO, EXPORTERS
from frontends.onnx_graph import Reading, read_onnx
from tests.frontends.onnx_cases import arrows, shapes

WIDTH, HEADS, KV_HEADS, INNER, VOCABULARY, LAYERS = 48, 6, 2, 80, 101, 2
HEAD_WIDTH = WIDTH // HEADS
ROWS = "batch*tokens"
COMMON = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {"n_embd": WIDTH, "n_head": HEADS, "n_layer": LAYERS, "n_inner": INNER, "n_positions": 128}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": COMMON | {"num_key_value_heads": KV_HEADS},
    "phi3": COMMON | {"num_key_value_heads": KV_HEADS},
    "gpt_neox": COMMON,
    "gpt2": GPT2 | {name: COMMON[name] for name in ("vocab_size", "bos_token_id", "eos_token_id")},
}


def expected_attention(family: str) -> dict[str, str]:
    """Dimensions of the attention."""
    kv = CONFIGS[family].get("num_key_value_heads", HEADS)
    rows = "tokens" if kv == HEADS else f"{HEADS // kv}*tokens"
    projections = {"q": WIDTH, "k": kv * HEAD_WIDTH, "v": kv * HEAD_WIDTH}
    if family != "llama":
        projections = {"qkv": sum(projections.values())}
    return {name: f"1 x {ROWS} x {n} x {WIDTH}" for name, n in projections.items()} | {
        "qk": f"{kv}*batch x {rows} x context x {HEAD_WIDTH}",
        "sv": f"{kv}*batch x {rows} x {HEAD_WIDTH} x context",
        "o": f"1 x {ROWS} x {WIDTH} x {WIDTH}",
    }


FEED = {"llama": ("f1", "f3"), "phi3": ("f13",), "gpt_neox": ("f1",), "gpt2": ("f1",)}


def expected_arrows(family: str) -> set[str]:
    """Edges of a layer; GPT-NeoX computes its feed-forward network beside the attention."""
    around = {"qkv>qk", "qkv>sv"} if family != "llama" else {"q>qk", "k>qk", "v>sv"}
    feed = {f"{name}>f2" for name in FEED[family]}
    after = set() if family == "gpt_neox" else {f"o>{name}" for name in FEED[family]}
    return around | {"qk>sv", "sv>o"} | feed | after


def exported(family: str, exporter: str, path: Path) -> None:
    """Writes a whole model of random weights; the older exporter needs the mask as an input."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **CONFIGS[family])
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).eval()

    class Logits(torch.nn.Module):
        """The model without its cache."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            logits: torch.Tensor = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            return logits

    ids, axes = torch.zeros(2, 5, dtype=torch.long), {0: "batch", 1: "tokens"}
    if exporter == DYNAMO:
        torch.onnx.export(
            Logits(), (ids,), path, dynamo=True, input_names=["ids"], dynamic_shapes=(axes,), verbose=False
        )
    else:
        torch.onnx.export(
            Logits(),
            (ids, torch.zeros(2, 1, 5, 5)),
            str(path),
            dynamo=False,
            input_names=["ids", "mask"],
            dynamic_axes={"ids": axes, "mask": {0: "batch", 2: "tokens", 3: "tokens"}},
        )


@pytest.fixture(
    scope="module", params=[(family, exporter) for family in CONFIGS for exporter in EXPORTERS], ids="-".join
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Reading]:
    """Each family by each exporter."""
    family, exporter = request.param
    path = tmp_path_factory.mktemp("transformers") / f"{family}.onnx"
    exported(family, exporter, path)
    return family, read_onnx(path, {})


@pytest.mark.filterwarnings("ignore")
def test_layers(case: tuple[str, Reading]) -> None:
    """Two equal layers and the head, with names, dimensions and edges of the family."""
    family, reading = case
    layer, head = reading.model.kinds
    assert (layer.count, head.name, len(reading.notes)) == (LAYERS, HEAD, 1)
    f13 = 2 * INNER if family == "phi3" else INNER
    feed = {name: f"1 x {ROWS} x {f13} x {WIDTH}" for name in FEED[family]} | {"f2": f"1 x {ROWS} x {WIDTH} x {INNER}"}
    assert shapes(layer) == expected_attention(family) | feed
    assert arrows(layer) == expected_arrows(family)
    assert shapes(head) == {"lm_head": f"1 x batch x {VOCABULARY} x {WIDTH}"} and "last token" in reading.notes[0]
    assert str(head.operators[0].decode.M) == ROWS


@pytest.mark.filterwarnings("ignore")
def test_workloads(case: tuple[str, Reading]) -> None:
    """Layers and head make a workload."""
    workload = model_workload(case[1].model, Usage(3, 17, 12, 64))
    assert workload.layers == LAYERS and len(workload.operators) >= 6


@pytest.mark.filterwarnings("ignore")
def test_elements(case: tuple[str, Reading]) -> None:
    """All matrices of weights that multiply are counted: those of the library's own model, but for the embeddings."""
    from transformers import AutoConfig, AutoModelForCausalLM

    family, reading = case
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **CONFIGS[family]))
    tables = ("wte", "wpe", "embed_in", "embed_tokens", "lm_head", "embed_out")
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and not any(t in name for t in tables)]
    layer, head = reading.model.kinds
    assert layer.count * sum(op.weights for op in layer.operators) == sum(matrix.numel() for matrix in matrices)
    assert head.operators[0].weights == VOCABULARY * WIDTH
