"""The registry of surrogates: by name, what makes one for a task's domain. Whatever is here can be searched with, put
in the active loop, scored and asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cost_model.surrogates.checkpoints import language_model, transformer_h, with_intervals
from cost_model.surrogates.conformal.surrogate import ConformalSurrogate
from cost_model.surrogates.tables.corrected import CorrectedReference
from cost_model.surrogates.tables.from_scratch import TaskOnlySurrogate
from cost_model.surrogates.tables.task_only import FOREST, PROCESS
from cost_model.views.plain import PlainView
from design.contracts import Surrogate
from design.errors import InputError
from dse.options import Settings
from evaluators.cascade import CascadeSurrogate

NO_MODEL = "none"  # as a checkpoint: no language model


@dataclass(frozen=True)
class Domain:
    """What surrogates of a kind of task are made with: how they see it, the domain's own analytic surrogate if it has
    one, and what the settings say of checkpoints."""

    view: PlainView
    settings: Settings
    analytic: Surrogate | None = None

    def reference(self) -> Surrogate:
        """The analytic reference, corrected by labels."""
        if self.analytic is not None:
            return self.analytic
        return ConformalSurrogate(CorrectedReference(self.view), self.view)

    def language_model(self) -> Surrogate:
        """The language model of the checkpoint, with calibrated intervals."""
        path = self.settings["checkpoint"]
        return with_intervals(language_model(self.view, path, self.settings["base-model"]), self.view, path)

    def cascade(self) -> Surrogate:
        """The language model where it is sure, else the reference; with checkpoint `none` the reference only."""
        none = self.settings["checkpoint"] == NO_MODEL
        return CascadeSurrogate(None if none else self.language_model(), self.reference(), self.view)


SURROGATES: dict[str, Callable[[Domain], Surrogate]] = {
    "estimate": Domain.reference,
    "cascade": Domain.cascade,
    "lm": Domain.language_model,
    "transformer-h": lambda domain: transformer_h(domain.view, domain.settings["checkpoint"]),
    FOREST: lambda domain: TaskOnlySurrogate(FOREST, domain.view),
    PROCESS: lambda domain: TaskOnlySurrogate(PROCESS, domain.view),
}
FROM_LABELS = (FOREST, PROCESS)  # know nothing before they have labels of the task
FIRST_LABELS = 10  # random designs that loops without prior knowledge begin with


def searched_surrogate(name: str, domain: Domain, others: str) -> Surrogate:
    """The surrogate that a search asks without labels. Raises InputError for one that knows nothing then, or that is
    none; `others` says what there is."""
    if name not in SURROGATES:
        raise InputError("--evaluator", f"{name} with --space {domain.settings['space']}", others)
    if name in FROM_LABELS:
        raise InputError("--evaluator", f"{name} without labels", "--truth recorded or command, with a --budget")
    if name == "transformer-h":
        raise InputError("--evaluator", f"{name} with --space {domain.settings['space']}", others)
    return SURROGATES[name](domain)
