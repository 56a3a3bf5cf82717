"""Operator models by name, or from a user's own Python file."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from cost_model.buffered import BufferedNmp, MeteredNpu
from cost_model.operator_model import OperatorModel
from cost_model.roofline import NmpRoofline, NpuRoofline
from cost_model.technology import Constants
from design.errors import InputError

Maker = Callable[[Constants], OperatorModel]
NPU_MODELS: dict[str, Maker] = {"roofline": lambda _: NpuRoofline(), "metered": MeteredNpu}
NMP_MODELS: dict[str, Maker] = {"roofline": lambda _: NmpRoofline(), "buffered": BufferedNmp}


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
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(flag, f"{path} fails to load ({type(error).__name__}: {error})", expected) from None
    model = getattr(module, "MODEL", None)
    for name in ("name", "version", "cost"):
        if not hasattr(model, name):
            raise InputError(flag, f"{path} has no MODEL with '{name}'", "an object like OperatorModel")
    assert model is not None
    return model
