"""What a configuration file leaves out is what its class in transformers has: full, short and least files agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from design.nmp.model import Model
from frontends.hugging_face import FAMILIES, read_config
from frontends.hugging_face.architecture import AROUND
from tests.frontends.test_flops import CASES

# Its class has no number of experts for a token, and so no model by default.
NEEDED: dict[str, dict[str, Any]] = {"deepseek_v2": {"num_experts_per_tok": 6}}
SMALL = {
    "hidden_size": 40,
    "num_hidden_layers": 7,
    "num_attention_heads": 4,
    "vocab_size": 70,
    "head_dim": 14,
    "num_key_value_heads": 2,
}
TEXTS: dict[str, dict[str, Any]] = {
    "gemma3": {**SMALL, "model_type": "gemma3_text", "sliding_window": 9},
    "llava": {**SMALL, "model_type": "qwen2", "use_sliding_window": True, "max_window_layers": 3},
    "mistral3": {**SMALL, "model_type": "mistral", "sliding_window": None},
}


def same(folder: Path, config: Any, changed: dict[str, Any]) -> Model:
    """What all files of a configuration say: with every field, with those that differ from its class, and with those
    that were changed only."""
    path = folder / "model.json"
    config.to_json_file(path, use_diff=False)
    full = read_config(path, head=True)
    config.to_json_file(path, use_diff=True)
    assert read_config(path, head=True) == full
    path.write_text(json.dumps({"model_type": config.model_type, **changed}))
    assert read_config(path, head=True) == full
    return full


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_said(family: str, tmp_path: Path) -> None:
    """The class as it comes."""
    changed = NEEDED.get(family, {})
    config = transformers.AutoConfig.for_model(family, **changed)
    found = same(tmp_path, config, changed)
    assert found.embedding and found.embedding.tied == config.tie_word_embeddings
    assert sum(kind.count for kind in found.kinds) == config.num_hidden_layers + 1


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tied", [True, False])
def test_something_said(case: str, tied: bool, tmp_path: Path) -> None:
    """With changed fields, under the names that the class has for them."""
    changed = {**CASES[case], "tie_word_embeddings": tied}
    config = transformers.AutoConfig.for_model(case.split()[0], **changed)
    found = same(tmp_path, config, changed)
    assert found.embedding == (config.vocab_size, config.hidden_size, tied)


@pytest.mark.parametrize("case", CASES)
def test_null(case: str, tmp_path: Path) -> None:
    """Null is what the class makes of it, wherever it takes it."""
    for name in ("num_key_value_heads", "head_dim", "num_kv_heads", "ffn_hidden_size", "n_inner", "sliding_window"):
        changed = {**CASES[case], name: None}
        try:
            config = transformers.AutoConfig.for_model(case.split()[0], **changed)
        except Exception:  # its class refuses null: so may we, or fall back on the usual rule
            continue
        same(tmp_path, config, changed)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("tied", [None, True, False])
def test_text_part(around: str, tied: bool | None, tmp_path: Path) -> None:
    """Of a model of images and text the text part, as a model of text alone with these fields would be."""
    said = {} if tied is None else {"tie_word_embeddings": tied}
    within = [{**TEXTS[around], "tie_word_embeddings": other} for other in (True, False)]
    for text in ({}, TEXTS[around], *within):
        changed = {**said, **({"text_config": text} if text else {})}
        config = transformers.AutoConfig.for_model(around, **changed)
        found = same(tmp_path, config, changed)
        alone = tmp_path / "model.json"
        config.text_config.to_json_file(alone, use_diff=False)
        both = json.loads(alone.read_text()) | {"tie_word_embeddings": config.tie_word_embeddings}
        alone.write_text(json.dumps(both))
        assert read_config(alone, head=True) == found


# What published checkpoints count: (all parameters, those in norms, biases and learnt positions), and what their
# configurations say beyond the defaults of the class.
PUBLISHED: dict[str, tuple[int, int, dict[str, Any]]] = {
    "Llama-3-8B": (
        8_030_261_248,
        65 * 4096,
        {"model_type": "llama", "vocab_size": 128256, "intermediate_size": 14336, "num_key_value_heads": 8},
    ),
    "Mistral-7B": (7_241_732_096, 65 * 4096, {"model_type": "mistral"}),
    "Mixtral-8x7B": (46_702_792_704, 65 * 4096, {"model_type": "mixtral"}),
    "Phi-3-mini": (3_821_079_552, 65 * 3072, {"model_type": "phi3"}),
    "Qwen3-8B": (
        8_190_735_360,
        36 * (2 * 4096 + 2 * 128) + 4096,
        {"model_type": "qwen3", "num_hidden_layers": 36, "num_key_value_heads": 8, "intermediate_size": 12288},
    ),
    "Qwen3-30B-A3B": (
        30_532_122_624,
        48 * (2 * 2048 + 2 * 128) + 2048,
        {"model_type": "qwen3_moe", "num_hidden_layers": 48, "head_dim": 128},
    ),
    "Gemma-3-1B": (
        999_885_952,
        26 * (4 * 1152 + 2 * 256) + 1152,
        {"model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912, "vocab_size": 262144}
        | {"num_attention_heads": 4, "num_key_value_heads": 1},
    ),
    "Falcon-7B": (6_921_720_704, 33 * 2 * 4544, {"model_type": "falcon"}),
    "GPT-NeoX-20B": (20_554_567_680, 44 * 13 * 6144 + 2 * 6144, {"model_type": "gpt_neox"}),
    "OPT-6.7B": (
        6_658_473_984,
        32 * 13 * 4096 + 2 * 4096 + 2050 * 4096,
        {"model_type": "opt", "hidden_size": 4096, "ffn_dim": 16384, "num_hidden_layers": 32}
        | {"num_attention_heads": 32},
    ),
    "gpt-oss-20b": (
        20_914_757_184,
        24 * (4096 + 2 * 512 + 2880 + 64 + 32 + 32 * (5760 + 2880) + 2 * 2880) + 2880,
        {"model_type": "gpt_oss", "num_hidden_layers": 24, "num_local_experts": 32},
    ),
    "DeepSeek-V2-Lite": (
        15_706_484_224,
        27 * (2 * 2048 + 512) + 2048,
        {"model_type": "deepseek_v2", "hidden_size": 2048, "intermediate_size": 10944, "num_attention_heads": 16}
        | {"num_hidden_layers": 27, "q_lora_rank": None, "num_experts_per_tok": 6, "first_k_dense_replace": 1}
        | {"moe_intermediate_size": 1408},
    ),
    "DeepSeek-V3": (671_026_419_200, 61 * (2 * 7168 + 1536 + 512) + 7168 + 58 * 256, {"model_type": "deepseek_v3"}),
}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("latent", ["absorbed", "expanded"])
def test_published_parameters(name: str, latent: str, tmp_path: Path) -> None:
    """The weights of real models, to the last one."""
    total, others, said = PUBLISHED[name]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(said))
    found = read_config(path, latent=latent, head=True)
    assert found.embedding is not None
    table = 0 if found.embedding.tied else found.embedding.rows * found.embedding.width
    assert table + sum(kind.count * op.weights for kind in found.kinds for op in kind.operators) == total - others
