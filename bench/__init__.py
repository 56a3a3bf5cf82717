"""What measures, not what checks: each module is a command, `python -m bench.NAME`."""

from __future__ import annotations

import argparse


def parser_of(name: str, about: str | None) -> argparse.ArgumentParser:
    """The command line of a module that is `about` something."""
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(prog=f"python -m bench.{name}", description=about, formatter_class=layout)
