"""What a report says to repeat a run repeats it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse.options import read_settings
from dse.report import repeat
from main import make_parser
from tests.cases import examples

TEXTS = {
    "model-type": st.sampled_from(["opt", "llama", "palm"]),
    "model-shape": st.sampled_from(["config/llama3-8b/shape.json", "my models/<b>x&/shape.json", "-odd/shape.json"]),
    "parser-output-dir": st.sampled_from(["config/opt-6.7b", "it's/here"]),
    "seed": st.integers(0, 9).map(str),
    "fpu-pe-bw-space": st.sampled_from(["(8,600,25.6)", "(8,600,25.6),(4,800,51.2)"]),
    "free-attention-cut": st.sampled_from(["true", "false"]),
    "dse-output-dir": st.sampled_from(["./kick_the_tires/", "a run; rm -rf $HOME", "--help"]),
    "objectives": st.sampled_from(["latency_s", "max:power_w,latency_s"]),
    "time-limit": st.just("3"),
    "report": st.sampled_from(["full", "brief"]),
}


@examples(150)
@given(st.fixed_dictionaries({}, optional=TEXTS))
def test_the_command_gives_the_same_settings(given_texts: dict[str, str]) -> None:
    """Read back by a shell and by the program, whatever was set; nothing that is as it would be anyway is said."""
    settings = read_settings({name: ("test", text) for name, text in given_texts.items()})
    words = shlex.split(repeat.command(settings.text))
    assert words[:2] == ["python", "main.py"]
    said = {k.replace("_", "-"): v for k, v in vars(make_parser().parse_args(words[2:])).items() if v}
    again = read_settings({name: ("test", text) for name, text in said.items()})
    assert again.values == settings.values and set(said) <= set(given_texts)


def test_nothing_set() -> None:
    """All defaults need no options."""
    assert repeat.command(read_settings({}).text) == "python main.py"


def test_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a checkout, marked where files differ; none where there is no git, or nothing was committed."""
    monkeypatch.setattr(repeat, "ROOT", tmp_path)
    assert repeat.revision.__wrapped__() is None
    for words in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        assert repeat._git(*words) is not None
    assert repeat.revision.__wrapped__() is None
    (tmp_path / "a").write_text("1")
    for words in (["add", "a"], ["commit", "-qm", "a"]):
        assert repeat._git(*words) is not None
    commit = repeat._git("rev-parse", "HEAD")
    assert commit is not None and len(commit) == 40 and repeat.revision.__wrapped__() == commit
    (tmp_path / "a").write_text("2")
    assert repeat.revision.__wrapped__() == f"{commit} (with local changes)"
    monkeypatch.setenv("PATH", "")
    assert repeat.revision.__wrapped__() is None
