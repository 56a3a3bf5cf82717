"""Configurations that cannot be read: each is one line that names the file and, where there is one, the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from design.errors import InputError
from frontends.hugging_face import FAMILIES, read_config
from frontends.hugging_face.architecture import OTHERS
from tests.cases import examples


def refused(path: Path, *words: str) -> None:
    """The error is one readable line with the path first, and has all the words."""
    with pytest.raises(InputError) as caught:
        read_config(path, head=True)
    text = str(caught.value)
    assert text.startswith(str(path)) and "; expected " in text
    assert "\n" not in text and len(text) < len(str(path)) + 800
    for word in words:
        assert word in text, text


def written(folder: Path, content: object) -> Path:
    """A file of that text, those bytes or that JSON."""
    path = folder / "config.json"
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("{", "is not JSON"),
        ('{"model_type": "opt",}', "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "cannot be read"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        ("null", "holds null"),
        ('[{"model_type": "opt"}]', "holds a list"),
        ("3", "holds a whole number"),
        ('"opt"', "holds a text"),
        ("[" * 200_000, "nested too deeply"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "thousands of digits"),
        ('{"model_type": "opt", "model_type": "opt"}', "field 'model_type': is given twice"),
        ("{}", "field 'model_type': is missing"),
        ('{"model_type": null}', "field 'model_type': is missing"),
        ('{"model_type": ""}', "field 'model_type': is empty"),
        ('{"model_type": ["opt"]}', "field 'model_type': is a list"),
        ('{"architectures": ["OPTForCausalLM"]}', "field 'model_type': is missing"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_no_configuration(content: str | bytes, word: str, tmp_path: Path) -> None:
    """Empty, truncated, no JSON, no object, or no configuration of a model."""
    refused(written(tmp_path, content), word)


def test_every_truncation(tmp_path: Path) -> None:
    """A file that ends early is refused wherever it ends."""
    text = json.dumps({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 8}, indent=1)
    for length in range(len(text)):
        refused(written(tmp_path, text[:length]))


def test_no_file(tmp_path: Path) -> None:
    """Absent, a folder, or larger than any configuration."""
    refused(tmp_path / "absent.json", "cannot be read", "No such file")
    refused(tmp_path, "cannot be read")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**30)
    refused(tmp_path / "large.json", "1073741824 bytes")


@pytest.mark.parametrize("name", OTHERS)
def test_no_decoder(name: str, tmp_path: Path) -> None:
    """Encoders, with a decoder or without, and models of images or sound say what they are, whatever else they hold."""
    text = {"text_config": {"model_type": "opt"}}
    refused(written(tmp_path, {"model_type": name, **text}), f"architecture '{name}' is {OTHERS[name]}")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (
            {"model_type": "gpt5"},
            "'gpt5' is not known; expected a layer of it exported to ONNX (--onnx), or one of opt",
        ),
        (
            {"model_type": "mamba"},
            "'mamba' is not known; expected a layer of it exported to ONNX (--onnx), or one of opt",
        ),
        (
            {"model_type": "jamba"},
            "'jamba' is not known; expected a layer of it exported to ONNX (--onnx), or one of opt",
        ),
        (
            {"model_type": "recurrent_gemma"},
            "'recurrent_gemma' is not known; expected a layer of it exported to ONNX (--onnx), or one of opt",
        ),
        ({"model_type": "LLaMA"}, "architecture 'LLaMA' is not known"),
        ({"model_type": "x" * 999}, "is not known"),
        ({"model_type": "a\nb"}, "architecture 'a b' is not known"),
        ({"model_type": "bart_new", "is_encoder_decoder": True}, "is an encoder and a decoder"),
        ({"model_type": "opt", "is_encoder_decoder": True}, "is an encoder and a decoder"),
        (
            {"model_type": "seer", "text_config": {"model_type": "opt"}, "is_encoder_decoder": True},
            "is an encoder and a decoder",
        ),
        ({"model_type": "llava", "tie_word_embeddings": "yes"}, "field 'tie_word_embeddings': is a text"),
        ({"model_type": "gemma3", "text_config": 3}, "field 'text_config': is a whole number"),
        ({"model_type": "gemma3", "text_config": []}, "field 'text_config': is a list"),
        ({"model_type": "llava", "text_config": {"model_type": "t5"}}, "text_config: architecture 't5' is an encoder"),
        ({"model_type": "seer", "text_config": {"model_type": "sibyl"}}, "text_config: architecture 'sibyl' is not"),
        ({"model_type": "seer", "text_config": {}}, "text_config: an architecture without a name is not known"),
        ({"model_type": "seer", "text_config": {"model_type": 3}}, "an architecture without a name"),
        ({"model_type": "gemma3", "text_config": {"hidden_size": 0}}, "text_config, field 'hidden_size': is 0"),
    ],
)
def test_unknown_architectures(fields: dict[str, Any], word: str, tmp_path: Path) -> None:
    """What is not known is named, with what is; of a model of more than text it is the text part that counts."""
    refused(written(tmp_path, fields), word)


def test_text_part_of_an_unknown_model(tmp_path: Path) -> None:
    """A model of more than text need not be known, only its text part."""
    text = {"model_type": "qwen2", "num_hidden_layers": 3}
    found = read_config(written(tmp_path, {"model_type": "seer", "text_config": text}))
    assert found.kinds == read_config(written(tmp_path, text)).kinds


COUNTS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")


@pytest.mark.parametrize("name", [*COUNTS, "num_key_value_heads", "head_dim", "sliding_window"])
@pytest.mark.parametrize("value", [0, -1, 2**31 + 1, 2**40, 10**400, 4096.0, "4096", True, [32], {"a": 1}])
def test_numbers(name: str, value: object, tmp_path: Path) -> None:
    """Zero, negative, huge, or no whole number at all."""
    word = "is " if type(value) is not int else f"is {str(value)[:20]}"
    refused(written(tmp_path, {"model_type": "mistral", name: value}), f"field '{name}': {word}")


@pytest.mark.parametrize("name", COUNTS)
def test_null_where_there_is_no_rule(name: str, tmp_path: Path) -> None:
    """Null is a value of its own, and not the default."""
    refused(written(tmp_path, {"model_type": "llama", name: None}), f"field '{name}': is null")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model_type": "opt", "num_attention_heads": 7}, ("'num_attention_heads': is 7", "divide hidden_size 768")),
        ({"model_type": "llama", "num_attention_heads": 33}, ("'num_attention_heads': is 33", "hidden_size 4096")),
        ({"model_type": "llama", "num_key_value_heads": 5}, ("'num_key_value_heads': is 5", "num_attention_heads 32")),
        ({"model_type": "llama", "num_key_value_heads": 64}, ("'num_key_value_heads': is 64",)),
        ({"model_type": "gpt2", "n_head": 7}, ("field 'n_head': is 7",)),
        ({"model_type": "falcon", "num_attention_heads": 70}, ("field 'num_attention_heads': is 70",)),
        ({"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 8}, ("'num_kv_heads': is 8",)),
        ({"model_type": "falcon", "n_layer": 3, "num_hidden_layers": 4}, ("disagrees with 'num_hidden_layers'",)),
        ({"model_type": "falcon", "multi_query": 1}, ("field 'multi_query': is a whole number",)),
        ({"model_type": "llama", "tie_word_embeddings": "yes"}, ("field 'tie_word_embeddings': is a text",)),
        ({"model_type": "llama", "num_hidden_layers": 1001}, ("field 'num_hidden_layers': is 1001", "1 to 1000")),
        ({"model_type": "llama", "head_dim": 2**31, "num_attention_heads": 2}, ("operator q", str(2**32))),
        ({"model_type": "gpt2", "n_inner": 2**31 + 1}, ("field 'n_inner'",)),
        ({"model_type": "gpt2", "add_cross_attention": True}, ("field 'add_cross_attention': is not false",)),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, ("'use_bidirectional_attention'",)),
        ({"model_type": "mpt", "expansion_ratio": 3}, ("field 'expansion_ratio': is not 4",)),
        ({"model_type": "llama", "per_layer_config": {"0": {"head_dim": 3}}}, ("field 'per_layer_config'",)),
        ({"model_type": "llama", "_name_or_path": 3}, ("field '_name_or_path': is a whole number",)),
        ({"model_type": "gemma3_text", "sliding_window_pattern": 0}, ("field 'sliding_window_pattern': is 0",)),
        ({"model_type": "gpt_oss", "layer_types": "full"}, ("field 'layer_types': is a text", "36 layers")),
        ({"model_type": "gpt_oss", "layer_types": ["full_attention"]}, ("field 'layer_types': has 1 entries",)),
        ({"model_type": "gpt_oss", "layer_types": [3] * 36}, ("field 'layer_types': layer 0 is a whole number",)),
        ({"model_type": "gpt_oss", "layer_types": [{}] * 36}, ("field 'layer_types': layer 0 is an object",)),
        (
            {"model_type": "gpt_oss", "layer_types": ["full_attention"] * 35 + ["linear_attention"]},
            ("layer 35 is 'linear_attention'", "sliding_attention or full_attention"),
        ),
        ({"model_type": "qwen2", "use_sliding_window": True, "max_window_layers": -1}, ("'max_window_layers'",)),
        ({"model_type": "qwen3_moe", "mlp_only_layers": "none"}, ("field 'mlp_only_layers': is a text",)),
        ({"model_type": "qwen3_moe", "mlp_only_layers": [1.5]}, ("field 'mlp_only_layers': is a list",)),
        ({"model_type": "qwen3_moe", "mlp_only_layers": [1] * 1001}, ("'mlp_only_layers': has 1001 entries",)),
        ({"model_type": "qwen3_moe", "decoder_sparse_step": 0}, ("field 'decoder_sparse_step': is 0",)),
        ({"model_type": "qwen3_moe", "num_experts_per_tok": 129}, ("is 129 of 128 experts",)),
        ({"model_type": "mixtral", "num_local_experts": 0}, ("field 'num_local_experts': is 0",)),
        ({"model_type": "mixtral", "num_local_experts": 8, "num_experts": 9}, ("disagrees",)),
        ({"model_type": "deepseek_v2"}, ("field 'num_experts_per_tok': is missing",)),
        ({"model_type": "deepseek_v3", "first_k_dense_replace": None}, ("field 'first_k_dense_replace': is null",)),
        ({"model_type": "deepseek_v3", "kv_lora_rank": 0}, ("field 'kv_lora_rank': is 0",)),
        ({"model_type": "deepseek_v3", "q_lora_rank": "none"}, ("field 'q_lora_rank': is a text",)),
        ({"model_type": "deepseek_v3", "n_shared_experts": -1}, ("field 'n_shared_experts': is -1",)),
        ({"model_type": "deepseek_v3", "moe_layer_freq": 2}, ("field 'moe_layer_freq': is not 1",)),
    ],
    ids=lambda value: str(value)[:60],
)
def test_fields(fields: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    """Numbers that do not fit together, flags and lists that are none, and what makes another model of it."""
    refused(written(tmp_path, fields), *words)


def test_fields_that_are_not_used(tmp_path: Path) -> None:
    """A configuration has many more fields, and none of them matters."""
    others = {"rope_scaling": {"type": "yarn"}, "quantization_config": [], "torch_dtype": 3, "sliding_window": "no"}
    fields = {"model_type": "llama", "num_hidden_layers": 2}
    assert read_config(written(tmp_path, fields | others)) == read_config(written(tmp_path, fields))


def test_latent_form(tmp_path: Path) -> None:
    """Absorbed or expanded."""
    with pytest.raises(InputError, match=r"^form of latent attention: 'folded'; expected absorbed or expanded$"):
        read_config(written(tmp_path, {"model_type": "opt"}), latent="folded")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-1, 70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@examples(300)
@given(data=st.data())
def test_any_json_is_read_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No value of any field of any family ends in anything but a model or an error of one line."""
    family = data.draw(st.sampled_from(sorted(FAMILIES)))
    used = {*FAMILIES[family].defaults, *FAMILIES[family].must, "per_layer_config", "_name_or_path", "model_type"}
    names = {other for name in used for other in FAMILIES[family].names.get(name, (name,))}
    fields = data.draw(st.dictionaries(st.sampled_from(sorted(names)), JSON, min_size=1, max_size=3))
    path = written(tmp_path_factory.getbasetemp(), {"model_type": family, **fields})
    try:
        found = read_config(path, head=True)
    except InputError as error:
        assert str(error).startswith(str(path)) and len(str(error).splitlines()) == 1
    else:
        assert all(min(extent.size for extent in op.decode) >= 1 for kind in found.kinds for op in kind.operators)


@pytest.mark.parametrize("depth", range(880, 1000, 17))
def test_an_entry_nested_nearly_too_deep(depth: int, tmp_path: Path) -> None:
    """What can be read can be reported."""
    deep = "[" * depth + "]" * depth
    for name in ("hidden_size", "layer_types", "model_type"):
        refused(written(tmp_path, json.dumps({"model_type": "gpt_oss", name: "@"}).replace('"@"', deep)))
