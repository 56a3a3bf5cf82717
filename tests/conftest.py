"""For all tests: one thread for numerical libraries, as in `main.py` (threads that spin for work slow each other), and
the switch for golden texts: `python -m pytest --update-golden` writes what it would have compared; fixtures that tests
of the command line share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the switch."""
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing with them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """A check that a text is that of a file."""

    def check(path: Path, text: str) -> None:
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; --update-golden writes it anew"

    return check


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test from the repository, relative to which shipped files are named."""
    monkeypatch.chdir(Path(__file__).resolve().parents[1])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of kernels of our own."""
    from tests.cases_hls import usual  # numerical libraries must not be loaded before the threads are set

    return usual(tmp_path_factory.mktemp("data"))
