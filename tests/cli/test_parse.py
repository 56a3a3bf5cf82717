"""Parsing models from the command line: what is written, what is never overwritten, what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import networkx
import pytest

from design.nmp.lowering import Usage, model_workload
from design.nmp.workload import MOST_OPERATORS
from dse.studies.nmp.models.operator_table import totals
from frontends.hugging_face import read_config
from main import main
from tests.cases import ROOT
from tests.frontends.onnx_cases import layer_text, written

SMALL = {
    "model_type": "gemma3_text",
    "_name_or_path": "small",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "sliding_window": 8,
    "sliding_window_pattern": 2,
    "vocab_size": 100,
}
USE = ["--max-batch-size", "2", "--input-seq-len", "16", "--max-gen-len", "4", "--max-seq-len", "32"]
QUICK = ["--num-generations", "2", "--population-num-per-generation", "20", "--topk", "10", "--report", "none"]
WRITTEN = {
    "shape.json",
    "operator_graph.json",
    "operators.csv",
    "operator_graph.gv",
    "operator_graph.png",
    "operator_graph.svg",
}


def config(folder: Path, **changes: Any) -> Path:
    """A config.json of a small model with two kinds of layers."""
    path = folder / "config.json"
    path.write_text(json.dumps(SMALL | changes))
    return path


def parse(*arguments: str | Path) -> int:
    """The exit code of a parse."""
    return main(["--execution-type", "parse", *map(str, arguments), *USE])


def explored(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """The summary of a short run."""
    assert main([*map(str, arguments), *USE, *QUICK, "--quiet", "--dse-output-dir", str(folder)]) == 0
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


@pytest.mark.usefixtures("at_root")
def test_config(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Table, files, and the same exploration from the config, from what was written, and with the output head."""
    out = tmp_path / "parsed"
    assert parse("--model-shape", config(tmp_path), "--parser-output-dir", out, "--output-head") == 0
    printed = capfd.readouterr().out
    assert "sliding x 2" in printed and "full x 2" in printed and "lm_head" in printed and "parameters" in printed
    assert {path.name for path in out.iterdir()} == WRITTEN
    with (out / "operators.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == "phase,layer_kind,layer_count,op,B,M,N,K,calls,macs,weight_bytes,kv_bytes,intensity"
    qk = [row for row in rows if row["op"] == "qk" and row["phase"] == "decode"]
    assert [(row["layer_kind"], row["N"]) for row in qk] == [("sliding", "8"), ("full", "20")]
    given = explored(tmp_path / "a", "--model-shape", config(tmp_path), "--output-head")
    again = explored(tmp_path / "b", "--model-shape", out / "shape.json")
    assert given["best"]["metrics"] == again["best"]["metrics"]
    assert [(kind["kind"], kind["layers"]) for kind in again["kinds"]] == [("sliding", 2), ("full", 2), ("head", 1)]
    whole = sum(kind["layers"] * kind["prefill_s"] for kind in again["kinds"])
    assert whole == pytest.approx(again["model"]["ttft_s"], rel=1e-12)


def graph(path: Path) -> networkx.DiGraph:
    """An operator graph with its names as labels."""
    content = json.loads(path.read_text())
    found = networkx.DiGraph()
    found.add_nodes_from((number, {"name": name}) for name, number in content["node"].items())
    found.add_edges_from(map(tuple, content["edge"]))
    return found


@pytest.mark.usefixtures("at_root")
def test_a_shipped_graph_is_derived_and_left_alone(tmp_path: Path) -> None:
    """Built, exported, parsed: the shipped graph up to node ids. Where that one is, it stays as it is."""
    folder = tmp_path / "palm"
    folder.mkdir()
    for name in ("shape.json", "operator_graph.json"):
        (folder / name).write_bytes((Path("config/palm-8b") / name).read_bytes())
    shipped = (folder / "operator_graph.json").read_bytes()
    assert parse("--model-type", "palm", "--parser-output-dir", folder, "--quiet") == 0
    assert (folder / "operator_graph.json").read_bytes() == shipped
    new = tmp_path / "new"
    assert parse("--model-type", "palm", "--exporter", "torchscript", "--parser-output-dir", new, "--quiet") == 0
    same = networkx.is_isomorphic(
        graph(new / "operator_graph.json"), graph(folder / "operator_graph.json"), lambda a, b: a == b
    )
    assert same and (new / "shape.json").read_text() == (folder / "shape.json").read_text()


@pytest.mark.usefixtures("at_root")
def test_another_model_is_not_overwritten(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Unless that is asked for; and nothing is written before it is refused."""
    out = tmp_path / "parsed"
    assert parse("--model-shape", config(tmp_path), "--parser-output-dir", out, "--quiet") == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    wide = ["--model-shape", config(tmp_path, intermediate_size=128), "--parser-output-dir", out, "--quiet"]
    assert parse(*wide) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: {out}: holds another model") and said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert parse(*wide, "--overwrite") == 0
    assert (out / "shape.json").read_bytes() != before["shape.json"]
    (out / "operator_graph.json").write_text("{")
    assert parse(*wide) == 2
    assert "holds files that are no model" in capfd.readouterr().err


@pytest.mark.usefixtures("at_root")
def test_onnx(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A layer is parsed, and explored as it is and as it was parsed, alike."""
    path = written(tmp_path, layer_text("tile", "fused"))
    out = tmp_path / "parsed"
    assert parse("--onnx", path, "--parser-output-dir", out) == 0
    assert "f13" in capfd.readouterr().out
    given = explored(tmp_path / "a", "--onnx", path)
    again = explored(tmp_path / "b", "--model-shape", out / "shape.json")
    assert given["best"]["metrics"] == again["best"]["metrics"]


@pytest.mark.usefixtures("at_root")
def test_a_cycle_is_refused_before_anything_is_written(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A graph of several kinds that was edited by hand."""
    out = tmp_path / "parsed"
    assert parse("--model-shape", config(tmp_path), "--parser-output-dir", out, "--quiet") == 0
    edges = out / "operator_graph.json"
    content = json.loads(edges.read_text())
    edges.write_text(json.dumps(content | {"edge": [*content["edge"], [4, 0]]}))
    assert parse("--model-shape", out / "shape.json", "--parser-output-dir", tmp_path / "again") == 2
    said = capfd.readouterr().err
    assert "wait for each other in a cycle" in said and said.count("\n") == 1
    assert not (tmp_path / "again").exists()


BAD = {
    "no config": ({}, "describes no model"),
    "a vision model": ({"model_type": "vit"}, "a model of images"),
    "an encoder": ({"model_type": "bert"}, "an encoder"),
    "an encoder and a decoder": ({"model_type": "t5"}, "an encoder and a decoder"),
    "another architecture": ({"model_type": "nobody_knows"}, "a layer of it exported to ONNX (--onnx)"),
    "no heads": (SMALL | {"num_attention_heads": 0}, "field 'num_attention_heads'"),
    "a list": ([SMALL], "holds a list"),
}


@pytest.mark.parametrize("kind", ["parse", "dse"])
@pytest.mark.parametrize(("content", "word"), BAD.values(), ids=BAD.keys())
def test_bad_configs(content: Any, word: str, kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2, nothing written."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    out = tmp_path / "out"
    where = ["--parser-output-dir", str(out)] if kind == "parse" else ["--dse-output-dir", str(out)]
    assert main(["--execution-type", kind, "--model-shape", str(path), *where]) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"error: {path}") and word in said and said.count("\n") == 1
    assert not out.exists()


ODD = layer_text().replace("batch,tokens", "s0,s1")
CYCLE = "g (float[2,3,6] x, float[6,6] w) => (float[a,b,c] y) { a = MatMul(b, w) b = Relu(a) y = Add(a, x) }"


@pytest.mark.parametrize(
    ("text", "word"), [(ODD, "--axes s0="), (CYCLE, "cycle")], ids=["dynamic axis without a value", "cycle"]
)
def test_bad_onnx(text: str, word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The same for graphs; a file that was cut short as well."""
    path = written(tmp_path, text)
    assert main(["--onnx", str(path), "--dse-output-dir", str(tmp_path / "out")]) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ") and word in said and said.count("\n") == 1
    path.write_bytes(path.read_bytes()[:-40])
    assert main(["--onnx", str(path), "--dse-output-dir", str(tmp_path / "out")]) == 2
    assert capfd.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.usefixtures("at_root")
def test_a_folder_stands_for_the_model_in_it(tmp_path: Path) -> None:
    """A Hugging Face model is a folder; so is a shipped one, and a draft may be either."""
    path = config(tmp_path)
    one, other = explored(tmp_path / "a", "--model-shape", path), explored(tmp_path / "b", "--model-shape", tmp_path)
    assert one["best"]["metrics"] == other["best"]["metrics"]
    folder = Path("config/llama3-8b")
    one = explored(tmp_path / "c", "--model-shape", folder, "--speculative", tmp_path)
    other = explored(tmp_path / "d", "--model-shape", folder / "shape.json", "--speculative", path)
    assert one["best"]["metrics"] == other["best"]["metrics"]
    assert parse("--model-shape", tmp_path, "--parser-output-dir", tmp_path / "parsed", "--quiet") == 0
    # A graph that is asked for elsewhere is looked for there.
    assert (
        main(["--model-shape", str(folder), "--parser-output-dir", "no/such", "--dse-output-dir", str(tmp_path)]) == 2
    )


@pytest.mark.usefixtures("at_root")
def test_axes_are_told(tmp_path: Path) -> None:
    """What names do not say is said on the command line, and gives the same model."""
    named, told = written(tmp_path, layer_text(), name="named"), written(tmp_path, ODD, name="told")
    one = explored(tmp_path / "a", "--onnx", named)
    other = explored(tmp_path / "b", "--onnx", told, "--axes", "s0=batch,s1=tokens")
    assert one["best"]["metrics"] == other["best"]["metrics"]


PUBLISHED = {  # parameters in all, and of one token, in billions, as their model cards round them
    "deepseek-v3": (671.0, 37.6),
    "qwen3-30b-a3b": (30.5, 3.3),
    "gemma-3-4b": (3.88, 3.88),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shipped_configs(name: str) -> None:
    """They are read, have the parameters that their makers state, and make a workload."""
    model = read_config(ROOT / "config" / "hugging-face" / f"{name}.json", head=True)
    use = Usage(1, 64, 16, 128)
    counted = totals(model, use)
    every, active = PUBLISHED[name]
    assert counted.parameters / 1e9 == pytest.approx(every, rel=2e-3)
    assert counted.active_parameters / 1e9 == pytest.approx(active, rel=0.02)
    assert len(model_workload(model, use).operators) <= MOST_OPERATORS
