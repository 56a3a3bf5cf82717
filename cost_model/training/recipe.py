"""Recipes: how a model is made, from one JSON file. Same recipe and data, same model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from design.errors import InputError

Count = Annotated[int, Field(ge=1, le=10**6)]
Few = Annotated[int, Field(ge=1, le=64)]
Many = Annotated[int, Field(ge=1, le=4096)]
Steps = Annotated[int, Field(ge=0, le=10**6)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=100)]


class TrainingRecipe(BaseModel):
    """What recipes of all models have. `model` names the kind of model; `metrics` are what it answers.

    A step sees `designs` of each of `kernels` tables; `validity` weighs whether a design is valid against the metrics.
    Every `check` steps whole families that are held back for it (`validation`) are scored, and the best state is kept;
    after `patience` checks without a better one training stops. With `prior_parts` the families are cut in so many
    parts, and models that are trained without each say how far such models lie off on families that they have not seen:
    the prior of intervals. READS holds the versions of what the model reads, which a checkpoint must share.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    READS: ClassVar[Mapping[str, object]] = {}

    model: str
    metrics: list[str]
    rate: Rate
    weight_decay: Weight
    check: Count
    patience: Count
    kernels: Few
    designs: Many
    validity: Weight = 0.3
    seed: int = Field(0, ge=0, le=2**63 - 1)
    validation: list[str] = Field(default_factory=list)
    prior_parts: int = Field(0, ge=0, le=64)


R = TypeVar("R", bound=TrainingRecipe)


def validated(kind: type[R], entry: Mapping[str, Any], where: str) -> R:
    """A recipe from what JSON holds. Raises InputError naming the field."""
    try:
        return kind.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "recipe"
        expected = f"one of {', '.join(kind.model_fields)}" if first["type"] == "extra_forbidden" else "such a value"
        raise InputError(f"{where}, field '{name}'", first["msg"][:160], expected) from None
