"""Operator models by name, or from a user's own Python file.

A user's model is asked outside of what guards the evaluation of designs, too: where cuts are balanced, bounds are
proven and reports are made. So whatever goes wrong in it is a `ModelFault`, which names the file in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

from cost_model.nmp.operators.base import Explained, OperatorCost, OperatorModel, Ordered
from cost_model.nmp.operators.buffered import BufferedNmp, MeteredNpu
from cost_model.nmp.operators.roofline import NmpRoofline, NpuRoofline
from cost_model.nmp.technology import Constants
from design.core import Floats
from design.errors import InputError, Late, in_one_line
from design.nmp.device import Device

Maker = Callable[[Constants], OperatorModel]
T = TypeVar("T")
NPU_MODELS: dict[str, Maker] = {"roofline": lambda _: NpuRoofline(), "metered": MeteredNpu}
NMP_MODELS: dict[str, Maker] = {"roofline": lambda _: NmpRoofline(), "buffered": BufferedNmp}


class ModelFault(InputError):
    """A user's operator model raised, or gave what is no answer."""


class UsersModel:
    """A model from a user's file, with every fault of it a `ModelFault`. One that is `Ordered` is so here too."""

    def __init__(self, path: Path, model: OperatorModel) -> None:
        self._path, self._model = str(path), model
        self.name, self.version = model.name, model.version
        self.strengths = self._strengths if isinstance(model, Ordered) else None

    def cost(self, *given: Any) -> OperatorCost:
        """See `OperatorModel`."""

        def ask() -> OperatorCost:
            cost = self._model.cost(*given)
            if not isinstance(cost, OperatorCost):
                raise TypeError(f"answered a {type(cost).__name__}, which is no OperatorCost")
            return OperatorCost(_for(cost.latency_s, given), _for(cost.energy_j, given))

        return self._blamed(ask)

    def _strengths(self, device: Device) -> tuple[Floats, ...]:
        model = self._model
        assert isinstance(model, Ordered)
        shape = np.shape(device.fpus)
        return self._blamed(
            lambda: tuple(np.broadcast_to(np.asarray(f, float), shape) for f in model.strengths(device))
        )

    def _blamed(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except (KeyboardInterrupt, Late):
            raise
        except BaseException as error:  # an exit of the user's file is not one of the program
            raise ModelFault(self._path, f"fails: {in_one_line(error)}", "a model as in CONTRIBUTING.md") from None


class ExplainedUsersModel(UsersModel):
    """One that can say what its seconds are spent on."""

    def parts(self, *given: Any) -> Mapping[str, Floats]:
        """See `Explained`."""
        model = self._model
        assert isinstance(model, Explained)
        return self._blamed(lambda: {str(k): _for(seconds, given) for k, seconds in model.parts(*given).items()})


def _for(values: Any, given: tuple[Any, ...]) -> Floats:
    """Values as an array that goes with the arguments of `cost`. Raises ValueError where it does not."""
    found = np.asarray(values, dtype=np.float64)
    *gemms, device = given
    machine = (device.fpus, device.mhz, device.pe_gbps, device.input_kb, device.weight_kb, device.output_kb)
    shape = np.broadcast_shapes(*(np.shape(array) for array in (*gemms, *machine)))
    if found.ndim > len(shape) or any(
        own not in (1, asked) for own, asked in zip(found.shape[::-1], shape[::-1], strict=False)
    ):
        raise ValueError(f"answered an array of shape {found.shape} where {shape} was asked")
    return found


def operator_model(flag: str, text: str, known: dict[str, Maker], constants: Constants) -> OperatorModel:
    """The model of that name, or `MODEL` of the Python file of that name.

    The file is the user's own program and runs as such. Raises InputError, naming `flag`, where it cannot be
    used.
    """
    if text in known:
        return known[text](constants)
    expected = f"{', '.join(known)}, or a Python file that sets MODEL"
    path = Path(text)
    if path.suffix != ".py" or not path.is_file():
        raise InputError(flag, f"'{text}' is neither a known model nor a file", expected)
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        # Not by the import system, whose bytecode cache takes a file changed within a second for the old one.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an exit of the user's file is not one of the program
        raise InputError(flag, f"{path} fails to load ({in_one_line(error)})", expected) from None
    model = getattr(module, "MODEL", None)
    for name in ("name", "version", "cost"):
        if not hasattr(model, name):
            raise InputError(flag, f"{path} has no MODEL with '{name}'", "an object like OperatorModel")
    assert model is not None
    made = ExplainedUsersModel if isinstance(model, Explained) else UsersModel
    return made(path, model)
