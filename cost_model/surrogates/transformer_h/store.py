"""A trained Transformer-H on disk: weights in FILE (safetensors), all else in a JSON card beside it, FILE.json.

The card has a digest of both, so that a file that was cut short, changed or mixed up with another is told from a sound
one; nothing in either is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from cost_model.surrogates.transformer_h.model import Shape, TransformerH
from cost_model.surrogates.transformer_h.trained import Card, Trained
from cost_model.surrogates.transformer_h.training import Learned
from cost_model.surrogates.transformer_h.training_examples import Outputs
from cost_model.views.hls.matrix_input import BLOCKS, PLACES, TOOLS, Scaling
from design.core import Floats
from design.errors import InputError
from design.loader import read_object

FORMAT, VERSION = "transformer-h", 1
LARGEST = 5 * 2**20  # bytes of weights
FIELDS: dict[str, type] = {
    "format": str,
    "version": int,
    "blocks": dict,
    "places": int,
    "tools": list,
    "shape": dict,
    "members": list,
    "families": list,
    "digests": list,
    "seed": int,
    "command": str,
    "digest": str,
}
MEMBER = ("mean", "deviation", "metrics", "center", "spread", "trust", "difference", "validation", "error", "agreement")
LAYOUT = {"blocks": BLOCKS, "places": PLACES, "tools": list(TOOLS)}  # what a model's inputs are made of


def card_path(path: Path) -> Path:
    """Of the card beside a file of weights."""
    return path.with_name(path.name + ".json")


def write_trained(trained: Trained, path: Path) -> Trained:
    """Writes weights and card; returns the model with its digest. Raises InputError where files cannot be written or
    the weights are too large."""
    from safetensors.torch import save

    tensors = {f"{i}.{k}": v for i, m in enumerate(trained.members) for k, v in m.model.state_dict().items()}
    weights = save(tensors)
    if len(weights) > LARGEST:
        raise InputError(str(path), f"would have {len(weights)} bytes of weights", f"at most {LARGEST}")
    card: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        **LAYOUT,
        "shape": asdict(trained.members[0].model.shape),
        "members": [_member(member) for member in trained.members],
        **{name: list(getattr(trained.card, name)) for name in ("families", "digests")},
        "seed": trained.card.seed,
        "command": trained.card.command,
    }
    card["digest"] = _digest(card, weights)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(weights)
        card_path(path).write_text(json.dumps(card, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(str(path), f"cannot be written ({error.strerror})", "a writable place") from None
    return replace(trained, digest=card["digest"])


def read_trained(path: Path) -> Trained:
    """The model in a file and its card. Raises InputError, one line that names the file, for one that cannot be read,
    is of another format, version or layout of features, was cut short or was changed."""
    card = read_object(card_path(path), FIELDS)
    where = str(card_path(path))
    if (card["format"], card["version"]) != (FORMAT, VERSION):
        raise InputError(where, f"is {card['format']} version {card['version']}", f"{FORMAT} version {VERSION}")
    for name, expected in LAYOUT.items():
        if card[name] != expected:
            raise InputError(f"{where}, field '{name}'", "is of other features than this program's", "a new training")
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(str(path), f"{path.stat().st_size} bytes", f"at most {LARGEST}")
        weights = path.read_bytes()
    except OSError as error:
        raise InputError.unreadable(str(path), error, "a file of weights") from None
    if _digest({name: value for name, value in card.items() if name != "digest"}, weights) != card["digest"]:
        raise InputError(str(path), "and its card do not belong together", "both as they were written")
    try:
        return _trained(card, weights)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise InputError(str(path), f"holds no such model ({error})", "weights and card of one training") from None


def _trained(card: Mapping[str, Any], weights: bytes) -> Trained:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(weights)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    shape, members = Shape(**card["shape"]), []
    for number, entry in enumerate(card["members"]):
        model = TransformerH(shape).eval().requires_grad_(False)
        state = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.split(".", 1)[0] == str(number)}
        if not all(bool(value.isfinite().all()) for value in state.values()):
            raise ValueError(f"member {number} has a weight that is no number")
        model.load_state_dict(state)
        members.append(_learned(model, entry))
    if not members:
        raise ValueError("there is no member")
    told = Card(tuple(card["families"]), tuple(card["digests"]), card["seed"], card["command"])
    return Trained(tuple(members), told, card["digest"])


def _member(member: Learned) -> dict[str, Any]:
    return {
        "mean": {name: values.tolist() for name, values in member.scaling.mean.items()},
        "deviation": {name: values.tolist() for name, values in member.scaling.deviation.items()},
        "metrics": list(member.outputs.metrics),
        "center": member.outputs.center.tolist(),
        "spread": member.outputs.spread.tolist(),
        "trust": member.outputs.trust.tolist(),
        "difference": member.outputs.difference,
        "validation": list(member.validation),
        "error": member.error,
        "agreement": member.agreement.tolist(),
    }


def _learned(model: TransformerH, entry: Mapping[str, Any]) -> Learned:
    if set(entry) != set(MEMBER):
        raise ValueError(f"a member has other fields than {', '.join(MEMBER)}")
    mean, deviation = ({n: _row(entry[k][n], width) for n, width in BLOCKS.items()} for k in ("mean", "deviation"))
    metrics = tuple(entry["metrics"])
    if len(metrics) != model.shape.outputs - 1:
        raise ValueError("there are not as many metrics as outputs")
    center, spread, trust = (_row(entry[name], len(metrics)) for name in ("center", "spread", "trust"))
    outputs = Outputs(metrics, center, spread, bool(entry["difference"]), trust)
    agreement = np.stack([_row(row, len(metrics)) for row in entry["agreement"]])
    held, error = tuple(entry["validation"]), float(entry["error"])
    return Learned(model, Scaling(mean, deviation), outputs, held, error, agreement)


def _row(values: Any, width: int) -> Floats:
    row = np.array(values, dtype=np.float64)
    if row.shape != (width,) or not np.isfinite(row).all():
        raise ValueError(f"a row of the card has not {width} finite numbers")
    return row


def _digest(card: Mapping[str, Any], weights: bytes) -> str:
    return blake2b(json.dumps(card, sort_keys=True).encode() + weights, digest_size=16).hexdigest()
