"""Transformer-H on disk: what was written comes back, what is unsound is refused in one line, and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cost_model.surrogates.transformer_h import store
from cost_model.surrogates.transformer_h.store import card_path, read_trained, write_trained
from cost_model.surrogates.transformer_h.train import main
from cost_model.views.hls.matrices import LOOP
from design.errors import InputError
from design.hls.task import hls_task_of
from tests.cases import ROOT
from tests.cases_hls import usual
from tests.cost_model.surrogates.tiny_transformer_h import tiny, tiny_tables


def test_files_come_back(tmp_path: Path) -> None:
    """The same answers, and who was seen."""
    path = tmp_path / "deep" / "tiny.safetensors"
    written = write_trained(tiny(), path)
    found = read_trained(path)
    assert found.card == written.card and found.digest == written.digest != ""
    assert found.card.families == ("dot", "scale", "twice") and len(found.card.digests) == 4
    table = tiny_tables()[0]
    one, two = (trained.of(hls_task_of(table)).predict(table.batch.columns) for trained in (tiny(), found))
    np.testing.assert_array_equal(one.y, two.y)
    np.testing.assert_array_equal(one.valid, two.valid)


def test_files_that_are_none(tmp_path: Path) -> None:
    """Cut short, changed, of another version or layout, mixed up or absent: one line that names the file."""
    path = tmp_path / "tiny.safetensors"
    write_trained(tiny(), path)
    weights, card = path.read_bytes(), json.loads(card_path(path).read_text())
    other = bytearray(weights)
    other[-1] ^= 1

    def refused(new_weights: bytes, new_card: object, word: str) -> None:
        path.write_bytes(new_weights)
        card_path(path).write_text(new_card if isinstance(new_card, str) else json.dumps(new_card))
        with pytest.raises(InputError, match=word) as caught:
            read_trained(path)
        assert "tiny.safetensors" in str(caught.value) and "\n" not in str(caught.value)

    refused(weights[:-8], card, "do not belong together")
    refused(bytes(other), card, "do not belong together")
    refused(b"", card, "do not belong together")
    refused(weights, card | {"families": ["other"]}, "do not belong together")
    refused(weights, card | {"version": 2}, "version 2")
    refused(weights, card | {"format": "other"}, "other version 1")
    refused(weights, card | {"blocks": card["blocks"] | {LOOP: 99}}, "other features")
    refused(weights, card | {"tools": ["v18"]}, "other features")
    refused(weights, json.dumps(card)[:-40], "JSON")
    refused(weights, {name: value for name, value in card.items() if name != "members"}, "missing")
    refused(weights, card | {"more": 1}, "unknown")
    path.unlink()
    card_path(path).write_text(json.dumps(card))
    with pytest.raises(InputError, match="cannot be read"):
        read_trained(path)
    with pytest.raises(InputError, match="cannot be written"):
        write_trained(tiny(), card_path(path) / "below")


def test_well_signed_nonsense_is_refused(tmp_path: Path) -> None:
    """A card with a right digest but of another model is refused as well."""
    path = tmp_path / "tiny.safetensors"
    write_trained(tiny(), path)
    card = json.loads(card_path(path).read_text())
    del card["digest"]
    first = card["members"][0]
    for changed in (
        {"shape": card["shape"] | {"width": 32}},
        {"shape": card["shape"] | {"heads": 0}},
        {"shape": {}},
        {"members": []},
        {"members": [first]},
        {"members": [first | {"center": [0.0]}, first]},
        {"members": [{"mean": {}}, first]},
        {"members": [first | {"agreement": [[0.0] * 5, [0.0] * 4]}, first]},
        {"members": [first | {"spread": [None] * 5}, first]},
    ):
        new = card | changed
        signed = new | {"digest": store._digest(new, path.read_bytes())}
        card_path(path).write_text(json.dumps(signed))
        if changed == {"members": [first]}:
            assert len(read_trained(path).members) == 1  # fewer members than weights is a smaller model
            continue
        with pytest.raises(InputError, match="holds no such model"):
            read_trained(path)


def _split(folder: Path, *families: str) -> str:
    path = folder / f"{'-'.join(families)}.json"
    path.write_text(json.dumps({"test_families": list(families), "why": "a test"}))
    return str(path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress in lines, a model that can be read and has not seen what it was not to; one line for nonsense."""
    data, out = usual(tmp_path / "data"), tmp_path / "model.safetensors"
    usual_arguments = ["--data", str(data), "--out", str(out), "--steps", "2", "--members", "1"]
    main([*usual_arguments, "--split", _split(tmp_path, "twice"), "--validation", "dot"])
    assert "held-out error" in capsys.readouterr().out
    found = read_trained(out)
    assert found.card.families == ("dot", "scale") and found.members[0].validation == ("dot",)
    every = _split(tmp_path, "dot", "scale", "twice")
    for arguments in (["--members", "0"], ["--seed", "-1"], ["--validation", "nobody"], ["--split", every]):
        with pytest.raises(InputError):
            main([*usual_arguments, *arguments])
    command = [
        sys.executable,
        "-m",
        "cost_model.surrogates.transformer_h.train",
        "--data",
        str(tmp_path / "no"),
        "--out",
        str(out),
    ]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert ran.returncode != 0 and len(ran.stderr.strip().splitlines()) == 1
