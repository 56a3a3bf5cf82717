"""Run an experiment, all of it by one command; what is done is not done again.

    python ae/run_experiments.py --experiment-type all
    python ae/run_experiments.py --experiment-type loop --data hlsyn.tar.gz --budget 60

`all`, `e2e`, `dataflow` and `arch` are the published evaluation of H2-LLM, or the points of it that an experiment needs
(ae/README.md). `loop` races the active loop against other ways to choose which designs the tool is run on, on recorded
results. Tables are in --out. Exit codes: 0 done, 2 unusable input, 3 some points went wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, from anywhere

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: work here is many small pieces
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ae.h2llm.points import EXPERIMENTS
from design.errors import InputError
from dse.options import whole

LOOP = "loop"


def main(arguments: list[str]) -> int:
    """Run the command line. Returns the exit code."""
    import ae.h2llm.command as h2llm
    import ae.loop.command as loop

    parser = argparse.ArgumentParser(prog="ae/run_experiments.py", description="Run an experiment.")
    parser.add_argument("--experiment-type", choices=[*sorted(EXPERIMENTS), LOOP], required=True)
    parser.add_argument("--workers", default="2", help="processes (default: 2)")
    parser.add_argument("--seeds", default="10", help="of searches that are repeated (default: 10)")
    parser.add_argument("--out", type=Path, default=Path("ae/results"), help="folder (default: ae/results)")
    h2llm.add_options(parser)
    loop.add_options(parser)
    given = parser.parse_args(arguments)
    given.out = given.out.resolve()
    try:
        workers = whole(1, 1024)("--workers", given.workers)
        if given.experiment_type == LOOP:
            return loop.race_through(loop.race_of(given), workers, say)
        return h2llm.run_evaluation(h2llm.evaluation_of(given), workers, say, print)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what is done is kept", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        return 2


def say(line: str) -> None:
    """Progress."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
