"""A trained model as one safetensors file: weights, and in its header a card that says what it is.

The card holds the format and prompt versions, the recipe, what the model learned from, and a digest of the weights. A
file of another version, truncated or altered is refused in one line. Of a model on a base from elsewhere the file holds
what was trained, and the base's digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cost_model.surrogates.lm.backbones import make_backbone
from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.base_models import base_of
from cost_model.surrogates.lm.recipe import Recipe, recipe_of
from cost_model.views.hls import VERSION
from cost_model.views.tokens import VOCABULARY
from design.errors import InputError

FORMAT = 2
LARGEST = 2**32  # bytes; a low-rank change of a large base is large
CARD = "card"
EXPECTED = "a checkpoint that --execution-type train wrote"
VOCABULARY_DIGEST = blake2b("\0".join(VOCABULARY).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Learned:
    """What a model learned from: families of the data set, digests of kernels' sources, the hash of the corpus."""

    families: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    corpus: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """A model that answers. `digest` is of the weights; `facts` are figures of its training."""

    recipe: Recipe
    model: Backbone
    learned: Learned
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def save(path: Path, recipe: Recipe, model: Backbone, learned: Learned, facts: Mapping[str, Any]) -> Checkpoint:
    """Write a checkpoint, whole or not at all. Raises OSError."""
    from safetensors.torch import save as as_bytes

    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.kept().items()}
    digest = digest_of(tensors)
    card = {
        "format": FORMAT,
        "prompt": VERSION,
        "vocabulary": VOCABULARY_DIGEST,
        "recipe": recipe.model_dump(mode="json"),
        "families": list(learned.families),
        "digests": list(learned.digests),
        "corpus": learned.corpus,
        "weights": digest,
        "facts": dict(facts),
    }
    card |= {"base": model.base} if model.base else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(as_bytes(tensors, {CARD: json.dumps(card, sort_keys=True)}))
    beside.replace(path)
    return Checkpoint(recipe, model, learned, digest, facts)


def load(path: Path, base: str | None = None) -> Checkpoint:
    """Read a checkpoint; `base` is the folder of the model that it was trained on, where its recipe asks for one.
    Raises InputError naming the file and what is wrong with it, or the base, which is read last."""
    card, tensors = _read(path)
    _same(path, "format", card.get("format"), FORMAT)
    _same(path, "prompt version", card.get("prompt"), VERSION)
    _same(path, "vocabulary", card.get("vocabulary"), VOCABULARY_DIGEST)
    recipe = recipe_of(card.get("recipe", {}), f"{path}, recipe")
    digest = digest_of(tensors)
    if card.get("weights") != digest:
        raise InputError(str(path), "has weights that differ from its card", EXPECTED)
    below = base_of(recipe.backbone, base)
    if below is not None and card.get("base") != below.digest:
        found = f"was trained on base {str(card.get('base'))[:16]}, and {below.where} is {below.digest}"
        raise InputError(str(path), found, "the same configuration and weights, byte for byte")
    model = make_backbone(recipe, below)
    try:
        model.bring(tensors)
    except ValueError:
        raise InputError(str(path), "has tensors of other names or shapes than its recipe", EXPECTED) from None
    model.eval()
    names = [card.get(name, []) for name in ("families", "digests")]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in names):
        raise InputError(f"{path}, card", "has families or digests that are no lists of texts", EXPECTED)
    learned = Learned(tuple(names[0]), tuple(names[1]), str(card.get("corpus", "")))
    return Checkpoint(recipe, model, learned, digest, card.get("facts", {}))


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hash of weights by name."""
    state = blake2b(digest_size=8)
    for name in sorted(tensors):
        state.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        state.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > LARGEST:
            raise InputError(str(path), f"is {path.stat().st_size} bytes", f"at most {LARGEST}")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        card = json.loads(metadata[CARD])
    except OSError as error:
        raise InputError.unreadable(str(path), error, EXPECTED) from None
    except SafetensorError as error:
        raise InputError(str(path), f"is no safetensors file ({' '.join(str(error).split())[:80]})", EXPECTED) from None
    except (KeyError, ValueError, RecursionError):
        raise InputError(str(path), "has no card", EXPECTED) from None
    if not isinstance(card, dict) or any(tensor.dtype != torch.float32 for tensor in tensors.values()):
        raise InputError(str(path), "is not of this kind", EXPECTED)
    return card, tensors


def _same(path: Path, what: str, found: object, expected: object) -> None:
    if found != expected:
        raise InputError(str(path), f"has {what} {str(found)[:40]}", f"{what} {expected}; train it anew")
