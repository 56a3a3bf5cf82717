"""Hugging Face configurations -> models: `read_config` takes a `config.json` as it lies on disk, with no library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from design.errors import InputError
from design.loader import kind, read_content
from design.nmp.model import LARGEST, Embedding, LayerKind, Model, model_name
from frontends.hugging_face.architecture import family_and_fields
from frontends.hugging_face.families import FAMILIES, Family
from frontends.hugging_face.fields import MOST_LAYERS, Fields
from frontends.hugging_face.layers import layer_kinds, output_head
from frontends.hugging_face.shapes import Layer

__all__ = ["FAMILIES", "LATENT_FORMS", "read_config"]

ABSORBED, EXPANDED = LATENT_FORMS = ("absorbed", "expanded")


def read_config(path: Path, *, latent: str = ABSORBED, head: bool = False) -> Model:
    """The model in a Hugging Face `config.json`; of one of images and text, the part for text.

    `latent` says how latent attention decodes: "expanded", from keys and values of every head, or "absorbed", from the
    latent numbers that they are made of, the matrices between them taken to the side of the queries. With `head` the
    output head and the embedding are accounted for. Raises InputError naming file and field.
    """
    if latent not in LATENT_FORMS:
        raise InputError("form of latent attention", f"'{latent[:40]}'", " or ".join(LATENT_FORMS))
    config = read_content(path, "the config.json of a model")
    family, fields = family_and_fields(str(path), config)
    kinds = layer_kinds(_layers(family, fields), latent == ABSORBED)
    embedding = _embedding(fields) if head else None
    if embedding:
        kinds = (*kinds, output_head(embedding.rows, embedding.width))
    for layer_kind in kinds:
        _check(str(path), layer_kind)
    return Model(_name(path, config), kinds, embedding)


def _layers(family: Family, fields: Fields) -> list[Layer]:
    """All layers of the model, one by one."""
    hidden, count = fields.number("hidden_size"), fields.number("num_hidden_layers", most=MOST_LAYERS)
    attention, parallel = family.attention(fields), family.parallel(fields)
    return [
        Layer(hidden, attention, family.ffn(fields, layer), family.window(fields, layer), parallel)
        for layer in range(count)
    ]


def _embedding(fields: Fields) -> Embedding:
    """Raises InputError when matrices stand between it and the layers, as in OPT-350m: they have no place yet."""
    hidden = fields.number("hidden_size")
    if "word_embed_proj_dim" in fields.defaults:
        width = fields.optional("word_embed_proj_dim")
        if width not in (None, hidden):
            found = f"is {width}, and hidden_size {hidden}: matrices lead from one to the other"
            raise fields.wrong("word_embed_proj_dim", found, "the same, or the model without its output head")
    return Embedding(fields.number("vocab_size"), hidden, fields.flag("tie_word_embeddings"))


def _check(path: str, layer_kind: LayerKind) -> None:
    """Every dimension within bounds, also those that are products of what the file says. Raises InputError."""
    for op in layer_kind.operators:
        size = max(extent.size for extent in (*op.prefill, *op.decode))
        if size > LARGEST:
            raise InputError(f"{path}, operator {op.name}", f"has a dimension of {size}", f"at most {LARGEST}")


def _name(path: Path, config: Mapping[str, Any]) -> str:
    """What the file calls the model, or else its folder, or the file itself if its name says more than that."""
    said = config.get("_name_or_path", "")
    if type(said) is not str:
        raise InputError(f"{path}, field '_name_or_path'", f"is {kind(said)}", "a text")
    own = path.resolve().parent.name if path.name == "config.json" else path.stem
    return model_name(said.replace("\\", "/").rstrip("/").split("/")[-1], own)
