"""How fast designs are made and priced, and how good a search gets. CPU seconds, ratios in one run:

    python -m bench.speeds

The point of comparison is LLaMA3-8B, prompt 783, 209 generated tokens, batch 4, on 6 NMP channels with 8 FPUs
at 600 MHz and 25.6 GB/s a PE, where the published program needs 368 CPU-seconds for 25,000 candidates.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np

from ae.h2llm.points import Point
from bench import parser_of
from bench.grid import one_device, solve
from cost_model.nmp.buffered import BufferedEvaluator
from cost_model.nmp.evaluator import NmpEvaluator
from dse.options import Settings, read_settings
from dse.records.archive import Archive
from dse.records.store import Store
from dse.search.engine import Effort, make_search
from dse.search.explore import explore
from dse.spaces.nmp import NmpSpace
from dse.studies.hls.problem import build as build_hls
from dse.studies.nmp.exact.prove import prove
from dse.studies.nmp.problem import NmpProblem, build
from frontends.hugging_face import read_config

POINT = {
    "model-type": "llama",
    "input-seq-len": "783",
    "max-gen-len": "209",
    "max-batch-size": "4",
    "nmp-channel-num-space": "6",
    "fpu-pe-bw-space": "(8,600,25.6)",
    "input-buffer-size-space": "32",
    "weight-buffer-size-space": "32",
    "output-buffer-total-size-space": "64",
}
PUBLISHED_S, PUBLISHED_CANDIDATES, PUBLISHED_LATENCY = 368.0, 25_000, 0.058038
BATCH = 2_500
DIRECTIVES = 20_000
LM_DESIGNS = 256


def settings(**more: str) -> Settings:
    """The point of comparison, with other options."""
    texts = POINT | {name.replace("_", "-"): text for name, text in more.items()}
    return read_settings({name: ("bench", text) for name, text in texts.items()})


def rate(count: int, work: Callable[[], object], least_s: float = 2.0) -> float:
    """Candidates a CPU-second, over at least `least_s` CPU seconds."""
    work()
    begin, rounds = time.process_time(), 0
    while time.process_time() - begin < least_s:
        work()
        rounds += 1
    return count * rounds / (time.process_time() - begin)


def kernel_rates(problem: NmpProblem) -> list[tuple[str, float]]:
    """Candidates a CPU-second of each step and of all of them, in batches of 2,500."""
    space, evaluator, rng = problem.space, problem.evaluator, np.random.default_rng(1)
    search = make_search(space, Effort(BATCH, 50, 1.0, 1), "auto", 1, 10**9)
    archive, _ = explore(search, evaluator, problem.objectives, 3, 1)
    parents = np.repeat(archive.genomes, BATCH, axis=0) if archive.genomes is not None else space.sample(BATCH, rng)
    for _ in range(3):  # as mixed as a population in the middle of a search
        parents = space.vary(parents, rng)
    batch = space.decode(parents)

    def all_steps(make: Callable[[], np.ndarray]) -> Callable[[], object]:
        return lambda: evaluator.evaluate(space.decode(make()), seed=1)

    return [
        ("sample + decode + evaluate", rate(BATCH, all_steps(lambda: space.sample(BATCH, rng)))),
        ("vary + decode + evaluate", rate(BATCH, all_steps(lambda: space.vary(parents, rng)))),
        ("  vary", rate(BATCH, lambda: space.vary(parents, rng), 1.0)),
        ("  decode", rate(BATCH, lambda: space.decode(parents), 1.0)),
        ("  evaluate", rate(BATCH, lambda: evaluator.evaluate(batch, seed=1), 1.0)),
        ("  key", rate(BATCH, lambda: space.schema.key(batch), 1.0)),
    ]


def whole_run(problem: NmpProblem, folder: Path, population: int, generations: int, seed: int) -> tuple[float, Archive]:
    """Candidates a CPU-second of a search with engine, keys and store, and what it found."""
    begin = time.process_time()
    search = make_search(problem.space, Effort(population, 50, 1.0, seed), "auto", 1, population * generations)
    store = Store.create(folder / f"{population}-{generations}-{seed}.sqlite", {})
    archive, _ = explore(search, problem.evaluator, problem.objectives, generations, seed, store)
    store.close()
    return archive.candidates / (time.process_time() - begin), archive


def child_cost(arguments: list[str]) -> tuple[float, float]:
    """(CPU seconds, peak MB) of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), after.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser_of("speeds", __doc__).parse_args()
    print(f"{machine()}\n")
    published = PUBLISHED_CANDIDATES / PUBLISHED_S
    problem = build(settings())
    rows = [(name, f"{value:,.0f} /CPU-s", f"{value / published:,.0f} x") for name, value in kernel_rates(problem)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for population, generations in ((BATCH, 10), (500, 50), (100, 250)):
            value, _ = whole_run(problem, folder, population, generations, 1)
            rows.append(
                (f"whole run, {generations} x {population:,}", f"{value:,.0f} /CPU-s", f"{value / published:,.0f} x")
            )
        rows += quality(problem, folder)
        rows += physical_rates() + solver() + models() + directive_rates(folder) + language_model_rates(folder)
        options = [f"--{name}={text}" for name, text in POINT.items()]
        options += [
            "--population-num-per-generation=2500",
            "--num-generations=10",
            "--report=none",
            f"--dse-output-dir={folder}/cli",
        ]
        seconds, megabytes = child_cost(["main.py", *options])
        drawn_s, drawn_megabytes = child_cost(["main.py", "--execution-type=report", f"--dse-output-dir={folder}/cli"])
    rows.append(
        ("main.py, 10 x 2,500: everything", f"{25_000 / seconds:,.0f} /CPU-s", f"{PUBLISHED_S / seconds:,.0f} x")
    )
    rows.append(("  its peak memory", f"{megabytes:,.0f} MB", ""))
    rows.append(("its report, drawn", f"{drawn_s:.2f} CPU-s", f"{drawn_megabytes:,.0f} MB"))
    help_s, numpy_s = (min(child_cost(a)[0] for _ in range(5)) for a in (["main.py", "--help"], ["-c", "import numpy"]))
    rows.append(("main.py --help", f"{help_s:.3f} CPU-s", f"{help_s / numpy_s:.2f} x import numpy"))
    print(f"{'':36}{'':>18}  published program: {published:,.0f} /CPU-s")
    for what, figure, ratio in rows:
        print(f"{what:36}{figure:>18}  {ratio}")


def directive_rates(folder: Path) -> list[tuple[str, str, str]]:
    """Designs of loop directives a CPU-second: estimated, made and estimated, and in a whole run."""
    kernel = "config/kernels/gemm.c"
    problem = build_hls(read_settings({"space": ("bench", "hls"), "kernel": ("bench", kernel)}))
    space, evaluator, rng = problem.space, problem.evaluator, np.random.default_rng(1)
    genomes = space.sample(DIRECTIVES, rng)
    batch = space.decode(genomes)
    alone = rate(DIRECTIVES, lambda: evaluator.evaluate(batch, seed=1))
    made = rate(DIRECTIVES, lambda: evaluator.evaluate(space.decode(space.vary(genomes, rng)), seed=1))
    arguments = ["main.py", "--space=hls", f"--kernel={kernel}", f"--dse-output-dir={folder}/hls"]
    seconds, megabytes = child_cost(arguments)
    return [
        ("estimate, directives of gemm.c", f"{alone:,.0f} /CPU-s", f"{alone / 50_000:.1f} x the goal of 50,000"),
        ("  vary + decode + estimate", f"{made:,.0f} /CPU-s", ""),
        ("  main.py: every design, report", f"{seconds:.2f} CPU-s", f"{megabytes:,.0f} MB"),
    ]


def language_model_rates(folder: Path) -> list[tuple[str, str, str]]:
    """Designs a CPU-second of the shipped language model, five samples of each metric, the program cached."""
    if importlib.util.find_spec("torch") is None:
        return [("lm, directives of gemm.c", "-", "needs requirements.txt")]
    given = {"space": "hls", "kernel": "config/kernels/gemm.c", "evaluator": "lm"}
    problem = build_hls(read_settings({name: ("bench", text) for name, text in given.items()}))
    batch = problem.space.decode(problem.space.sample(LM_DESIGNS, np.random.default_rng(1)))
    seeds = count(1)  # what was read of designs is remembered by seed
    alone = rate(LM_DESIGNS, lambda: problem.evaluator.evaluate(batch, seed=next(seeds)))
    _, megabytes = child_cost(
        ["main.py", "--execution-type=predict", "--kernel=config/kernels/gemm.c", f"--dse-output-dir={folder}/predict"]
    )
    return [
        ("lm, 5 samples, directives of gemm.c", f"{alone:,.0f} /CPU-s", f"{alone / 300:.2f} x the goal of 300"),
        ("  main.py, predict: its peak memory", f"{megabytes:,.0f} MB", ""),
    ]


def quality(problem: NmpProblem, folder: Path) -> list[tuple[str, str, str]]:
    """Best latency after 5,000 candidates, ten seeds; random search beside it."""
    rows = []
    for algorithm in ("auto", "random"):
        for population, generations in ((100, 50), (500, 10)):
            best = []
            for seed in range(10):
                effort = Effort(population, 50, 1.0, seed)
                search = make_search(problem.space, effort, algorithm, 1, 5000)
                archive, _ = explore(search, problem.evaluator, problem.objectives, generations, seed)
                best.append(archive.values[0, 0])
            name = "search" if algorithm == "auto" else "random"
            rows.append(
                (
                    f"{name}, {generations} x {population}: median (worst)",
                    f"{np.median(best):.6f} ({max(best):.6f})",
                    f"{100 * (np.median(best) / PUBLISHED_LATENCY - 1):+.2f} % of the published {PUBLISHED_LATENCY}",
                )
            )
    return rows


def physical_rates() -> list[tuple[str, str, str]]:
    """Evaluator buffered beside the roofline, on the same designs."""
    found = []
    for name in ("roofline", "buffered"):
        problem = build(settings(evaluator=name))
        batch = problem.space.decode(problem.space.sample(BATCH, np.random.default_rng(1)))
        found.append(rate(BATCH, lambda b=batch, e=problem.evaluator: e.evaluate(b, seed=1)))  # type: ignore[misc]
    text = f"{found[1] / found[0]:.2f} x roofline"
    return [("evaluate, buffered", f"{found[1]:,.0f} /CPU-s", text), *growing_context()]


def growing_context() -> list[tuple[str, str, str]]:
    """Worst error of the decode priced at a few contexts against every token, over random designs."""
    problem = build(settings(evaluator="buffered"))
    batch = problem.space.decode(problem.space.sample(300, np.random.default_rng(1)))
    constants = problem.technology.constants()

    def decode(nodes: int) -> np.ndarray:
        evaluator = BufferedEvaluator(problem.workload, problem.platform, constants, nodes=nodes)
        return evaluator.evaluate(batch, seed=1).metrics["decode_s"]

    exact = decode(problem.workload.generated)
    return [
        (f"decode at {nodes} contexts, worst error", f"{np.abs(decode(nodes) / exact - 1).max():.2%}", "of every token")
        for nodes in (1, 4)
    ]


def solver() -> list[tuple[str, str, str]]:
    """The exact solver on the point of comparison."""
    rows = []
    for evaluator in ("roofline", "buffered"):
        point = Point("H2-LLM", "llama", "sg", 4)
        solved = solve(point.name, one_device(point, evaluator))
        rows.append((f"exact solver, {evaluator}", f"{solved.cpu_s:.2f} CPU-s", f"gap {solved.gap:.1e}"))
    return rows


def models() -> list[tuple[str, str, str]]:
    """A model of two kinds of layers: its config read, designs priced beside those of one kind, its device solved."""
    config = Path("config/hugging-face/gemma-3-4b.json")
    problem, other = build(settings(model_shape=str(config))), build(settings())
    reading = rate(1, lambda: read_config(config), 0.5)
    rates = []
    for one in (problem, other):
        batch = one.space.decode(one.space.sample(BATCH, np.random.default_rng(1)))
        rates.append(rate(BATCH, lambda b=batch, e=one.evaluator: e.evaluate(b, seed=1)))  # type: ignore[misc]
    begin = time.process_time()
    space = problem.space
    assert isinstance(space, NmpSpace) and isinstance(problem.evaluator, NmpEvaluator)
    proof = prove(
        space, problem.evaluator, space.genes.decode(space.genes.sample(1, np.random.default_rng(1))), "latency_s"
    )
    seconds = time.process_time() - begin
    assert proof.lower_bound is not None
    return [
        ("Gemma-3 4B, its config read", f"{1e3 / reading:.2f} CPU-ms", ""),
        ("evaluate, its 18 operators", f"{rates[0]:,.0f} /CPU-s", f"{rates[0] / rates[1]:.2f} x 9 operators"),
        ("exact solver, its two kinds", f"{seconds:.2f} CPU-s", f"gap {proof.value / proof.lower_bound - 1:.1e}"),
    ]


def machine() -> str:
    """What the figures were measured on."""
    return f"Python {platform.python_version()}, numpy {np.__version__}, {os.cpu_count()} cores, {cpu_name()}"


def cpu_name() -> str:
    """The processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    main()
