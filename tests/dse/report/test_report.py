"""The report of a run: one well-formed page that needs nothing else, whatever the run has to say."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from main import main
from tests.cases import ROOT
from tests.cli.test_answers import SMALL_GRAPH, SMALL_SHAPE

USE = ["--max-batch-size", "2", "--input-seq-len", "64", "--max-gen-len", "16", "--num-generations", "2"]
FEW = [*USE, "--population-num-per-generation", "40", "--topk", "10", "--total-channel-num", "4"]
ONE = ["--nmp-channel-num-space", "2", "--fpu-pe-bw-space", "(8,600,25.6)", "--input-buffer-size-space", "32"]
ONE += ["--weight-buffer-size-space", "32", "--output-buffer-total-size-space", "64"]
SEARCH, BEST = {"convergence"}, {"schedule", "breakdown", "roofline"}
CASES: dict[str, tuple[list[str], set[str]]] = {
    "one device": ([*ONE, "--report", "full", "--evaluator", "buffered"], SEARCH | BEST | {"sensitivity"}),
    "three objectives": (
        [*ONE[2:], "--nmp-channel-num-space", "1,2", "--objectives", "latency_s,energy_j,area_mm2", "--report", "full"],
        SEARCH | BEST | {"front", "constants", "sensitivity"},
    ),
    "more is better": (
        ["--nmp-channel-num-space", "1,2", "--objectives", "max:power_w,latency_s", "--report", "brief"],
        SEARCH | BEST | {"front"},
    ),
    "no NMP channels": (["--is-dataflow-fixed", "npu_only", "--report", "brief"], SEARCH | BEST),
    "specpim": (["--is-dataflow-fixed", "specpim", "--nmp-channel-num-space", "1", "--report", "brief"], SEARCH | BEST),
    "nothing fits": (["--bank-memory-capacity", "1", "--nmp-channel-num-space", "2"], SEARCH),
    "no time": ([*ONE, "--time-limit", "0"], set()),
}
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order; ids, references and words are kept."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.references: list[str] = []
        self.words: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of an element that is not closed in the same breath."""
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of any element."""
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids[value or ""] += 1
            if name in ("src", "href", "xlink:href", "srcset", "action", "data"):
                self.references.append(value or "")
            if name == "aria-label":
                self.labels.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        """Closes the last one that is open, and no other."""
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Words."""
        self.words.append(data)


def read(folder: Path) -> Page:
    """The report in a run's folder, after all that any report must be."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert max(page.ids.values(), default=1) == 1
    assert all(reference.startswith("#") and reference[1:] in page.ids for reference in page.references)
    assert not page.tags["script"] + page.tags["link"] + page.tags["img"] + page.tags["iframe"]
    assert "://" not in text and "@import" not in text and "nan" not in " ".join(page.words).lower().split()
    assert page.tags["svg"] == page.tags["figure"] == page.tags["figcaption"] == len(page.labels)
    assert "prefers-color-scheme: dark" in text and "@media print" in text
    return page


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_run(case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each has exactly the pictures that it has something to show on, in the page and as files."""
    options, pictures = CASES[case]
    model = tmp_path / "model"
    model.mkdir()
    (model / "shape.json").write_text(json.dumps(SMALL_SHAPE))
    (model / "operator_graph.json").write_text(json.dumps(SMALL_GRAPH))
    tmp_path /= "run"
    # The small model fits any machine.
    shape = [] if case == "nothing fits" else ["--model-shape", str(model / "shape.json")]
    assert main([*FEW, *shape, *options, "--dse-output-dir", str(tmp_path)]) == 0
    page = read(tmp_path)
    folder = tmp_path / "pictures"
    files = {path.name for path in folder.iterdir()} if folder.exists() else set()
    assert files == {f"{name}.{suffix}" for name in pictures for suffix in ("png", "svg")}
    assert page.tags["svg"] == len(pictures)
    words = " ".join(" ".join(page.words).split())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert "python main.py --m" in words and "--max-batch-size 2" in words and str(summary["seed"]) in words
    assert ("No feasible design" in words) == (summary["best"] is None)
    for design in summary["front"]:
        assert design["design"] in words
    for source in summary["evaluator"].values():
        assert source in words
    assert "level" not in summary and not any("interval" in design for design in summary["front"])
    assert "level" not in summary and not any("interval" in design for design in summary["front"])
    assert ">interval<" not in (tmp_path / "report.html").read_text()  # exact answers have no bars
    if summary["best"]:
        assert summary["best"]["description"] in words


def test_hostile_names(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Names from outside are words, never elements, and the command quotes them."""
    model = tmp_path / "<b>x&"
    shutil.copytree(ROOT / "config" / "opt-6.7b", model)
    run = tmp_path / "<script>alert(1)</script>'\""
    shape = ["--model-shape", str(model / "shape.json"), "--dse-output-dir", str(run)]
    assert main([*FEW, *ONE, *shape, "--report", "brief"]) == 0
    page = read(run)
    assert not page.tags["b"] and any("<b>x&: latency_s" in word for word in page.words)
    assert any("<script>alert(1)</script>" in word for word in page.words)


def test_a_running_exploration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks in between are cheap and say that the run goes on; the last one is whole."""
    from dse.report import page as module
    from dse.run import run

    seen = []
    write = module.write_report

    def keep(folder: Path, *arguments: object, brief: bool) -> None:
        write(folder, *arguments, brief=brief)  # type: ignore[arg-type]
        found = read(folder)
        seen.append((brief, "still going" in " ".join(found.words), found.tags["svg"]))

    monkeypatch.setattr(module, "write_report", keep)
    monkeypatch.setattr(run, "FIRST_LOOK_S", 0.0)
    monkeypatch.setattr(run, "NEXT_LOOK_S", 0.0)
    options = ["--objectives", "latency_s,energy_j", "--report", "brief", "--dse-output-dir", str(tmp_path)]
    assert main([*FEW, *ONE, *options]) == 0
    assert seen[0] == (True, True, 2) and seen[-1] == (False, False, 5)
