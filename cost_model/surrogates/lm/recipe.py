"""How a numeric language model is made: sizes, number codec, loss, stages."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from cost_model.numbers import Codec, PlainDigits, Scientific
from cost_model.surrogates.lm.backbones.tiny import TinyConfig
from cost_model.training.recipe import Count, Few, Many, Rate, Share, Steps, TrainingRecipe, Weight
from cost_model.views.hls import VERSION
from cost_model.views.tokens import VOCABULARY
from design.metrics import HLS_METRICS

MORE = ("power", "area")  # metrics that are told without an estimate
COUNTS = (0, 15)  # exponents of ten of answers as they are
RATIOS = (0, 6)  # of those relative to the estimate, of which ONE is 1


class Recipe(TrainingRecipe):
    """What a recipe's file may hold; what it leaves out is as here.

    `answers` are told relative to the estimate in the prompt, or absolute; `centred` ones in training as if the
    estimate were right on most designs of each kernel, so that what directives do is learned and not how far off it is
    on a kernel that no other kernel is like. `metrics` are what is answered, first those that have an estimate, then
    those that data may have beside them (`power` in W, `area` in mm2), which are told by the 3,000th part. `codec` with
    `digits`; `spread` of the distance-aware loss in decades (0: cross-entropy). `number_steps` teach on made-up numbers
    what digits are worth and that estimates are about right, then `steps` the results: of `kernels` a step `designs`
    with cycles and `unfinished` without, behind up to `shots` designs whose answers are shown. Each kernel is there in
    its own words and in those of so many `variants` (`cost_model/corpus/hls/augment.py`). The learning rate warms up
    over `warmup` steps and falls to a tenth along a cosine. `resources` and `validity` weigh those answers against
    cycles.

    `backbone` is `tiny`, with `width`, `layers`, `heads` and `dropout`; or a causal language model that is there
    already, `smollm2` or the one that --base-model names (`base`), whose weights stay as they are: beside it a
    low-rank change of `lora_rank` is trained, scaled by `lora_alpha` / `lora_rank`, with `lora_dropout`. Each
    backbone reads its own fields only.
    """

    READS: ClassVar[Mapping[str, object]] = {
        "prompt": VERSION,
        "vocabulary": blake2b("\0".join(VOCABULARY).encode(), digest_size=8).hexdigest(),
    }

    model: Literal["lm"] = "lm"
    backbone: Literal["tiny", "smollm2", "base"] = "tiny"
    width: int = Field(128, ge=16, le=1024)
    layers: int = Field(4, ge=1, le=32)
    heads: int = Field(4, ge=1, le=32)
    dropout: Share = 0.1
    lora_rank: int = Field(8, ge=1, le=1024)
    lora_alpha: float = Field(16.0, gt=0, le=4096)
    lora_dropout: Share = 0.05
    context: int = Field(4096, ge=256, le=2**17)
    answers: Literal["relative", "absolute"] = "relative"
    centred: bool = True
    metrics: list[str] = Field(default_factory=lambda: list(HLS_METRICS))
    codec: Literal["scientific", "plain"] = "scientific"
    digits: int = Field(3, ge=1, le=15)
    spread: float = Field(0.05, ge=0, le=2)
    number_steps: Steps = 1000
    steps: Steps = 600
    warmup: Steps = 50
    number_rate: Rate = 0.002
    rate: Rate = 0.0007
    weight_decay: Weight = 0.1
    variants: int = Field(0, ge=0, le=64)
    designs: Many = 48
    unfinished: int = Field(8, ge=0, le=4096)
    shots: int = Field(0, ge=0, le=256)
    kernels: Few = 2
    resources: Weight = 0.3
    check: Count = 100
    patience: Count = 5

    @model_validator(mode="after")
    def _whole_heads(self) -> Recipe:
        if self.backbone == "tiny" and self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of twice the {self.heads} heads")
        more = self.metrics[len(HLS_METRICS) :]
        if (
            tuple(self.metrics[: len(HLS_METRICS)]) != HLS_METRICS
            or len(set(more)) < len(more)
            or not {*more} <= {*MORE}
        ):
            raise ValueError(f"metrics are not {', '.join(HLS_METRICS)} and then any of {', '.join(MORE)}")
        return self

    @property
    def centres(self) -> bool:
        """Whether training leaves a kernel's usual error out."""
        return self.centred and self.answers == "relative"

    @property
    def sizes(self) -> TinyConfig:
        """Of backbone `tiny`."""
        return TinyConfig(self.width, self.layers, self.heads, self.dropout, self.context)

    def make_codec(self) -> Codec:
        """The codec that answers are written in."""
        if self.codec == "plain":
            return PlainDigits(self.digits)
        return Scientific(self.digits, signed=False, exponents=RATIOS if self.answers == "relative" else COUNTS)
