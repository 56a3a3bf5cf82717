"""The settings of a run: names, defaults and meaning of every option, and the strict way from text to values.

The command line and the YAML file share them. Light on imports: `--help` needs nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from design.errors import InputError
from dse.studies.kinds import STUDIES

MODEL_FOLDERS = {"opt": "config/opt-6.7b", "llama": "config/llama3-8b", "palm": "config/palm-8b"}
BUFFERS = "4,8,16,32,64,128"
PROCESSORS = (
    "(8,400,6.4),(8,600,6.4),(8,800,6.4),(8,1000,6.4),(8,400,12.8),(8,600,12.8),(8,800,12.8),(4,1000,12.8),"
    "(8,400,25.6),(8,600,25.6),(4,800,25.6),(4,1000,25.6),(8,400,51.2),(4,600,51.2),(4,800,51.2),(2,1000,51.2)"
)
DATAFLOWS = (
    "no",
    "specpim",
    "npu_only",
    "2x_npu_only",
    "fc_offloading",
    "attention_offloading",
    "attention_offloading_with_ffn_splitting",
)

Parser = Callable[[str, str], Any]


@dataclass(frozen=True)
class Option:
    """One setting: its default as text (None: worked out from others), how it is read, what it means."""

    name: str
    default: str | None
    parse: Parser
    help: str

    @property
    def flag(self) -> str:
        """As on the command line."""
        return "--" + self.name


def whole(low: int, high: int) -> Parser:
    """Reads a whole number within bounds."""

    def parse(where: str, text: str) -> int:
        if not re.fullmatch(r"[+-]?\d{1,18}", text.strip()):
            raise InputError(where, f"'{text[:40]}' is not a whole number", f"{low} to {high}")
        value = int(text)
        if not low <= value <= high:
            raise InputError(where, f"{value} is out of range", f"{low} to {high}")
        return value

    return parse


def real(low: float, high: float) -> Parser:
    """Reads a number within bounds."""

    def parse(where: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise InputError(where, f"'{text[:40]}' is not a number", f"{low:g} to {high:g}") from None
        if not low <= value <= high:
            raise InputError(where, f"{text[:40]} is out of range", f"{low:g} to {high:g}")
        return value

    return parse


def maybe(parser: Parser) -> Parser:
    """Reads what `parser` reads, or nothing."""
    return lambda where, text: None if text == "" else parser(where, text)


def choice(*names: str) -> Parser:
    """Reads one of the names."""

    def parse(where: str, text: str) -> str:
        if text not in names:
            raise InputError(where, f"'{text[:60]}' is unknown", f"one of {', '.join(names)}")
        return text

    return parse


def space(where: str, text: str) -> str:
    """Reads the name of a kind of study."""
    return choice(*STUDIES)(where, text)


def listing(parser: Parser) -> Parser:
    """Reads a comma-separated list without repetitions."""

    def parse(where: str, text: str) -> tuple[Any, ...]:
        values = tuple(parser(where, part.strip()) for part in text.split(","))
        if len(set(values)) < len(values):
            raise InputError(where, f"'{text[:60]}' repeats a value", "each value once")
        return values

    return parse


def processors(where: str, text: str) -> tuple[tuple[int, float, float], ...]:
    """Reads '(FPUs, MHz, GB/s),(...)'."""
    expected = "tuples (FPUs a PE, MHz, PE bandwidth in GB/s), such as (8,600,25.6),(4,800,25.6)"
    compact = re.sub(r"\s", "", text)
    if not re.fullmatch(r"\([^()]*\)(,\([^()]*\))*", compact):
        raise InputError(where, f"'{text[:60]}' is not a list of tuples", expected)
    found = []
    for inside in re.findall(r"\(([^()]*)\)", compact):
        parts = inside.split(",")
        if len(parts) != 3:
            raise InputError(where, f"({inside[:40]}) has {len(parts)} values", expected)
        found.append(
            (whole(1, 2**20)(where, parts[0]), real(1e-3, 1e6)(where, parts[1]), real(1e-3, 1e6)(where, parts[2]))
        )
    if len(set(found)) < len(found):
        raise InputError(where, f"'{text[:60]}' repeats a tuple", "each tuple once")
    return tuple(found)


def yes_no(where: str, text: str) -> bool:
    """Reads true or false."""
    if text.lower() not in ("true", "false"):
        raise InputError(where, f"'{text[:40]}'", "true or false")
    return text.lower() == "true"


def plain(where: str, text: str) -> str:
    """Reads any text but an empty one."""
    if not text.strip() or "\0" in text:
        raise InputError(where, "is empty", "a value")
    return text


OPTIONS = (
    Option(
        "execution-type",
        "dse",
        choice("parse", "dse", "train", "evaluate", "predict", "export", "report", "compare"),
        "dse explores; parse makes the operator graph of a model; train makes a learned model; evaluate scores an "
        "evaluator on results of real tools; predict asks a model about one design (--set); export writes the tables "
        "of a run again, report its report; compare A B draws two runs in one picture",
    ),
    Option(
        "space",
        "nmp",
        space,
        "what is explored: nmp, near-memory devices and dataflows for an LLM layer; hls, loop directives of a C kernel",
    ),
    Option("kernel", "", maybe(plain), "C file with loop directives, #pragma ACCEL or HLS (--space hls)"),
    Option("tool-version", "v20", choice("v18", "v20"), "HLS tool: v18 is SDx 2018.3, v20 Vitis 2020.2 (hls)"),
    Option(
        "truth",
        "none",
        choice("none", "recorded", "command"),
        "what front designs are checked against (hls): results recorded in --data, a tool called by --truth-cmd",
    ),
    Option("data", "", maybe(plain), "results of HLS tools: folder or .tar.gz with sources/ and designs/TOOL/"),
    Option("truth-cmd", "", maybe(plain), "the tool: reads a design as JSON, answers in JSON (docs/truth.md)"),
    Option("truth-checks", "10", whole(0, 10**6), "front designs that are checked at most"),
    Option("truth-time-limit", "3600", real(1e-3, 1e9), "seconds that a call of the tool may take"),
    Option("truth-retries", "1", whole(0, 100), "further tries where the tool fails"),
    Option("truth-repeat", "1", whole(1, 100), "times that a design is run; it is FAILED where the answers differ"),
    Option("kernels", "", maybe(listing(plain)), "kernels of --data to score on (evaluate; default: those held out)"),
    Option("labels", "0,20", listing(whole(0, 10**6)), "known results of the kernel to score with (evaluate)"),
    Option(
        "label-choice", "random", choice("random", "asked"), "which those are: drawn, or what the evaluator asks for"
    ),
    Option(
        "recipe",
        "config/lm/tiny.json",
        plain,
        "how a model is made, and which: lm or transformer-h (train)",
    ),
    Option(
        "checkpoint",
        "",
        maybe(plain),
        "trained model (predict; --evaluator lm, transformer-h, cascade; default: shipped); none: a cascade of the "
        "estimate alone",
    ),
    Option(
        "base-model",
        "",
        maybe(plain),
        "folder of a causal language model in the Hugging Face layout that the trained model changes (train, predict, "
        "--evaluator lm; for a recipe with backbone 'base')",
    ),
    Option("set", "", maybe(listing(plain)), "the design as PARAMETER=VALUE,.. (predict); the rest is off, or 1"),
    Option("augmentation", "", maybe(listing(plain)), "files of bought labels to learn from as well (train)"),
    Option("train-data", "", maybe(plain), "results that the baselines learn from (evaluate; default: --data)"),
    Option("model-type", None, choice(*MODEL_FOLDERS), "kind of layer: opt, llama or palm (default: opt)"),
    Option(
        "model-shape",
        None,
        plain,
        "the model: a shape.json, the config.json of a Hugging Face model, or a folder with either (default: "
        "config/opt-6.7b/shape.json, or that of --model-type)",
    ),
    Option("onnx", "", maybe(plain), "the model: a decoder layer, or any graph of GEMMs, in ONNX"),
    Option("layer-num", "1", whole(1, 1000), "how many such layers the model has (--onnx)"),
    Option(
        "axes",
        "",
        maybe(listing(plain)),
        "dynamic axes of --onnx as NAME=batch|tokens|context|past|NUMBER, where names do not tell",
    ),
    Option(
        "parser-output-dir",
        None,
        plain,
        "folder of operator_graph.json (default: config/opt-6.7b, or where --model-shape is); of parse: where it is "
        "written (default: parsed/NAME)",
    ),
    Option("exporter", "dynamo", choice("dynamo", "torchscript"), "of torch, for parse with --model-type"),
    Option("overwrite", "false", yes_no, "let parse replace another model in its folder"),
    Option("output-head", "false", yes_no, "count the output head and the embedding of a Hugging Face model"),
    Option(
        "latent-attention",
        "absorbed",
        choice("absorbed", "expanded"),
        "of a Hugging Face model: absorbed decodes on the latent cache, expanded caches keys and values of all heads",
    ),
    Option(
        "expert-load",
        "expected",
        choice("expected", "worst"),
        "experts of a mixture that a call wakes: expected, the mean when each token chooses at random; worst, as many "
        "as its tokens can reach",
    ),
    Option("prefill-chunk", "", maybe(whole(1, 2**24)), "prefill so many tokens of each sequence at a time"),
    Option(
        "speculative",
        "",
        maybe(plain),
        "draft model for speculative decoding: shape.json, config.json or opt, llama, palm",
    ),
    Option("draft-len", "4", whole(1, 1024), "tokens that the draft proposes a round"),
    Option("accept-rate", "0.8", real(0.0, 1.0), "probability that a proposed token is accepted"),
    Option("max-batch-size", "16", whole(1, 2**20), "sequences at once"),
    Option("input-seq-len", "1024", whole(1, 2**24), "prompt tokens"),
    Option("max-gen-len", "128", whole(1, 2**24), "tokens to generate"),
    Option("max-seq-len", "2048", whole(1, 2**24), "longest context of the model; sizes the key-value cache"),
    Option(
        "sweep",
        "",
        maybe(plain),
        "explore several uses, OPTION=VALUE,..;OPTION=.., such as input-seq-len=256,1024;max-batch-size=1,4,16, and "
        "draw how the best design moves",
    ),
    Option("precision", "fp16", choice("fp16", "int8", "int4"), "of weights and activations"),
    Option("total-channel-num", "8", whole(1, 4096), "normal and NMP channels together"),
    Option("bank-num-per-channel", "16", whole(1, 4096), "banks, and PEs, of a channel"),
    Option("bank-memory-capacity", "256", whole(1, 2**24), "of a bank, in MB"),
    Option("fpu-simd-width", "16", whole(1, 2**16), "multiply-accumulates of an FPU a cycle"),
    Option("nmp-channel-num-space", "2,4,6,8", listing(whole(0, 4096)), "choices of NMP channels"),
    Option("fpu-pe-bw-space", PROCESSORS, processors, "choices of (FPUs a PE, MHz, PE bandwidth in GB/s)"),
    Option("input-buffer-size-space", BUFFERS, listing(whole(1, 2**30)), "choices of the input buffer, KB"),
    Option("weight-buffer-size-space", BUFFERS, listing(whole(1, 2**30)), "choices of a PE's weight buffer, KB"),
    Option("output-buffer-total-size-space", BUFFERS, listing(whole(1, 2**30)), "choices of the output buffer, KB"),
    Option("is-device-fixed", "false", yes_no, "insist that every choice of hardware has one element"),
    Option("dse-output-dir", "./kick_the_tires/", plain, "directory of the run"),
    Option("process-num", "1", whole(1, 4096), "worker processes, for evaluators that are worth it"),
    Option("ray-address", "", maybe(plain), "Ray cluster whose workers to use, such as 10.0.0.1:6379 or auto"),
    Option("seed", "114514", whole(0, 2**63 - 1), "of all random choices: same seed, same answer"),
    Option("population-num-per-generation", "100", whole(1, 10**6), "designs evaluated a generation"),
    Option("num-generations", None, whole(1, 10**7), "generations, the first one included (default: 10, of hls 100)"),
    Option("mutate-ratio", "1.0", real(0.0, 1.0), "share of a generation that varies parents; the rest is fresh"),
    Option("topk", "50", whole(2, 10**6), "designs kept as parents"),
    Option("is-dataflow-fixed", "no", choice(*DATAFLOWS), "no explores dataflows; specpim restricts; others fix"),
    Option(
        "evaluator",
        "auto",
        choice(
            *("auto", "roofline", "buffered", "estimate", "lm", "cascade", "transformer-h", "truth"),
            *("extra-trees", "gaussian-process"),
        ),
        "what says the cost of a design; auto: of nmp roofline for one objective that it knows, else buffered; of hls "
        "estimate, analytic and of low fidelity; lm: a numeric language model; cascade: lm where it is sure, else "
        "estimate, and --budget runs of --truth that it asks for and learns from; transformer-h: a regressor "
        "(evaluate); truth: --truth itself",
    ),
    Option("budget", "60", whole(0, 10**6), "designs that --truth is run on (--evaluator cascade)"),
    Option("recalibrate-every", "5", whole(1, 10**6), "labels between two versions of the model (--evaluator cascade)"),
    Option(
        "least-gain",
        "0",
        real(0.0, 1.0),
        "stop buying where no design is expected to add this share of the hypervolume (--evaluator cascade)",
    ),
    Option("technology", "config/technology/hybrid-bonding.json", plain, "energy and area constants"),
    Option(
        "objectives",
        None,
        plain,
        "metrics to improve, comma-separated, min:METRIC or max:METRIC (default: latency_s, of hls cycles,utilisation)",
    ),
    Option(
        "algorithm",
        "auto",
        plain,
        "auto, ga, nsga2, nsga3, unsga3, sms-emoa, age-moea, age-moea2, spea2, random, or exact: the least latency, "
        "proven",
    ),
    Option(
        "report",
        "full",
        choice("full", "brief", "none"),
        "full also bounds the optimum (of one device), re-optimises each step of the hardware and redraws the front "
        "at the ends of the constants; none writes no report.html and no pictures",
    ),
    Option("resume", "false", yes_no, "go on with the run in the directory; begin one where there is none"),
    Option("time-limit", "", maybe(real(0.0, 1e9)), "stop after so many seconds"),
    Option("row-time-limit", "60", real(1e-3, 1e9), "seconds that the evaluation of a design may take"),
    Option("max-failures", "100", whole(1, 10**9), "stop after so many failed designs in a row"),
    Option("quiet", "false", yes_no, "show nothing but errors"),
    Option("free-attention-cut", "false", yes_no, "let attention be cut inside key-value heads"),
    Option(
        "npu-model",
        "",
        maybe(plain),
        "operator model of the NPU: roofline, metered or a Python file that sets MODEL (default: the evaluator's own)",
    ),
    Option("nmp-model", "", maybe(plain), "of NMP channels: roofline, buffered or such a file (the same default)"),
    Option("export", "", maybe(listing(choice("csv", "json", "parquet"))), "write all candidates as csv,json,parquet"),
)
OF_HLS = ("train", "evaluate", "predict")  # of loop directives unless --space says otherwise
BY_NAME = {option.name: option for option in OPTIONS}
# What may change from sitting to sitting of a run: none of it decides what is found, but how far the run goes.
PER_SITTING = (
    "dse-output-dir",
    "process-num",
    "ray-address",
    "num-generations",
    "report",
    "resume",
    "time-limit",
    "row-time-limit",
    "max-failures",
    "quiet",
    "export",
    "truth-checks",
    "budget",
    "truth-time-limit",
    "truth-retries",
)


@dataclass(frozen=True)
class Settings:
    """Values by option name. `text` repeats the run from its begin: what was given and the defaults, but for empty
    ones."""

    values: Mapping[str, Any]
    text: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


def read_settings(given: Mapping[str, tuple[str, str]]) -> Settings:
    """Settings from name -> (where it was said, text). Raises InputError for the first that cannot be used.

    A model named by one of type, shape and graph folder settles the other two.
    """
    kind = given["execution-type"][1] if "execution-type" in given else BY_NAME["execution-type"].default
    space = given["space"][1] if "space" in given else ("hls" if kind in OF_HLS else BY_NAME["space"].default)
    text = {option.name: option.default or "" for option in OPTIONS}
    text |= STUDIES[space].defaults if space in STUDIES else {}
    text |= {"space": space or ""} | {name: said for name, (_, said) in given.items()}
    where = {option.name: option.flag for option in OPTIONS} | {k: v for k, (v, _) in given.items()}
    if "model-shape" not in given:
        kind = BY_NAME["model-type"].parse(where["model-type"], text["model-type"] or "opt")
        text["model-shape"] = f"{MODEL_FOLDERS[kind]}/shape.json"
    parsing = text["execution-type"] == "parse"
    if "parser-output-dir" not in given and not parsing:
        shape = Path(text["model-shape"])
        text["parser-output-dir"] = str(shape if shape.is_dir() else shape.parent)
    values: dict[str, Any] = {}
    for option in OPTIONS:
        unset = option.name == "model-type" or (option.name == "parser-output-dir" and parsing)
        if unset and not text[option.name] and option.name not in given:
            values[option.name] = None
            continue
        values[option.name] = option.parse(where[option.name], text[option.name])
    if values["is-device-fixed"]:
        for name in [option.name for option in OPTIONS if option.name.endswith("-space")]:
            if len(values[name]) > 1:
                found = f"has {len(values[name])} choices, and --is-device-fixed is set"
                raise InputError(where[name], found, "one choice")
    return Settings(values, {name: said for name, said in text.items() if said and name != "resume"})
