"""Tilewright: explore accelerator designs. `python main.py --help` lists every option.

Exit codes: 0 done, 2 unusable input or output (one line says what), 3 stopped because evaluation kept failing,
130 interrupted (results are written).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from design.errors import InputError
from dse.options import OPTIONS, Settings, read_settings

LARGEST_CONFIG = 2**20  # bytes


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaints are a single line."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError in place of printing the usage."""
        raise InputError("command line", " ".join(message.split()), "options as listed by --help")


def make_parser() -> argparse.ArgumentParser:
    """The command line: the options of `dse/options.py`, and --config."""
    parser = OneLineParser(prog="main.py", allow_abbrev=False, description="Explore accelerator designs.")
    parser.add_argument("--config", metavar="FILE", help="YAML file with the same keys; the command line wins")
    parser.add_argument("runs", nargs="*", metavar="compare A B", help="directories of the runs to compare")
    for option in OPTIONS:
        default = "" if not option.default else f" (default: {option.default})"
        help_text = (option.help + default).replace("%", "%%")
        if option.default == "false":
            parser.add_argument(option.flag, action="store_const", const="true", help=option.help)
        else:
            parser.add_argument(option.flag, metavar=option.name.rpartition("-")[2].upper(), help=help_text)
    return parser


def read_config(path: Path) -> dict[str, tuple[str, str]]:
    """Settings of a YAML file, as name -> (where, text). Raises InputError naming file and key."""
    import yaml

    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_CONFIG + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError.unreadable(str(path), error, "a YAML file") from None
    if len(text) > LARGEST_CONFIG:
        raise InputError(str(path), "is too large", f"at most {LARGEST_CONFIG} characters")
    try:
        tree, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(str(path), f"is not YAML ({' '.join(str(error).split())[:120]})", "key: value lines") from None
    if not isinstance(content, dict):
        raise InputError(str(path), "is empty" if content is None else "is not a mapping", "key: value lines")
    keys = [node.value for node, _ in tree.value]
    known = {option.name for option in OPTIONS}
    found: dict[str, tuple[str, str]] = {}
    for key, value in content.items():
        name = str(key).replace("_", "-")
        where = f"{path}, key '{key}'"
        if name not in known:
            raise InputError(where, "is unknown", "an option of --help without its dashes")
        if keys.count(key) > 1 or name in found:
            raise InputError(where, "is given twice", "each key once")
        found[name] = (where, _as_text(where, value))
    return found


def _as_text(where: str, value: Any) -> str:
    """A YAML value as it would stand on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        return ",".join(f"({_as_text(where, item)})" for item in value)
    if isinstance(value, list) and value:
        return ",".join(_as_text(where, item) for item in value)
    raise InputError(where, "is empty" if not value else "is a mapping", "a value or a list of values")


def dispatch(given: dict[str, tuple[str, str]], runs: list[str]) -> int:
    """Do what --execution-type says."""
    settings = read_settings(given)
    kind, folder = settings["execution-type"], Path(settings["dse-output-dir"])
    if len(runs) != (2 if kind == "compare" else 0):
        found, expected = f"{len(runs)} directories with --execution-type {kind}", "two with compare, none otherwise"
        raise InputError("command line", found, expected)
    if kind == "parse":
        from dse.commands.parse import parse_as

        return parse_as(settings)
    if kind == "dse":
        return explore_designs(given, settings, folder)
    if kind == "evaluate":
        from dse.commands.evaluate import evaluate_as

        return evaluate_as(settings, folder)

    if kind == "train":
        from dse.commands.train import train_as

        return train_as(settings, folder)
    if kind == "predict":
        from dse.commands.predict import predict_as

        return predict_as(settings, folder)

    from dse.commands.revisit import compare_runs, export_again, report_again

    if kind == "export":
        return export_again(folder, settings["export"])
    return report_again(folder) if kind == "report" else compare_runs([Path(run) for run in runs], folder)


def explore_designs(given: dict[str, tuple[str, str]], settings: Settings, folder: Path) -> int:
    """Run a search, or go on with one; or a search for each use of a sweep."""
    if settings["sweep"] is not None:
        from dse.commands.sweep import sweep_as

        return sweep_as(given, settings, folder)

    from dse.studies.registry import study_of

    if settings["resume"]:
        from dse.run.resume import resumed_settings

        settings = resumed_settings(given, settings)
    study = study_of(settings)

    from dse.run.run import Run

    return Run(study, settings, folder).execute()


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    # One thread: numpy's work here is elementwise, and idle BLAS threads cost memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        given = vars(make_parser().parse_args(arguments))
        config, runs = given.pop("config"), given.pop("runs")
        settings = read_config(Path(config)) if config is not None else {}
        for name, text in given.items():
            if text is not None:
                option = name.replace("_", "-")
                settings[option] = (f"--{option}", text)
        if runs[:1] == ["compare"]:
            settings.setdefault("execution-type", ("command line", runs.pop(0)))
        return dispatch(settings, runs)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has gone; the results are in their files by then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except Exception as error:
        if type(error).__module__ != "sqlite3":  # not imported here for the sake of --help
            raise
        print(f"error: run.sqlite: is damaged or cannot be used ({error})", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
