"""Configurations of Hugging Face as models: operators, edges between them, kinds of layers, output head and name."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from design.nmp.lowering import Usage, decode_calls, model_workload, prefill_calls
from design.nmp.model import Embedding, Experts, LayerKind, LayerOperator, Model
from design.nmp.workload import ATTENTION, FFN, PROJECTION, Call, Gemm
from frontends.hugging_face import LATENT_FORMS, read_config
from frontends.hugging_face.layers import layer_kinds
from frontends.hugging_face.shapes import Attention, FeedForward, Layer, Mixture
from tests.cases import ROOT

USE = Usage(batch=2, prompt=5, generated=4, max_seq_len=32)
SMALL = {"hidden_size": 48, "num_attention_heads": 6, "num_hidden_layers": 4, "intermediate_size": 80}
LATENT = {"kv_lora_rank": 16, "q_lora_rank": 20, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 10}
DEEPSEEK = {**SMALL, **LATENT, "model_type": "deepseek_v3", "moe_intermediate_size": 12, "n_routed_experts": 9}


def read(folder: Path, fields: dict[str, Any], latent: str = "absorbed", head: bool = False) -> Model:
    """The model that a file with these fields is."""
    path = folder / "config.json"
    path.write_text(json.dumps(fields))
    return read_config(path, latent=latent, head=head)


def operator(kind: LayerKind, name: str) -> LayerOperator:
    """The one of that name."""
    (found,) = (op for op in kind.operators if op.name == name)
    return found


def arrows(kind: LayerKind) -> str:
    """The edges of a layer, such as "q>qk k>qk", in the order of their names."""
    names = [op.name for op in kind.operators]
    return " ".join(sorted(f"{names[a]}>{names[b]}" for a, b in kind.edges))


def ordered(text: str) -> str:
    """Edges written down in any order."""
    return " ".join(sorted(text.split()))


PUBLISHED: dict[str, dict[str, Any]] = {
    "opt-6.7b": {"model_type": "opt", "hidden_size": 4096, "ffn_dim": 16384, "num_hidden_layers": 32}
    | {"num_attention_heads": 32},
    "llama3-8b": {"model_type": "llama", "intermediate_size": 14336, "num_key_value_heads": 8},
    "palm-8b": {"model_type": "cohere", "hidden_size": 4096, "intermediate_size": 16384, "num_hidden_layers": 32}
    | {"num_attention_heads": 16, "num_key_value_heads": 1},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models(name: str, tmp_path: Path) -> None:
    """Operators, their order, edges and dimensions are those of the published shapes and graphs."""
    shape = json.loads((ROOT / "config" / name / "shape.json").read_text())
    graph = json.loads((ROOT / "config" / name / "operator_graph.json").read_text())
    (kind,) = read(tmp_path, PUBLISHED[name]).kinds
    assert kind.name == "layer" and kind.count == shape["layer_num"]
    assert {op.name: i for i, op in enumerate(kind.operators)} == graph["node"]
    assert [list(edge) for edge in kind.edges] == sorted(graph["edge"])
    d, f, heads = shape["hidden_dim"], shape["intermediate_dim"], shape["q_head_num"]
    kv, width = shape["kv_head_num"], d // heads
    columns = {"q": (d, d), "k": (kv * width, d), "v": (kv * width, d), "o": (d, d), "f2": (d, f)}
    columns |= {"f1": (f, d), "f3": (f, d)}
    for op in kind.operators:
        for calls, tokens, context in ((prefill_calls(op, USE), 5, 5), (decode_calls(op, USE), 1, 9)):
            b, m = (2 * kv, tokens * heads // kv) if op.kind == ATTENTION else (1, 2 * tokens)
            n, k = {"qk": (context, width), "sv": (width, context)}.get(op.name) or columns[op.name]
            assert calls == (Call(Gemm(b, m, n, k)),)
        assert op.weights == (0 if op.kind == ATTENTION else np.prod(columns[op.name]))
        assert op.cache == (kv * width if op.kind == ATTENTION else 0)


def test_roles(tmp_path: Path) -> None:
    """Which operators belong to attention, which to the projections around it, which to the network."""
    roles = {}
    for fields in (DEEPSEEK, {"model_type": "phi3"}, {"model_type": "gemma"}):
        for kind in read(tmp_path, fields, head=True).kinds:
            roles |= {op.name: op.kind for op in kind.operators}
    by_role = {role: {name for name in roles if roles[name] == role} for role in set(roles.values())}
    assert by_role == {
        ATTENTION: {"qk", "sv"},
        PROJECTION: {"q", "k", "v", "qkv", "o", "q_a", "q_b", "kv_a", "k_b", "v_b", "lm_head"},
        FFN: {"f1", "f2", "f3", "f13", "router", "e13", "e2", "s1", "s2", "s3"},
    }


SEPARATE, FUSED = "q>qk k>qk v>sv qk>sv sv>o", "qkv>qk qkv>sv qk>sv sv>o"
GATED, PLAIN = "f1>f2 f3>f2", "f1>f2"
EXPERTS = "router>e13 e13>e2"
NEW, OLD = {"new_decoder_architecture": True, "num_kv_heads": 8}, {"multi_query": False, "parallel_attn": False}


@pytest.mark.parametrize(
    ("fields", "edges"),
    [
        ({"model_type": "phi3"}, f"{FUSED} o>f13 f13>f2"),
        ({"model_type": "glm4"}, f"{SEPARATE} o>f13 f13>f2"),
        ({"model_type": "phi"}, f"{SEPARATE} {PLAIN}"),
        ({"model_type": "gptj"}, f"{SEPARATE} {PLAIN}"),
        ({"model_type": "gpt2"}, f"{FUSED} o>f1 {PLAIN}"),
        ({"model_type": "falcon"}, f"{FUSED} {PLAIN}"),
        ({"model_type": "falcon", "hidden_size": 64, "num_attention_heads": 8, **NEW, **OLD}, f"{FUSED} {PLAIN}"),
        ({"model_type": "falcon", **OLD}, f"{FUSED} o>f1 {PLAIN}"),
        ({"model_type": "gpt_neox"}, f"{FUSED} {PLAIN}"),
        ({"model_type": "gpt_neox", "use_parallel_residual": False}, f"{FUSED} o>f1 {PLAIN}"),
        ({"model_type": "stablelm"}, f"{SEPARATE} o>f1 o>f3 {GATED}"),
        ({"model_type": "stablelm", "use_parallel_residual": True}, f"{SEPARATE} {GATED}"),
        ({"model_type": "cohere"}, f"{SEPARATE} {GATED}"),
        ({"model_type": "mixtral"}, f"{SEPARATE} o>router o>e13 {EXPERTS}"),
        ({"model_type": "qwen3_moe"}, f"{SEPARATE} o>router o>e13 {EXPERTS}"),
        (
            {**DEEPSEEK, "q_lora_rank": None, "first_k_dense_replace": 0},
            f"q>k_b q>qk k_b>qk kv_a>qk kv_a>sv qk>sv sv>v_b v_b>o o>router o>e13 o>s1 o>s3 {EXPERTS} s1>s2 s3>s2",
        ),
        (
            {**DEEPSEEK, "first_k_dense_replace": 99},
            f"q_a>q_b q_b>k_b q_b>qk k_b>qk kv_a>qk kv_a>sv qk>sv sv>v_b v_b>o o>f1 o>f3 {GATED}",
        ),
    ],
)
def test_edges(fields: dict[str, Any], edges: str, tmp_path: Path) -> None:
    """What waits for what; beside the attention the network waits for nothing of its layer."""
    (kind,) = read(tmp_path, fields).kinds
    assert arrows(kind) == ordered(edges)


def test_edges_of_expanded_latent_attention(tmp_path: Path) -> None:
    """Keys and values are made of the latent numbers; the part of a key with its position goes beside."""
    (kind,) = read(tmp_path, {**DEEPSEEK, "first_k_dense_replace": 99}, latent="expanded").kinds
    before = "q_a>q_b q_b>qk kv_a>qk kv_a>k_b kv_a>v_b k_b>qk v_b>sv qk>sv sv>o"
    assert arrows(kind) == ordered(f"{before} o>f1 o>f3 {GATED}")


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"model_type": "mistral"}, [("layer", 32, 4096)]),
        ({"model_type": "mistral", "sliding_window": None}, [("layer", 32, None)]),
        ({"model_type": "phi3", "sliding_window": 2047}, [("layer", 32, 2047)]),
        ({"model_type": "gemma3_text", "num_hidden_layers": 34}, [("sliding", 29, 4096), ("full", 5, None)]),
        ({"model_type": "gemma3_text", "sliding_window_pattern": 2}, [("sliding", 13, 4096), ("full", 13, None)]),
        ({"model_type": "gemma3_text", "sliding_window_pattern": 1}, [("layer", 26, None)]),
        ({"model_type": "gemma3", "text_config": {"num_hidden_layers": 6}}, [("sliding", 5, 4096), ("full", 1, None)]),
        ({"model_type": "gpt_oss", "num_hidden_layers": 5}, [("sliding", 3, 128), ("full", 2, None)]),
        (
            {
                "model_type": "gpt_oss",
                "num_hidden_layers": 3,
                "layer_types": ["full_attention", "sliding_attention", "full_attention"],
            },
            [("full", 2, None), ("sliding", 1, 128)],
        ),
        ({"model_type": "qwen2"}, [("layer", 32, None)]),
        ({"model_type": "qwen2", "use_sliding_window": True}, [("full", 28, None), ("sliding", 4, 4096)]),
        ({"model_type": "qwen3", "use_sliding_window": True, "max_window_layers": 0}, [("layer", 32, 4096)]),
        ({"model_type": "qwen3", "use_sliding_window": True, "sliding_window": None}, [("layer", 32, None)]),
        ({"model_type": "deepseek_v3"}, [("dense", 3, None), ("moe", 58, None)]),
        ({"model_type": "deepseek_v3", "first_k_dense_replace": 61}, [("layer", 61, None)]),
        ({"model_type": "qwen3_moe", "mlp_only_layers": [0, 3, 99]}, [("dense", 2, None), ("moe", 22, None)]),
        ({"model_type": "qwen3_moe", "decoder_sparse_step": 3}, [("dense", 16, None), ("moe", 8, None)]),
        ({"model_type": "qwen3_moe", "num_experts": 0}, [("layer", 24, None)]),
    ],
)
def test_kinds(fields: dict[str, Any], counts: list[tuple[str, int, int | None]], tmp_path: Path) -> None:
    """Layers that are alike make one kind, in the order in which they first come; both parts of attention have the
    window and nothing else has."""
    found = read(tmp_path, fields).kinds
    assert [(kind.name, kind.count, operator(kind, "qk").window) for kind in found] == counts
    for kind in found:
        assert operator(kind, "sv").window == operator(kind, "qk").window
        assert not any(op.window for op in kind.operators if op.kind != ATTENTION)


def test_kinds_that_differ_in_both() -> None:
    """Windows and mixtures each give a word."""
    attention, dense, moe = Attention(4, 2, 8), FeedForward(64), Mixture(8, 2, 16)
    layers = [Layer(32, attention, ffn, window) for ffn, window in ((dense, 9), (moe, 9), (moe, None), (moe, 9))]
    found = layer_kinds(layers, absorbed=True)
    assert [(kind.name, kind.count) for kind in found] == [("sliding-dense", 1), ("sliding-moe", 2), ("full-moe", 1)]


def test_mixture(tmp_path: Path) -> None:
    """Experts are several matrices of which a token meets some; shared experts are one that all tokens meet."""
    (kind,) = read(tmp_path, {**DEEPSEEK, "first_k_dense_replace": 0, "n_shared_experts": 2}).kinds
    e13, e2, router = (operator(kind, name) for name in ("e13", "e2", "router"))
    assert e13.experts == e2.experts == Experts(9, 8)
    assert (e13.weights, e2.weights, router.weights) == (9 * 48 * 24, 9 * 48 * 12, 9 * 48)
    assert [operator(kind, name).weights for name in ("s1", "s3", "s2")] == [48 * 24] * 3
    assert not any(op.experts for op in kind.operators if op.name not in ("e13", "e2"))
    (kind,) = read(tmp_path, {**DEEPSEEK, "first_k_dense_replace": 0, "n_shared_experts": 0}).kinds
    assert not {"s1", "s2", "s3"} & {op.name for op in kind.operators}


def test_head(tmp_path: Path) -> None:
    """The output head is the last kind; the embedding is said, and whether the two are the same."""
    fields = {**SMALL, "model_type": "llama", "vocab_size": 100}
    for tied in (True, False):
        found = read(tmp_path, {**fields, "tie_word_embeddings": tied}, head=True)
        assert [(kind.name, kind.count) for kind in found.kinds] == [("layer", 4), ("head", 1)]
        (head,) = found.kinds[-1].operators
        assert found.embedding == Embedding(100, 48, tied)
        assert head.weights == 100 * 48
        assert prefill_calls(head, USE) == decode_calls(head, USE) == (Call(Gemm(1, 2, 100, 48)),)
    without = read(tmp_path, fields)
    assert without.embedding is None and without.kinds == found.kinds[:-1]


def test_head_behind_a_matrix(tmp_path: Path) -> None:
    """OPT-350m has matrices between embedding and layers: its layers are read, its head is not."""
    fields = {"model_type": "opt", "hidden_size": 1024, "num_attention_heads": 16, "word_embed_proj_dim": 512}
    assert len(read(tmp_path, fields).kinds) == 1
    with pytest.raises(Exception, match=r"field 'word_embed_proj_dim': is 512, .* without its output head"):
        read(tmp_path, fields, head=True)
    assert read(tmp_path, fields | {"word_embed_proj_dim": 1024}, head=True).embedding


@pytest.mark.parametrize("latent", LATENT_FORMS)
def test_a_workload_is_made(latent: str, tmp_path: Path) -> None:
    """The models are of use: dependencies have no circle, everything is counted, cuts divide."""
    for fields in (DEEPSEEK, {"model_type": "deepseek_v3"}, {"model_type": "gpt_oss"}, {"model_type": "gemma3"}):
        found = model_workload(read(tmp_path, fields, latent, head=True), USE)
        assert found.order() and found.layers > 1


def test_latent_attention_in_numbers(tmp_path: Path) -> None:
    """A step in absorbed form, GEMM by GEMM, gives what it gives with keys and values of all heads."""
    kinds = {form: read(tmp_path, DEEPSEEK, latent=form).kinds[0] for form in LATENT_FORMS}
    step = {
        form: {op.name: decode_calls(op, USE)[0].gemm for op in kind.operators if op.name in ("k_b", "qk", "sv", "v_b")}
        for form, kind in kinds.items()
    }
    rng = np.random.default_rng(7)
    batch, heads, context, rank, nope, rope, value = 2, 6, 9, 16, 8, 4, 10
    latents, turned = rng.normal(size=(batch, context, rank)), rng.normal(size=(batch, context, rope))
    k_b, v_b = rng.normal(size=(heads, nope, rank)), rng.normal(size=(heads, value, rank))
    query, query_rope = rng.normal(size=(batch, heads, nope)), rng.normal(size=(batch, heads, rope))

    def multiplied(form: str, name: str, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(B, M, K) times (B, K, N), of the very dimensions that the operator says."""
        gemm = step[form][name]
        assert (left.shape, right.shape) == ((gemm.B, gemm.M, gemm.K), (gemm.B, gemm.K, gemm.N)), (form, name)
        return left @ right

    taken = multiplied("absorbed", "k_b", query.swapaxes(0, 1), k_b).swapaxes(0, 1)
    rows = np.concatenate([latents, turned], axis=2)
    scores = multiplied("absorbed", "qk", np.concatenate([taken, query_rope], axis=2), rows.swapaxes(1, 2))
    mixed = multiplied("absorbed", "sv", scores, latents)
    absorbed = multiplied("absorbed", "v_b", mixed.swapaxes(0, 1), v_b.swapaxes(1, 2)).swapaxes(0, 1)

    keys = np.einsum("bcr,hnr->bhcn", latents, k_b)
    keys = np.concatenate([keys, np.broadcast_to(turned[:, None], (batch, heads, context, rope))], axis=3)
    values = np.einsum("bcr,hvr->bhcv", latents, v_b)
    each = np.concatenate([query, query_rope], axis=2).reshape(batch * heads, 1, nope + rope)
    scores = multiplied("expanded", "qk", each, keys.reshape(batch * heads, context, -1).swapaxes(1, 2))
    expanded = multiplied("expanded", "sv", scores, values.reshape(batch * heads, context, -1))
    np.testing.assert_allclose(absorbed, expanded.reshape(batch, heads, value))


def test_latent_forms_differ_in_decode_only(tmp_path: Path) -> None:
    """The same weights and the same prefill; what is kept for a token is the latent row, or every head's."""
    absorbed, expanded = (read(tmp_path, DEEPSEEK, latent=form).kinds for form in LATENT_FORMS)
    for one, other in zip(absorbed, expanded, strict=True):
        by_name = (sorted(kind.operators, key=lambda op: op.name) for kind in (one, other))
        for a, b in zip(*by_name, strict=True):
            assert (a.name, a.kind, a.weights, a.prefill) == (b.name, b.kind, b.weights, b.prefill)
            assert (a.decode != b.decode) == (a.name in ("k_b", "qk", "sv", "v_b"))
        assert [operator(one, name).cache for name in ("qk", "sv")] == [16 + 4, 0]
        assert [operator(other, name).cache for name in ("qk", "sv")] == [6 * (8 + 4), 6 * 10]


@pytest.mark.parametrize(
    ("said", "file", "name"),
    [
        ({}, "My Model/config.json", "My-Model"),
        ({}, "folder/opt.json", "opt"),
        ({"_name_or_path": ""}, "folder/opt.json", "opt"),
        ({"_name_or_path": "meta-llama/Meta-Llama-3-8B"}, "folder/opt.json", "Meta-Llama-3-8B"),
        ({"_name_or_path": "/data/models/x_1.5/"}, "folder/config.json", "x_1.5"),
        ({"_name_or_path": "C:\\models\\phi"}, "folder/config.json", "phi"),
        ({"_name_or_path": "../.."}, "folder/config.json", "folder"),
        ({"_name_or_path": "a\nb'; rm -rf"}, "folder/config.json", "a-b-rm--rf"),
        ({"_name_or_path": "é☃"}, "folder/config.json", "folder"),
        ({"_name_or_path": "m" * 500}, "folder/config.json", "m" * 60),
    ],
)
def test_name(said: dict[str, str], file: str, name: str, tmp_path: Path) -> None:
    """What the file says, else its folder, else the file; always short and plain."""
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(json.dumps({"model_type": "opt", **said}))
    assert read_config(path).name == name


def test_a_file_in_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder has a name even where the path does not say it."""
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path / "tiny")
    Path("config.json").write_text('{"model_type": "opt"}')
    assert read_config(Path("config.json")).name == "tiny"


@pytest.mark.parametrize(
    ("family", "old", "new"),
    [
        ("falcon", {"n_layer": 3, "n_head": 8, "n_embed": 64}, {"num_hidden_layers": 3, "num_attention_heads": 8}),
        ("gpt2", {"n_layer": 3, "n_head": 8, "n_embd": 64}, {"num_hidden_layers": 3, "num_attention_heads": 8}),
        ("bloom", {"n_layer": 3, "n_head": 8, "n_embed": 64}, {"num_hidden_layers": 3, "num_attention_heads": 8}),
        ("mpt", {"n_layers": 3, "n_heads": 8, "d_model": 64}, {"num_hidden_layers": 3, "num_attention_heads": 8}),
    ],
)
def test_old_names(family: str, old: dict[str, int], new: dict[str, int], tmp_path: Path) -> None:
    """Fields under the names of older files, or both when they agree."""
    new = {**new, "hidden_size": 64}
    found = [read(tmp_path, {"model_type": family, **said}) for said in (old, new, {**old, **new})]
    assert all(one == other for one, other in pairwise(found))
    assert found[0].kinds[0].count == 3 and operator(found[0].kinds[0], "o").weights == 64 * 64
