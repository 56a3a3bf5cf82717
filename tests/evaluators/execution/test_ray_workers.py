"""Workers in other processes: the same answers from any number of them, on any node, whatever happens to them.

One cluster of two nodes serves all tests that need one; it loses its second node in the last of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cost_model.nmp.operators.plugins import NMP_MODELS, operator_model
from cost_model.nmp.roofline import RooflineEvaluator
from cost_model.nmp.technology import Constants
from design.conformance.answers import assert_same
from design.core import Evaluation, Status, gather
from design.errors import InputError
from evaluators.execution.batching import Pace
from evaluators.execution.fault_tolerant import Guarded
from evaluators.execution.ray_workers import RayWorkers
from tests.cases import ROOT
from tests.dse.nmp.small import CONSTANTS, LAYER, PLATFORM, ROOFLINE
from tests.evaluators.execution import faulty
from tests.evaluators.execution.faulty import Counts, Faulty, designs, keys

BATCH = designs(24)
KEYS = keys(BATCH)
SOUND = ROOFLINE.evaluate(BATCH, seed=1)


class Pieces(Pace):
    """Workers from the start, and pieces of one size."""

    def __init__(self, size: int) -> None:
        super().__init__(workers=2, rows_ahead=None, limit_s=None)
        self.size = size

    def rows(self, left: int, workers: int) -> int:
        """See above."""
        return min(left, self.size)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of two processors; this process has joined them."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    term = signal.getsignal(signal.SIGTERM)
    memory = {"object_store_memory": 100 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **memory})
    made.second = made.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    ray.init(address=made.address, log_to_driver=False, configure_logging=False, namespace="tilewright")
    yield made
    ray.shutdown()
    made.shutdown()
    signal.signal(signal.SIGTERM, term)


def pooled(evaluator: Any, count: int = 2, size: int = 5, limit_s: float | None = None, **more: Any) -> Guarded:
    """The evaluator on workers."""
    make = lambda: RayWorkers(evaluator, count, limit_s=limit_s, **more)
    return Guarded(evaluator, limit_s=limit_s, workers=make, pace=Pieces(size))


def check(answer: Evaluation, failed: list[int], text: str = "") -> None:
    """These rows FAILED for that reason, the others have their own answers."""
    others = np.setdiff1d(np.arange(24), failed)
    ours, theirs = answer.take(others), SOUND.take(others)
    assert_same(replace(ours, violation={k: ours.violation[k] for k in theirs.violation}), theirs)
    assert (answer.status[failed] == Status.FAILED).all()
    assert all(text in reason for reason in answer.reason[failed].tolist()), answer.reason[failed]
    assert all(np.isnan(values[failed]).all() for values in answer.metrics.values())


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(said: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it becomes true."""
    end = time.monotonic() + seconds
    while not said() and time.monotonic() < end:
        time.sleep(0.1)
    return said()


# --- on the cluster


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_workers(count: int, cluster: Any, tmp_path: Path) -> None:
    """Bit for bit the answer of this process, from that many other processes."""
    pids = tmp_path / "pids"
    evaluator = Faulty(faulty.Tells(pids, faulty.Meets(pids, count)), KEYS)
    with pooled(evaluator, count, size=2) as guarded:
        answer = guarded.evaluate(BATCH, seed=1)
        assert_same(answer, SOUND)
        assert_same(guarded.evaluate(BATCH, seed=1), answer)
        assert guarded.remote_cpu_s > 0
    found = {int(line) for line in pids.read_text().split()}
    assert len(found) == count and os.getpid() not in found
    assert eventually(lambda: not any(map(alive, found)))


def test_faults_are_the_same_on_workers(cluster: Any, tmp_path: Path) -> None:
    """Exceptions, wrong forms and missing numbers: the same reasons as in this process."""
    faults: list[faulty.Fault] = [
        faulty.Raises(faulty.ManyLines),
        faulty.Raises(faulty.Speechless),
        faulty.Raises(SystemExit),
        faulty.Raises(faulty.Panic),
        faulty.Metric(np.nan),
        faulty.Says(lambda rows, answer: None),
        faulty.Says(lambda rows, answer: answer.take(slice(1, None))),
        faulty.Changed(lambda answer, hit: {"metrics": {k: v.astype(object) for k, v in answer.metrics.items()}}),
        faulty.writes,
    ]

    def several(batch: Any, answer: Any, hit: Any) -> Any:
        index = {key: number for number, key in enumerate(KEYS[: len(faults)])}
        for key in keys(batch):
            if key in index:
                return faults[index[key]](batch, answer, hit)
        return answer

    evaluator = Faulty(several, KEYS[: len(faults)])
    with pooled(evaluator, size=1) as guarded:
        answer = guarded.evaluate(BATCH, seed=1)
    assert_same(answer, Guarded(evaluator, pace=Pace(1, 0, None)).evaluate(BATCH, seed=1))
    check(answer, list(range(len(faults) - 1)))


def test_a_lost_worker(cluster: Any, tmp_path: Path) -> None:
    """Its rows are done again, once each; all others once."""
    died = Counts(tmp_path, frozenset(KEYS[3:4]), faulty.Once(tmp_path / "once", faulty.dies))
    with pooled(Faulty(died, KEYS), size=1) as guarded:
        check(guarded.evaluate(BATCH, seed=1), [])
    assert died.count(BATCH) == [1] * 3 + [2] + [1] * 20


def test_a_row_that_kills_its_workers(cluster: Any, tmp_path: Path) -> None:
    """It is tried twice, and its companions have answers."""
    deadly = Counts(tmp_path, frozenset(KEYS[7:8]), faulty.dies)
    with pooled(Faulty(deadly, KEYS), size=4) as guarded:
        check(guarded.evaluate(BATCH, seed=1), [7], "twice")
    assert deadly.count(BATCH)[7] == 2


def test_a_hang(cluster: Any, tmp_path: Path) -> None:
    """Its row FAILED, its process gone, though no Python runs in it any more."""
    stuck = Faulty(faulty.Tells(tmp_path / "pids", faulty.holds_the_interpreter), KEYS[2:3])
    begin = time.monotonic()
    with pooled(stuck, size=3, limit_s=0.5) as guarded:
        check(guarded.evaluate(BATCH, seed=1), [2], "limit of 0.5 s")
        pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
        assert len(pids) == 2 and eventually(lambda: not any(map(alive, pids)))
    assert time.monotonic() - begin < 30


def test_a_stream_that_is_left(cluster: Any) -> None:
    """The next one has new workers."""
    with pooled(Faulty(faulty.Slow(0.01), KEYS), size=2) as guarded:
        next(guarded.stream(BATCH, seed=1))
        check(guarded.evaluate(BATCH, seed=1), [])


def test_a_users_operator_model(cluster: Any, tmp_path: Path) -> None:
    """A file that no worker can import."""
    path = tmp_path / "my_own_nmp.py"
    path.write_text(
        "import numpy as np\nfrom cost_model.nmp.operators.base import OperatorCost\n"
        "from cost_model.nmp.operators.roofline import NmpRoofline\nEXTRA = 2e-6\n\n\n"
        "class Slow(NmpRoofline):\n    name, version = 'slow', '1'\n\n"
        "    def cost(self, *args):\n        found = super().cost(*args)\n"
        "        return OperatorCost(found.latency_s + EXTRA, found.energy_j)\n\n\nMODEL = Slow()\n"
    )
    constants: Constants = CONSTANTS
    evaluator = RooflineEvaluator(LAYER, PLATFORM, nmp=operator_model("--nmp-model", str(path), NMP_MODELS, constants))
    with pooled(evaluator) as guarded:
        answer = guarded.evaluate(BATCH, seed=1)
    assert_same(answer, evaluator.evaluate(BATCH, seed=1))
    assert not np.array_equal(answer.metrics["latency_s"], SOUND.metrics["latency_s"])


@pytest.mark.parametrize(
    ("evaluator", "count", "text"),
    [
        (faulty.NoPickle(), 2, "cannot be sent"),
        (faulty.NoUnpickle(), 2, "workers do not start"),
        (ROOFLINE, 5, "5 workers on a cluster of 4 processors"),
    ],
)
def test_workers_that_cannot_be(evaluator: Any, count: int, text: str, cluster: Any) -> None:
    """One line."""
    with pooled(evaluator, count) as guarded, pytest.raises(InputError, match=text) as error:
        guarded.evaluate(BATCH, seed=1)
    assert "\n" not in str(error.value)


def test_a_lost_node(cluster: Any, tmp_path: Path) -> None:
    """Workers of both nodes share the work; when one goes, the row in work there is done again on the other, once."""
    import ray

    counts = Counts(tmp_path, frozenset(), None)
    second = cluster.second.node_id
    (first,) = {node["NodeID"] for node in ray.nodes() if node["Alive"]} - {second}

    class Where(Faulty):
        def evaluate(self, batch: Any, *, seed: int) -> Any:
            node = ray.get_runtime_context().get_node_id()
            (tmp_path / f"node-{node}-{keys(batch)[0].hex()}").touch()
            time.sleep(0.7 if node == second else 0.15)
            return super().evaluate(batch, seed=seed)

    def rows_on(node: str) -> set[str]:
        return {path.name.rpartition("-")[2] for path in tmp_path.glob(f"node-{node}-*")}

    with pooled(Where(counts, KEYS), size=1) as guarded:
        found, gone = [], False
        for rows, piece in guarded.stream(BATCH, seed=1):
            found.append((rows, piece))
            # While an answer from the first node is looked at, the slower second one is in the middle of a row.
            if not gone and len(rows_on(second)) >= 2 and KEYS[rows[0]].hex() in rows_on(first):
                cluster.remove_node(cluster.second, allow_graceful=False)
                gone = True
    check(gather(found, 24), [])
    assert rows_on(first) | rows_on(second) == {key.hex() for key in KEYS}
    again = rows_on(first) & rows_on(second)
    assert gone and len(again) == 1
    assert [count for key, count in zip(KEYS, counts.count(BATCH), strict=True) if key.hex() not in again] == [1] * 23


# --- Ray's own life: each in a new process


def run(code: str, *, group: bool = False) -> subprocess.Popen[str]:
    """Python code in a new process of this repository."""
    head = "from tests.evaluators.execution.test_ray_workers import *\nfrom tests.evaluators.execution import faulty\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=group,
    )


def descendants(root: int) -> set[int]:
    """All processes below one."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = {root}, {root}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found - {root}


OWN = """
before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
evaluator = Faulty(faulty.Slow(0.01), KEYS)
with pooled(evaluator) as guarded:
    check(guarded.evaluate(BATCH, seed=1), [])
    assert {s: signal.getsignal(s) for s in before} == before, "handlers"
    below = descendants(os.getpid())
    folder = guarded._workers._scratch
    names = [Path(f"/proc/{pid}/cmdline").read_text() for pid in below if alive(pid)]
    assert any("raylet" in name for name in names) and any("gcs_server" in name for name in names)
    assert os.path.isdir(folder)
"""


def test_ray_starts_and_leaves_nothing() -> None:
    """Its own start: signal handlers as they were, then no process and no folder."""
    code = (
        OWN
        + """
assert eventually(lambda: not any(map(alive, below))), "processes"
assert not os.path.exists(folder), "folder"
print("well")
"""
    )
    out, error = run(code).communicate(timeout=100)
    assert out == "well\n" and not error, error


def test_interrupts_and_the_end_of_the_driver() -> None:
    """Ctrl-C is for the driver alone; when the driver is killed its workers and servers go (two agents of Ray's, which
    hold no processor, take a minute more). Ray is started from another thread than the main one."""
    code = """
    import threading
    signal.signal(signal.SIGINT, lambda *_: print("interrupted", flush=True))
    def work():
        with pooled(Faulty(faulty.Slow(0.05), KEYS), size=1) as guarded:
            check(guarded.evaluate(BATCH, seed=1), [])
            os.killpg(0, signal.SIGINT)
            workers = [seat.actor for seat in guarded._workers._idle]
            check(guarded.evaluate(BATCH, seed=1), [])
            assert workers and set(workers) == {seat.actor for seat in guarded._workers._idle}
            print("well", guarded._workers._scratch, flush=True)
            time.sleep(100)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    """
    ran = run(code, group=True)
    assert ran.stdout is not None
    lines = [ran.stdout.readline(), ran.stdout.readline()]
    below = descendants(ran.pid)
    names = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in below}
    ran.kill()
    _, error = ran.communicate(timeout=30)
    assert lines[0] == "interrupted\n" and lines[1].startswith("well"), error
    try:
        serious = [pid for pid, name in names.items() if "Agent" not in name]
        for word in ("raylet", "gcs_server", "ray::Host"):
            assert any(word in names[pid] for pid in serious), names
        assert eventually(lambda: not any(map(alive, serious))), [names[pid] for pid in serious if alive(pid)]
    finally:
        for pid in filter(alive, below):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(lines[1].split()[1], ignore_errors=True)


def test_no_cluster_there() -> None:
    """One line, soon."""
    code = """
    begin = time.monotonic()
    for address in ("127.0.0.1:9", "no.such.host.invalid:6379"):
        try:
            RayWorkers(ROOFLINE, 1, address=address)
        except InputError as error:
            assert address in str(error) and "\\n" not in str(error)
            print("said")
    assert time.monotonic() - begin < 60
    """
    out, error = run(code).communicate(timeout=100)
    assert out == "said\n" * 2, error


def test_ray_is_not_imported_before_it_is_needed() -> None:
    """Cheap evaluators do not start it, and importing the pool does not import it."""
    code = """
    make = lambda: RayWorkers(ROOFLINE, 2)
    with Guarded(ROOFLINE, workers=make, pace=Pace(2, 10**6, None)) as guarded:
        guarded.evaluate(BATCH, seed=1)
    print("ray" in sys.modules)
    """
    out, error = run(code).communicate(timeout=60)
    assert out == "False\n", error
