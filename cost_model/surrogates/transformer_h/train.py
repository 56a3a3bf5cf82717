"""Trains a Transformer-H on results of tools:

python -m cost_model.surrogates.transformer_h.train --data hlsyn.tar.gz --out runs/transformer_h.safetensors

The held-out families of `config/hls/split.json` (`--split` names another file) are left out: their results are not even
read, and copies of their kernels are refused. Each member holds other families out, which say
when to stop and how far to trust it, unless `--validation` names them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cost_model.corpus.hls.records import gather
from cost_model.corpus.split import SPLIT, read_split
from cost_model.surrogates.transformer_h.store import card_path, write_trained
from cost_model.surrogates.transformer_h.trained import Card, Trained
from cost_model.surrogates.transformer_h.training import Settings, folds_of, train, trusted
from cost_model.surrogates.transformer_h.training_examples import TrainingTable, lessons_of
from design.contracts import Dataset
from design.errors import InputError

MEMBERS = 4
FEWEST_PARTS = 4  # of the families, of which each member holds one out


def train_members(
    lessons: Sequence[TrainingTable],
    settings: Settings,
    members: int,
    seed: int,
    validation: Sequence[str] = (),
    command: str = "",
    progress: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Models of the seeds from `seed` on; unless `validation` names families to hold out, each holds out another part
    of them. Raises InputError as `train` does."""
    found = []
    parts = [tuple(validation)] if validation else folds_of(lessons, max(members, FEWEST_PARTS), seed)
    for number in range(members):
        held = parts[number % len(parts)]
        progress(f"member {number + 1} of {members}, held out: {', '.join(held)}")
        found.append(train(lessons, settings, held, seed + number, progress))
    families = tuple(sorted({lesson.family for lesson in lessons}))
    digests = tuple(sorted({lesson.digest for lesson in lessons}))
    return Trained(trusted(found), Card(families, digests, seed, command))


def read_tables(data: Path, split: Path = SPLIT) -> list[Dataset]:
    """The tables of all known tool versions but those that a split holds out. Raises InputError as `gather` does."""
    return list(gather(data, read_split(split)).records)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m cost_model.surrogates.transformer_h.train", description="Train Transformer-H."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder or archive of tool results")
    parser.add_argument("--out", type=Path, required=True, help="file for the weights; a card is written beside it")
    parser.add_argument("--split", type=Path, default=SPLIT, help="file that says which families are held out")
    parser.add_argument("--validation", default="", help="families that say when to stop, by comma")
    parser.add_argument("--members", type=int, default=MEMBERS, help="models whose answers are averaged")
    parser.add_argument("--steps", type=int, default=Settings().steps, help="most steps of a model")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    for name in ("members", "steps"):
        if getattr(given, name) < 1:
            raise InputError(f"--{name}", f"is {getattr(given, name)}", "at least 1")
    if given.seed < 0:
        raise InputError("--seed", f"is {given.seed}", "at least 0")
    validation = [name for name in given.validation.split(",") if name]

    began = time.process_time()

    def progress(line: str) -> None:
        print(f"{time.process_time() - began:7.1f} s  {line}", flush=True)

    lessons = lessons_of(read_tables(given.data, given.split), progress)
    settings = Settings(steps=given.steps)
    command = (
        f"python -m cost_model.surrogates.transformer_h.train --data {given.data.name} --split {given.split.name} "
        f"--validation {given.validation} --members {given.members} --steps {given.steps} --seed {given.seed}"
    )
    trained = train_members(lessons, settings, given.members, given.seed, validation, command, progress)
    write_trained(trained, given.out)
    progress(f"wrote {given.out} and {card_path(given.out).name}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))
