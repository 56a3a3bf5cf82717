"""A trained model as one safetensors file: weights, and in its header a card that says what it is.

The card holds the format, the kind of model and the versions of what it reads, the recipe, what the model learned from,
and digests of the weights and of itself. A file of another version, truncated or altered is refused in one line, and
nothing in it is ever executed. Of a model on a base from elsewhere the file holds what was trained, and the base's
digest.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from cost_model.training.recipe import TrainingRecipe
from design.errors import InputError

FORMAT = 2
LARGEST = 2**32  # bytes; a low-rank change of a large base is large
CARD, SIGNATURE = "card", "card_digest"


class Kept(ABC):
    """What a checkpoint keeps of a model. `base` is the digest of a model from elsewhere whose weights it does not
    hold, or nothing."""

    base: str = ""

    @abstractmethod
    def kept(self) -> dict[str, Tensor]:
        """What training changes, by name: what a checkpoint holds. They are the model's own tensors, no copies."""

    def bring(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `kept` gave. Raises ValueError for other names, shapes or types, and changes nothing then."""
        copy_into(self.kept(), tensors)


@dataclass(frozen=True)
class Learned:
    """What a model learned from: families of the data set, digests of tasks, the hash of the corpus."""

    families: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    corpus: str = ""


RecipeT = TypeVar("RecipeT", bound=TrainingRecipe)
ModelT = TypeVar("ModelT", bound=Kept)


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
    found = Checkpoint(recipe, model, learned, digest_of(tensors), dict(facts))
    card = {"format": FORMAT, "model": recipe.model, **recipe.READS, "recipe": recipe.model_dump(mode="json")}
    card |= {**asdict(learned), "weights": found.digest, "facts": found.facts}
    card |= {"base": model.base} if model.base else {}
    if path is not None:
        write_tensors(path, tensors, card | {SIGNATURE: signature(card)})
    return found


def copy_into(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Change `own` tensors. Raises ValueError for others of other names, shapes or types, and changes nothing then."""
    kinds, others = ({name: (each.shape, each.dtype) for name, each in some.items()} for some in (own, tensors))
    if kinds != others:
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


def read_tensors(path: Path, expected: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The card and the tensors in a file. Raises InputError naming the file and what is wrong."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > LARGEST:
            raise InputError(str(path), f"is {path.stat().st_size} bytes", f"at most {LARGEST}")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        card = json.loads(metadata[CARD])
    except OSError as error:
        raise InputError.unreadable(str(path), error, expected) from None
    except SafetensorError as error:
        found = f"is damaged, or no safetensors file ({' '.join(str(error).split())[:80]})"
        raise InputError(str(path), found, expected) from None
    except (KeyError, ValueError, RecursionError):
        card = None
    if not isinstance(card, dict):
        raise InputError(str(path), "has no card", expected)
    return card, tensors
