"""From a trained model's file to a surrogate: the shipped file, or a user's. PyTorch is needed only for that."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from cost_model.surrogates.conformal.prior import Prior
from cost_model.surrogates.conformal.store import read_prior
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate
from cost_model.views.plain import PlainView
from design.contracts import Surrogate
from design.errors import InputError

if TYPE_CHECKING:
    from cost_model.surrogates.lm.surrogate import LmSurrogate

CONFIG = Path(__file__).resolve().parents[2] / "config"
LANGUAGE_MODEL = CONFIG / "lm" / "tiny.safetensors"
TRANSFORMER_H = CONFIG / "transformer_h" / "model.safetensors"


def language_model(view: PlainView, path: str | None, base: str | None = None) -> LmSurrogate:
    """Of a checkpoint that `--execution-type train` wrote; None: the shipped one. `base` is the folder of the model
    that it was trained on, where it does not hold it. Raises InputError for a file that is not of this kind, another
    base, and where PyTorch is not installed."""
    _need_torch("lm")
    from cost_model.surrogates.lm.surrogate import LmSurrogate
    from cost_model.training.models import load

    return LmSurrogate(load(LANGUAGE_MODEL if path is None else Path(path), "lm", base), view)


def transformer_h(view: PlainView, path: str | None) -> Surrogate:
    """As above; with intervals where a prior stands beside the checkpoint. Raises InputError for a model of other
    targets than are scored, and for a damaged prior, as well."""
    _need_torch("transformer-h")
    from cost_model.surrogates.transformer_h.surrogate import TransformerHSurrogate
    from cost_model.training.models import load

    file = TRANSFORMER_H if path is None else Path(path)
    model, prior = TransformerHSurrogate(load(file, "transformer-h"), view), prior_beside(file)
    return model if prior is None else ConformalSurrogate(model, view, prior)


def with_intervals(model: LmSurrogate, view: PlainView, path: str | None) -> ConformalSurrogate:
    """The language model with intervals that hold what they promise: by labels, and by the prior that stands beside its
    checkpoint, if there is one. Raises InputError for a damaged prior."""
    prior = prior_beside(LANGUAGE_MODEL if path is None else Path(path))
    return ConformalSurrogate(model, view, prior, normalised=True)


def prior_path(checkpoint: Path) -> Path:
    """Of the prior of intervals beside a checkpoint: NAME.prior.json."""
    return checkpoint.with_suffix(".prior.json")


def prior_beside(checkpoint: Path) -> Prior | None:
    """What is there, if anything is. Raises InputError for a damaged one."""
    return read_prior(prior_path(checkpoint)) if prior_path(checkpoint).exists() else None


def _need_torch(name: str) -> None:
    if importlib.util.find_spec("torch") is None:
        raise InputError("--evaluator", f"{name} needs PyTorch", "pip install -r requirements.txt")
