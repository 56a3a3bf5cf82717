"""A trained model as one safetensors file: weights, and in its header a card that says what it is.

The card holds the format, the kind of model and the versions of what it reads, the recipe, what the model learned from,
and digests of the weights and of itself. A file of another version, truncated or altered is refused in one line, and
nothing in it is ever executed. Of a model on a base from elsewhere the file holds what was trained, and the base's
digest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from cost_model.training.recipe import TrainingRecipe
from design.errors import InputError

FORMAT = 2
LARGEST = 2**32  # bytes; a low-rank change of a large base is large
CARD, SIGNATURE = "card", "card_digest"
EXPECTED = "a checkpoint that --execution-type train wrote"


class Model(Protocol):
    """What a checkpoint keeps. `base` is the digest of a model from elsewhere whose weights it does not hold, or ""."""

    base: str

    def kept(self) -> dict[str, Tensor]:
        """All that training changes, by name: the model's own tensors, no copies."""
        ...

    def bring(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `kept` gave. Raises ValueError for other names, shapes or types, and changes nothing then."""
        ...


@dataclass(frozen=True)
class Learned:
    """What a model learned from: families of the data set, digests of tasks, the hash of the corpus."""

    families: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    corpus: str = ""


RecipeT = TypeVar("RecipeT", bound=TrainingRecipe)
ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True)
class Checkpoint(Generic[RecipeT, ModelT]):
    """A model that answers. `digest` is of the weights; `facts` are figures of its training."""

    recipe: RecipeT
    model: ModelT
    learned: Learned
    digest: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def save(
    path: Path | None, recipe: RecipeT, model: ModelT, learned: Learned, facts: Mapping[str, Any]
) -> Checkpoint[RecipeT, ModelT]:
    """A checkpoint, in a file that is written whole or not at all (None: in no file). Raises OSError, and InputError
    for weights that are no numbers."""
    tensors = model.kept()
    if odd := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise InputError("training", f"ended with {odd[0]} that is no number", "a recipe with a smaller rate")
    digest = digest_of(tensors)
    card: dict[str, Any] = {
        "format": FORMAT,
        "model": recipe.model,
        **recipe.READS,
        "recipe": recipe.model_dump(mode="json"),
        "families": list(learned.families),
        "digests": list(learned.digests),
        "corpus": learned.corpus,
        "weights": digest,
        "facts": dict(facts),
    }
    card |= {"base": model.base} if model.base else {}
    if path is not None:
        write_tensors(path, tensors, card | {SIGNATURE: signature(card)})
    return Checkpoint(recipe, model, learned, digest, facts)


def read_card(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the weights in a file of this format. Raises InputError naming the file and what is wrong."""
    try:
        card, tensors = read_tensors(path)
    except OSError as error:
        raise InputError.unreadable(str(path), error, EXPECTED) from None
    except ValueError as error:
        raise InputError(str(path), str(error), EXPECTED) from None
    require(path, "format", card.get("format"), FORMAT)
    if any(tensor.dtype not in (torch.float32, torch.float64) for tensor in tensors.values()):
        raise InputError(str(path), "is not of this kind", EXPECTED)
    return card, tensors


def filled(
    path: Path, card: Mapping[str, Any], recipe: RecipeT, model: ModelT, tensors: Mapping[str, Tensor]
) -> Checkpoint[RecipeT, ModelT]:
    """The checkpoint of a `model` that is as its recipe begins, with what the file in `path` holds. Raises InputError
    for weights or a card that were altered, and for weights of another model."""
    digest = digest_of(tensors)
    if card.get("weights") != digest:
        raise InputError(str(path), "has weights that differ from its card", EXPECTED)
    try:
        model.bring(tensors)
    except ValueError:
        raise InputError(str(path), "has tensors of other names or shapes than its recipe", EXPECTED) from None
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise InputError(str(path), "has a weight that is no number", EXPECTED)
    names = [card.get(name, []) for name in ("families", "digests")]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in names):
        raise InputError(f"{path}, card", "has families or digests that are no lists of texts", EXPECTED)
    if "model" in card and card.get(SIGNATURE) != signature(card):  # files from before it named the model are unsigned
        raise InputError(f"{path}, card", "was altered", EXPECTED)
    learned = Learned(tuple(names[0]), tuple(names[1]), str(card.get("corpus", "")))
    return Checkpoint(recipe, model, learned, card.get("known_as", digest), card.get("facts", {}))


def require(path: Path, what: str, found: object, expected: object) -> None:
    """Raises InputError where a card says otherwise."""
    if found != expected:
        raise InputError(str(path), f"has {what} {str(found)[:40]}", f"{what} {expected}; train it anew")


def bring(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into `own` ones. Raises ValueError for other names, shapes or types, and changes nothing then."""
    if _kinds(own) != _kinds(tensors):
        raise ValueError("tensors of other names, shapes or types")
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Hash of weights by name."""
    state = blake2b(digest_size=8)
    for name in sorted(tensors):
        state.update(f"{name}{tuple(tensors[name].shape)}{tensors[name].dtype}".encode())
        state.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def signature(card: Mapping[str, Any]) -> str:
    """Hash of a card but for its own."""
    text = json.dumps({name: value for name, value in card.items() if name != SIGNATURE}, sort_keys=True)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """A safetensors file with a card in its header, whole or not at all; makes its folder. Raises OSError."""
    from safetensors.torch import save as as_bytes

    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(as_bytes(copies, {CARD: json.dumps(card, sort_keys=True)}))
    beside.replace(path)


def read_tensors(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the tensors in a file. Raises OSError, and ValueError saying what is wrong with the file."""
    from safetensors import SafetensorError, safe_open

    if path.stat().st_size > LARGEST:
        raise ValueError(f"is {path.stat().st_size} bytes, more than {LARGEST}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        card = json.loads(metadata[CARD])
    except SafetensorError as error:
        raise ValueError(f"is no safetensors file ({' '.join(str(error).split())[:80]})") from None
    except (KeyError, ValueError, RecursionError):
        raise ValueError("has no card") from None
    if not isinstance(card, dict):
        raise ValueError("has no card")
    return card, tensors


def _kinds(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}
