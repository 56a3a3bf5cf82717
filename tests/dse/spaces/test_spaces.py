"""Every space keeps to the contract of `design/conformance/space.py`, on the shipped models."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.nmp.roofline import RooflineEvaluator
from design.conformance.space import check_genomes, check_space
from design.contracts import Space
from design.core import Status
from design.errors import InputError
from design.nmp.device import HardwareSpace, Platform
from design.nmp.lowering import Speculation, Usage
from design.nmp.lowering import model_workload as model_workload_of
from design.nmp.model_files import read_model
from design.nmp.workload import FFN, MOST_OPERATORS, Gemm, Operator, Workload, once
from dse.spaces.nmp.fixed import FIXED_DATAFLOWS, WITHOUT_NMP, FixedSpace
from frontends.hugging_face import read_config
from tests.cases import MODELS, PROCESSORS, ROOT, examples, genomes, hardware, model_workload, nmp_space

PLATFORM = Platform()
MANY = HardwareSpace((0, 2, 6, 8), PROCESSORS, (16, 32), (8, 16, 64), (4, 32))  # processors that differ in one number


def fixed(name: str, model: str = "llama3-8b") -> FixedSpace:
    """A fixed dataflow with a few hardware choices."""
    choices = hardware((0,) if name in WITHOUT_NMP else (2, 6), input_kb=(16, 32))
    return FixedSpace(name, model_workload(model), PLATFORM, choices)


def two_models() -> Workload:
    """DeepSeek-V3 with OPT as its draft: 33 operators of three kinds of layers."""
    folder = ROOT / "config"
    draft = read_model("opt", folder / "opt-6.7b" / "shape.json", folder / "opt-6.7b" / "operator_graph.json")
    target = read_config(folder / "hugging-face" / "deepseek-v3.json")
    return model_workload_of(target, Usage(4, 157, 67, 2048), Speculation(draft, 4, 0.8))


def most_operators() -> Workload:
    """A chain of as many operators as there may be, and beside it one that waits for nothing."""
    gemm = Gemm(1, 4, 64, 64)
    made = tuple(Operator(f"op{i}", FFN, once(gemm), gemm, 1.0) for i in range(MOST_OPERATORS))
    return Workload("chain", made, tuple((i, i + 1) for i in range(MOST_OPERATORS - 2)), 4, 8, 2.0)


SPACES: dict[str, Callable[[], Space]] = {
    "opt": lambda: nmp_space(model_workload(), PLATFORM, MANY),
    "llama, batch 16": lambda: nmp_space(model_workload("llama3-8b", batch=16), PLATFORM, hardware()),
    "palm, batch 1": lambda: nmp_space(model_workload("palm-8b", batch=1), PLATFORM, hardware()),
    "heads freed": lambda: nmp_space(model_workload("llama3-8b", free_attention_cut=True), PLATFORM, hardware()),
    "specpim": lambda: nmp_space(model_workload(), PLATFORM, hardware((2, 6)), specpim=True),
    "no NMP": lambda: nmp_space(model_workload(), PLATFORM, hardware((0,))),
    "only NMP": lambda: nmp_space(model_workload(), PLATFORM, hardware((8,))),
    "two models": lambda: nmp_space(two_models(), PLATFORM, hardware()),
    "most operators": lambda: nmp_space(most_operators(), PLATFORM, hardware((2, 6))),
    "most channels": lambda: nmp_space(model_workload(), Platform(total_channels=64), hardware((1, 62))),
    **{name: lambda name=name: fixed(name) for name in FIXED_DATAFLOWS},  # type: ignore[misc]
}


@pytest.mark.parametrize("name", SPACES)
def test_contract(name: str) -> None:
    """Bounds, types, repeatability, round trips, keys, size, starts."""
    check_space(SPACES[name]())


@pytest.mark.parametrize("make", [two_models, most_operators])
def test_many_operators_keep_their_order(make: Callable[[], Workload]) -> None:
    """With more operators than strata have bits for: none before what it waits for, and all designs can be priced."""
    workload = make()
    space = nmp_space(workload, PLATFORM, hardware())
    rng = np.random.default_rng(3)
    batch = space.decode(space.vary(space.sample(500, rng), rng))
    group, part, stratum = (batch.columns[name] for name in ("group", "part", "stratum"))
    for a, b in workload.edges:
        assert (group[:, a] <= group[:, b]).all()
        together = (group[:, a] == group[:, b]) & (part[:, a] == part[:, b])
        assert (stratum[together, a] < stratum[together, b]).all()
        assert (together | (group[:, a] < group[:, b])).all()
    status = RooflineEvaluator(workload, PLATFORM).evaluate(batch, seed=0).status
    assert not (status == Status.FAILED).any() and (stratum.max() > 0)


@pytest.mark.parametrize("name", [name for name in SPACES if name not in FIXED_DATAFLOWS])
def test_any_genes_decode(name: str) -> None:
    """Decoding is total on the bounds, and stable under encoding."""
    space = SPACES[name]()

    @examples(25)
    @given(genomes(space.bounds, 4))
    def check(found: np.ndarray) -> None:
        check_genomes(space, found, len(found))

    check()


@examples(60)
@given(st.sampled_from(sorted(FIXED_DATAFLOWS)), st.sampled_from(MODELS), st.data())
def test_any_genes_decode_under_a_fixed_dataflow(name: str, model: str, data: st.DataObject) -> None:
    """The same for the fixed dataflows."""
    space = fixed(name, model)
    found = data.draw(genomes(space.bounds))
    check_genomes(space, found, len(found))


def test_starts_are_on_every_pair_of_hardware() -> None:
    """The simple designs of the NMP space cover every NMP channel count with every processor."""
    space = SPACES["opt"]()
    batch = space.decode(space.starts())
    pairs = set(zip(*(batch.columns[name].tolist() for name in ("nmp_channels", "fpus", "mhz")), strict=True))
    assert pairs == {(n, p.fpus, p.mhz) for n in MANY.nmp_channels for p in MANY.processors}


def test_children_and_samples_go_everywhere() -> None:
    """Every hardware choice is sampled, and children change each column somewhere."""
    space, rng = SPACES["opt"](), np.random.default_rng(0)
    parents = space.sample(2000, rng)
    for gene in range(5):
        assert len(np.unique(parents[:, gene])) == space.bounds[gene, 1] + 1
    before, after = space.decode(parents), space.decode(space.vary(parents, rng))
    for name in before.columns:
        assert (before.columns[name] != after.columns[name]).any(), name


def test_hardware_outside_the_space_cannot_be_encoded() -> None:
    """A candidate with another channel count or processor is refused, not mapped to something else."""
    space = SPACES["specpim"]()
    batch = SPACES["opt"]().decode(SPACES["opt"]().starts())
    with pytest.raises(ValueError, match="hardware is not among the choices"):
        space.encode(batch)


@pytest.mark.parametrize("count", [-1, 9])
@pytest.mark.parametrize("name", ["nmp", "2x_npu_only", "fc_offloading"])
def test_more_channels_than_there_are(name: str, count: int) -> None:
    """No platform of 8 channels has 9 NMP channels, or fewer than none."""
    with pytest.raises(InputError, match="--nmp-channel-num-space"):
        if name == "nmp":
            nmp_space(model_workload(), PLATFORM, hardware((count,)))
        else:
            FixedSpace(name, model_workload(), PLATFORM, hardware((count,)))


@pytest.mark.parametrize(
    ("name", "count"),
    [("fc_offloading", 0), ("attention_offloading", 0), ("attention_offloading_with_ffn_splitting", 8), ("specpim", 8)],
)
def test_undefined_dataflows_are_refused(name: str, count: int) -> None:
    """Nothing to offload to; or no normal channels for SpecPIM and for FFN splitting."""
    with pytest.raises(InputError, match="--nmp-channel-num-space"):
        if name == "specpim":
            nmp_space(model_workload(), PLATFORM, hardware((2, count)), specpim=True)
        else:
            FixedSpace(name, model_workload(), PLATFORM, hardware((2, count)))


def test_published_split_of_the_feed_forward_network() -> None:
    """R = int(6 25.6 / (12.8 2)) = 6: of OPT's 16384 columns ceil(N 6 / 7) on the NPU and ceil(N / 7) on NMP, one of
    them on both; attention on NMP; projections on the NPU, which reads from all channels."""
    space = FixedSpace("attention_offloading_with_ffn_splitting", model_workload(), PLATFORM, hardware((6,)))
    c = space.decode(space.starts()).columns
    row = int(np.flatnonzero(c["pe_gbps"] == 25.6)[0])
    names = [op.name for op in space.workload.operators]
    units = dict(zip(names, zip(c["nmp_units"][row].tolist(), c["npu_units"][row].tolist(), strict=True), strict=True))
    assert units["f1"] == (2341, 14044) and units["f2"] == (586, 3511)
    assert units["qk"] == units["sv"] == (4 * 32, 0) and units["q"] == units["o"] == (0, 4096)
    assert (c["channels"] == 0b111111).all()
    assert dict(zip(names, c["normal"][row].tolist(), strict=True)) == {n: n not in ("qk", "sv") for n in names}
