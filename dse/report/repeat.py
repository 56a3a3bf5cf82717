"""What it takes to repeat a run: the command line, the versions, the revision of the program."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from dse.options import MODEL_FOLDERS, OPTIONS
from dse.studies.kinds import STUDIES

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 5.0


def command(settings: Mapping[str, str]) -> str:
    """The shortest command line that gives these settings, from their text as `Settings.text` has it."""
    words = ["python", "main.py"]
    follows = {"model-shape": f"{MODEL_FOLDERS.get(settings.get('model-type', ''), MODEL_FOLDERS['opt'])}/shape.json"}
    follows |= STUDIES.get(settings.get("space", ""), STUDIES["nmp"]).defaults
    follows["parser-output-dir"] = str(Path(settings.get("model-shape", "")).parent)
    for option in OPTIONS:
        text = settings.get(option.name, "")
        if text == (follows.get(option.name, "") if option.default is None else option.default) or not text:
            continue
        if option.default == "false":
            words.append(option.flag)
        elif text.startswith("-"):
            words.append(f"{option.flag}={text}")
        else:
            words += [option.flag, text]
    return shlex.join(words)


@lru_cache
def revision() -> str | None:
    """The commit that the program runs from, and whether files differ from it; None outside a git checkout."""
    if not (ROOT / ".git").exists():
        return None
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return commit if changed == "" else f"{commit} (with local changes)"


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
