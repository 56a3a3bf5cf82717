"""How a Transformer-H is made: sizes, what keeps it from learning by heart, steps, members."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from cost_model.training.recipe import Count, Few, Many, Rate, Share, TrainingRecipe, Weight
from cost_model.views.hls.matrix_input import BLOCKS, PLACES, TOOLS
from design.metrics import HLS_METRICS

INPUTS = json.dumps([BLOCKS, PLACES, TOOLS])  # what a model's inputs are made of


class Recipe(TrainingRecipe):
    """What a recipe's file may hold; what it leaves out is as here.

    `members` models are averaged. Unless `validation` names the families that are held back, each member holds back
    another part of them. The model has `layers` of `width` with `heads`, and tells its answers to `metrics` as a
    `difference` from the estimate, or absolute. In training, `dropout` acts within layers, `forget` is the share of a
    kernel's tokens that a design does not see, `noise` in standard deviations is added to what is read of kernels. Of
    the designs of a step the share `known` has targets. `average` is the weight of the past in the running mean of the
    weights, which is what is scored and kept.
    """

    READS: ClassVar[Mapping[str, object]] = {"view": blake2b(INPUTS.encode(), digest_size=8).hexdigest()}

    model: Literal["transformer-h"] = "transformer-h"
    members: Few = 4
    metrics: list[str] = Field(default_factory=lambda: list(HLS_METRICS))
    difference: bool = True
    width: int = Field(64, ge=1, le=1024)
    layers: int = Field(3, ge=1, le=32)
    heads: int = Field(4, ge=1, le=32)
    dropout: Share = 0.1
    forget: Share = 0.1
    noise: float = Field(0.1, ge=0, le=10)
    rate: Rate = 1e-3
    weight_decay: Weight = 0.05
    steps: Count = 250
    kernels: Few = 8
    designs: Many = 16
    known: float = Field(0.75, gt=0, le=1)
    average: Share = 0.98
    check: Count = 25
    patience: Count = 4

    @model_validator(mode="after")
    def _whole_heads(self) -> Recipe:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of the {self.heads} heads")
        return self
