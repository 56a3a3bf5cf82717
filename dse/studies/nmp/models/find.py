"""The model that the settings name, from whichever file it is in, and how they say that it is used."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from design.errors import InputError
from design.loader import read_content
from design.nmp.lowering import Speculation, Usage
from design.nmp.model import HEAD, Model
from design.nmp.model_files import GRAPH, SHAPE, read_model
from dse.options import MODEL_FOLDERS, Settings

CONFIG = "config.json"  # of a model in the Hugging Face layout


@dataclass(frozen=True)
class Found:
    """A model, and what its reader assumed or could not match, a line each."""

    model: Model
    notes: tuple[str, ...] = ()


def find_model(settings: Settings) -> Found:
    """From ONNX, a Hugging Face config, or shape and graph. Raises InputError where it cannot be read."""
    if settings["onnx"] is not None:
        need("--onnx", "onnx")
        from frontends.onnx_graph import read_onnx

        reading = read_onnx(Path(settings["onnx"]), _axes(settings))
        return Found(repeated(reading.model, settings["layer-num"]), reading.notes)
    shape = model_file(Path(settings["model-shape"]))
    beside = settings["execution-type"] == "parse"  # where the folder is one to write to
    folder = shape.parent if beside else Path(settings["parser-output-dir"])
    return Found(described_model(shape, folder, settings["latent-attention"], settings["output-head"]))


def repeated(model: Model, times: int) -> Model:
    """With so many times as many layers of every kind."""
    kinds = (replace(kind, count=kind.count * (times if kind.name != HEAD else 1)) for kind in model.kinds)
    return replace(model, kinds=tuple(kinds))


def need(option: str, *libraries: str) -> None:
    """Raises InputError where a library is missing that an option needs."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            raise InputError(option, f"needs {library}, which is not installed", "pip install -r requirements.txt")


def model_file(given: Path) -> Path:
    """The file that describes the model: the path itself, or the config or shape in a folder."""
    if given.suffix == ".json" or given.is_file():
        return given
    return given / CONFIG if (given / CONFIG).exists() else given / SHAPE


def described_model(shape: Path, folder: Path, latent: str, head: bool) -> Model:
    """The model in a JSON file of either kind; `folder` is where the graph of a shape is, `latent` and `head` say how
    a Hugging Face config is read. Raises InputError."""
    content = read_content(shape)
    if "type" in content:
        return read_model(shape.resolve().parent.name, shape, folder / GRAPH)
    if "model_type" in content or "architectures" in content:
        from frontends.hugging_face import read_config

        return read_config(shape, latent=latent, head=head)
    expected = "a model shape (with 'type') or the config of a Hugging Face model (with 'model_type')"
    raise InputError(str(shape), "describes no model", expected)


def read_usage(settings: Settings) -> Usage:
    """How the model is used."""
    return Usage(
        batch=settings["max-batch-size"],
        prompt=settings["input-seq-len"],
        generated=settings["max-gen-len"],
        max_seq_len=settings["max-seq-len"],
        precision=settings["precision"],
        free_attention_cut=settings["free-attention-cut"],
        chunk=settings["prefill-chunk"],
        expert_load=settings["expert-load"],
    )


def read_speculation(settings: Settings) -> Speculation | None:
    """The draft model beside it, where there is one."""
    if (draft := settings["speculative"]) is None:
        return None
    shape = model_file(Path(MODEL_FOLDERS.get(draft, draft)))
    draft_model = described_model(shape, shape.parent, settings["latent-attention"], settings["output-head"])
    return Speculation(draft_model, settings["draft-len"], settings["accept-rate"])


def _axes(settings: Settings) -> Mapping[str, str]:
    """What the dynamic axes of an ONNX file stand for."""
    found: dict[str, str] = {}
    for text in settings["axes"] or ():
        name, equals, meaning = text.partition("=")
        if not (name and equals and meaning):
            raise InputError("--axes", f"'{text[:40]}'", "NAME=batch|tokens|context|past|NUMBER, comma-separated")
        found[name] = meaning
    return found
