"""The settings to go on with a run: those that it was begun with, and those that may change from sitting to sitting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from design.errors import InputError
from dse.options import PER_SITTING, Settings, read_settings, whole
from dse.records.store import FILE, Store
from dse.run.conclude import SITTING


def resumed_settings(given: Mapping[str, tuple[str, str]], settings: Settings) -> Settings:
    """`settings`, as `given` reads, where there is no run to go on with, else those of the run.

    Raises InputError where an option was given that the run was begun without.
    """
    path = Path(settings["dse-output-dir"]) / FILE
    if not Store.begun(path):
        return settings
    texts, done = stored_settings(path)
    for name in given:
        if name not in PER_SITTING and settings.text.get(name, "") != texts.get(name, ""):
            where, text = given[name]
            found = f"'{text}' in place of '{texts.get(name, '')}', with which the run in {path.parent} was begun"
            raise InputError(where, found, "the same, or another directory")
    if texts["algorithm"] != "exact":
        # It may have been gone on with, to more generations than it was begun with.
        least = whole(max(done, 1), 10**7)
        if "num-generations" in given:
            least(*given["num-generations"])
        texts["num-generations"] = str(max(done, int(texts["num-generations"])))
    # A limit on the time is one on this sitting.
    begun = {name: (str(path), text) for name, text in texts.items() if name not in ("time-limit", "quiet")}
    return read_settings(begun | {name: given[name] for name in PER_SITTING if name in given})


def stored_settings(path: Path) -> tuple[dict[str, str], int]:
    """The settings of a run as last gone on with, and how many generations are complete. Raises InputError where
    there is no run."""
    store = Store.open(path)
    texts: dict[str, str] = store.facts[SITTING]["settings"]
    done = len(store.steps())
    store.close()
    return texts, done
