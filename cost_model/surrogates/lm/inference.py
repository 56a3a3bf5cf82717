"""Asking a model: the exact distribution of every answer, many designs at once.

A program is encoded once. Behind it, designs go in micro-batches of one fixed shape, so that a design's answer does not
depend on its company. The numbers' tree is opened level by level where probability lies: the most likely prefixes are
continued, the others stay cells as wide as what they could become.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cost_model.surrogates.lm.backbones.base import Backbone
from cost_model.surrogates.lm.backbones.kv_cache import Notebook
from cost_model.surrogates.lm.distribution import Distribution
from cost_model.surrogates.lm.examples import Prompts
from cost_model.surrogates.lm.grammar import NONE, ROOT, Grammar
from cost_model.surrogates.lm.layout import Layout
from cost_model.views.tokens import IDS, PAD
from design.core import Bools, Floats, Ints

TOGETHER = 32  # designs of a micro-batch
LONG = 1024  # tokens of a program, beyond which micro-batches are a quarter as large, for the sake of memory
OPENED = (3, 6, 2)  # prefixes that are continued, level by level; the last for all further levels


@dataclass(frozen=True)
class Reading:
    """Of n designs: the distribution of each metric, and the probability that they are valid (n,)."""

    metrics: Mapping[str, Distribution]
    valid: Floats


class Reader:
    """Asks one model about one program."""

    def __init__(self, model: Backbone, grammar: Grammar, program: Ints) -> None:
        torch.set_num_threads(1)
        self.model, self.grammar = model.eval(), grammar
        self._length = len(program)
        self._together = TOGETHER if len(program) <= LONG else TOGETHER // 4
        with torch.inference_mode():
            self.memory = model.program(torch.from_numpy(program))
        self._notebook: Notebook | None = None

    def read(self, prompts: Prompts) -> Reading:
        """All designs, in order."""
        nothing = np.empty((0, len(prompts.metrics), 1))
        if not len(prompts):
            return self._reading(prompts.metrics, (nothing, nothing, nothing), np.empty(0))
        cells: list[tuple[Floats, Floats, Floats]] = []
        valid = []
        with torch.inference_mode():
            for first in range(0, len(prompts), self._together):
                rows = np.minimum(np.arange(first, first + self._together), len(prompts) - 1)
                found, sound = self._batch(prompts.take(rows))
                kept = min(self._together, len(prompts) - first)
                cells.append(tuple(part[:kept] for part in found))  # type: ignore[arg-type]
                valid.append(sound[:kept])
        low, high, share = (np.concatenate([cell[part] for cell in cells]) for part in range(3))
        return self._reading(prompts.metrics, (low, high, share), np.concatenate(valid))

    @staticmethod
    def _reading(metrics: Sequence[str], cells: tuple[Floats, Floats, Floats], valid: Floats) -> Reading:
        low, high, share = cells
        said = {
            metric: Distribution(low[:, place], high[:, place], share[:, place]) for place, metric in enumerate(metrics)
        }
        return Reading(said, valid)

    def _batch(self, prompts: Prompts) -> tuple[tuple[Floats, Floats, Floats], Floats]:
        """Cells (batch, metrics, cells) as low, high and share, and validity (batch,)."""
        count, width = prompts.designs.shape
        layout, metrics = Layout(prompts.metrics, 1), len(prompts.metrics)
        named = layout.tokens(prompts.designs, np.empty((count, metrics, 0), dtype=np.int64))
        places = layout.places(self._length, prompts.lengths, width)
        mask = layout.mask(self._length, prompts.lengths, width)
        notebook = self._opened(width, metrics)
        states = self._behind(notebook, named, places, mask)
        words = self.model.logits(states[:, -1], torch.tensor([IDS["no"], IDS["yes"]]))
        valid = torch.softmax(words.double(), dim=-1)[:, 1].numpy()

        prefixes: Ints = np.full((count, metrics, 1), ROOT)
        share: Floats = np.ones((count, metrics, 1))
        states = states[:, width:-1].unflatten(1, (metrics, 1))
        visible = mask[:, width:-1]  # (count, metrics, remembered): what each open prefix has seen
        cells = []
        for level in range(self.grammar.codec.longest):
            children, shares = self._continued(prefixes, share, states)
            most = OPENED[min(level, len(OPENED) - 1)]
            order = np.argsort(-shares, axis=2, kind="stable")[:, :, :most]
            prefixes = np.take_along_axis(children, order, axis=2)
            share = np.take_along_axis(shares, order, axis=2)
            last = level == self.grammar.codec.longest - 1
            if not last:
                np.put_along_axis(shares, order, 0.0, axis=2)  # they are opened
            cells.append((*np.moveaxis(self.grammar.spans(np.maximum(children, 0)), -1, 0), shares))
            if last or not share.any():
                break
            tokens = self._last_tokens(prefixes, order)
            prefixes, size = np.maximum(prefixes, ROOT), prefixes.shape[2]  # nothing is open: share 0, so it may be any
            parents = order // len(self.grammar.tokens)
            visible = self._seen(visible, parents, size)
            behind = self._length + prompts.lengths[:, None] + level + 1
            states = self._behind(notebook, tokens, np.broadcast_to(behind, tokens.shape), visible)
            states = states.unflatten(1, (metrics, size))
        low, high, share = (np.concatenate([np.asarray(cell[part]) for cell in cells], axis=2) for part in range(3))
        units = prompts.units[:, :, None]
        return (low * units, high * units, share), valid

    def _continued(self, prefixes: Ints, share: Floats, states: Tensor) -> tuple[Ints, Floats]:
        """Children (count, metrics, open x alphabet) of open prefixes, NONE where there is none, and their shares. A
        complete number is its own only child."""
        children = self.grammar.children(prefixes)
        logits = self.model.logits(states, torch.from_numpy(self.grammar.tokens)).double().numpy()
        logits = np.where(children == NONE, -np.inf, logits)
        complete = (children == NONE).all(axis=-1)
        top = np.where(complete[..., None], 0.0, logits.max(axis=-1, keepdims=True))
        shares = np.exp(logits - top)
        with np.errstate(invalid="ignore"):
            shares = share[..., None] * shares / shares.sum(axis=-1, keepdims=True)
        shares[complete] = 0.0
        children[complete, 0], shares[complete, 0] = prefixes[complete], share[complete]
        return children.reshape(*children.shape[:2], -1), shares.reshape(*children.shape[:2], -1)

    def _last_tokens(self, prefixes: Ints, order: Ints) -> Ints:
        tokens = self.grammar.tokens[order % len(self.grammar.tokens)]
        found: Ints = np.where(prefixes == NONE, IDS[PAD], tokens).reshape(len(prefixes), -1)
        return found

    @staticmethod
    def _seen(visible: Bools, parents: Ints, size: int) -> Bools:
        """(count, metrics x size, remembered + new): what the parent saw, and itself."""
        count, metrics = parents.shape[:2]
        earlier = visible.reshape(count, metrics, -1, visible.shape[-1])
        inherited = np.take_along_axis(earlier, parents[..., None], axis=2).reshape(count, metrics * size, -1)
        itself = np.broadcast_to(np.eye(metrics * size, dtype=bool), (count, metrics * size, metrics * size))
        return np.concatenate([inherited, itself], axis=2)

    def _opened(self, width: int, metrics: int) -> Notebook:
        """The notebook, on its first page behind the program."""
        room = width + metrics * (1 + sum(OPENED[:-1]) + OPENED[-1] * self.grammar.codec.longest) + 1
        if self._notebook is None:
            self._notebook = Notebook(self.memory, self._together, room)
        self._notebook.rewind()
        return self._notebook

    def _behind(self, notebook: Notebook, tokens: Ints, places: Ints, mask: Bools) -> Tensor:
        parts = (torch.from_numpy(np.ascontiguousarray(part)) for part in (tokens, places, mask))
        states = self.model.behind(notebook, *parts)
        notebook.advance(tokens.shape[1])
        return states
