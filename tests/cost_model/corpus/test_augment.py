"""Rewriting: the same kernel to the front end, the same results when run, other words, and an ancestry."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cost_model.corpus.hls.augment import augmented, same_kernel
from cost_model.corpus.hls.rewrites import REWRITES, Rewritten
from cost_model.corpus.hls.rewrites.tokens import tokens_of
from design.contracts import Dataset
from design.errors import InputError
from design.hls.design import points_of
from design.hls.fingerprint import likeness, nest_likeness
from design.hls.nest_form import form_of, renamed_by
from design.hls.task import hls_task_of
from frontends.c_kernel import parse_kernel
from frontends.hls_results.tables import read_results
from tests.cases_hls import DOT, usual
from tests.cost_model.corpus.kernels import DATA, KERNELS, OWN, TWISTED


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Designs of the kernel `scale`."""
    return read_results(usual(tmp_path_factory.mktemp("data")), "v20", ["scale"])[0]


@pytest.mark.parametrize("name", KERNELS)
def test_tokens_are_the_text(name: str) -> None:
    """Nothing is lost, and lines are counted right."""
    tokens = tokens_of(KERNELS[name])
    assert "".join(token.text for token in tokens) == KERNELS[name]
    lines = KERNELS[name].split("\n")
    assert all(token.text.split("\n")[0] in lines[token.line - 1] for token in tokens)


@pytest.mark.parametrize("name", KERNELS)
def test_children_are_the_same_kernel(name: str) -> None:
    """Each rewrite alone: trips, operations, recurrences, accesses, directives, all up to names and to the order of
    statements that do not need each other. The nest's likeness survives too."""
    kernel = parse_kernel(KERNELS[name], name)
    for rewrite in REWRITES.values():
        for seed in range(1 if name not in OWN else 3):
            said = rewrite(kernel, np.random.default_rng(seed))
            child = parse_kernel(said.source, name)
            assert form_of(child, renamed_by(said.names, str)) == form_of(kernel, str)
            assert [(p.kind, p.loop) for p in child.parameters] == [(p.kind, p.loop) for p in kernel.parameters]
            assert nest_likeness(child) == nest_likeness(kernel)


def test_the_data_were_there() -> None:
    """Says so where the tests above had only our own kernels."""
    if not DATA.exists():
        pytest.skip(f"{DATA} is not there")
    assert len(KERNELS) >= 6 + 23


def child_of(source: str, way: str, count: int = 40) -> set[str]:
    """All texts, on one line each, that a rewrite made of a kernel with some seeds."""
    kernel = parse_kernel(source, "parent")
    found = (REWRITES[way](kernel, np.random.default_rng(seed)).source for seed in range(count))
    return {" ".join(text.split()) for text in found}


def made(texts: set[str], *parts: str) -> bool:
    """Whether each part is in some text."""
    return all(any(part in text for text in texts) for part in parts)


def test_order() -> None:
    """Neighbours are swapped where neither needs the other, and only there."""
    found = child_of(TWISTED, "order")
    assert not made(found, "c = 3.0; a = a + both->low[i] * b;")  # members of structures are left alone
    assert not made(found, "far[1] = 7; far[0] = by;")  # one array: not looked into
    assert made(found, "odd = by * 2 + i; far[1] = 7;", "b = c; // the last of b a = c; c = a;") is False
    assert made(found, "odd = by * 2 + i; far[1] = 7;", "b = c; a = c; // the last of b c = a;")
    for text in found:
        assert re.search(r"c = 3\.0; b = -c", text) and text.index("odd = by") < text.index("far[LAST]")
        assert "if (i * 2 > odd) c = a; else c = b;" in text and "int by = 0; #pragma" in text
    hidden = DOT.replace("sum += left[i] * right[i];", "volatile int v; v = 1; i = i; v = 2; sum = 3.0;")
    assert len(child_of(hidden, "order")) == 1


def test_order_follows_pointers() -> None:
    """What a pointer points to is touched by what is done through it, whatever the text says."""
    text = """
    #pragma ACCEL kernel
    void top(int data[4], int more[4]) {
      int here; int there;
      here = data[0];
      there = more[0];
      more[1] = here;
      data[2] = there;
    }"""
    found = child_of(text, "order")
    assert made(found, "there = more[0]; here = data[0];", "data[2] = there; more[1] = here;")
    alias = """
    static void two_of(int one[4], int two[4]) {
      int a; int b;
      a = 3;
      one[0] = a;
      b = two[0];
      two[2] = b;
    }
    #pragma ACCEL kernel
    void top(int data[4]) { for (int i = 0; i < 4; i++) two_of(data, data); }"""
    for apart, swaps in ((alias, False), (alias.replace("two_of(data, data)", "two_of(data, other)"), True)):
        text = apart.replace("int data[4])", "int data[4], int other[4])") if swaps else apart
        assert made(child_of(text, "order"), "b = two[0]; one[0] = a;") is swaps


def test_operands() -> None:
    """Whole operands of + and *, the first two of a row only."""
    found = child_of(TWISTED, "operands")
    assert not made(found, "b * both->low[i]") and made(found, "low[m - 1] + (b + a) * c")
    assert made(found, "odd + by * i", "i * by + odd;", "i + by * 2", "2 * by + i")
    for text in found:
        assert "(double)i * half(a, j)" in text and "b = -c + both" in text and "int *by, const int how" in text
    kernel = "void k(double a, double b, double c, double o[9]) { %s }"
    for before, after in {
        "o[0] = a * b * c;": {"o[0] = b * a * c;"},
        "o[0] = a + b + c;": {"o[0] = b + a + c;"},
        "o[0] = a - b + c;": set(),
        "o[0] = a / b * c;": set(),
        "o[0] = a - b * c;": {"o[0] = a - c * b;"},
        "o[0] = -a * b;": set(),
        "o[0] = -a + b;": set(),
        "o[0] = (float) a * b;": set(),
        "o[0] = (a - b) * c;": {"o[0] = c * (a - b);"},
        "o[0] = a * b + c;": {"o[0] = b * a + c;", "o[0] = c + a * b;"},
        "o[0] = a + b * c;": {"o[0] = b * c + a;", "o[0] = a + c * b;"},
        "o[0] = a * -b;": set(),
        "o[0] = o[1] * o[2 + 3];": {"o[0] = o[2 + 3] * o[1];", "o[0] = o[1] * o[3 + 2];"},
        "int i = 1; o[0] = i++ * 2 + a;": set(),
        "float *p; float q[3]; p = q;": set(),
    }.items():
        texts = {text.split("{ ", 1)[1].removesuffix(" }") for text in child_of(kernel % before, "operands")}
        assert texts - {before} == after, before


def test_loop_forms() -> None:
    """Heads of loops with whole bounds; not those over unsigned or unknown ones."""
    found = child_of(TWISTED, "loops")
    assert made(
        found, "i <= N - 1; i += 1)", "i < N; ++i)", "j < M; j++)", "k < M; k++)", "m > 0; --m", "m > 0; m -= 1"
    )
    assert all("(k = 0; k < M; " in text for text in found)
    kernel = "void k(int n, unsigned u, double o[99]) { int i; int t; for (i = 0; %s; i -= -1) o[i] = t; }"
    for before, after in {
        "i < 40": "i <= 39",
        "i <= 39": "i < 40",
        "i < 3 * 4": "i <= 3 * 4 - 1",
        "i <= 9 - 1": "i < 9",
        "i <= 9 - 2": "i < 9 - 2 + 1",
        "i < n": None,
        "i < u": None,
        "i < 9u": None,
        "i != 40": None,
        "i < t": None,
        "i < 5 && n": None,
    }.items():
        texts = {re.findall(r"; (i [^;]*);", text)[0] for text in child_of(kernel % before, "loops")}
        assert texts == {before, after} - {None}, before


def test_names() -> None:
    """All names of the file change and none of others; nothing of the old ones stays, in comments neither."""
    source = parse_kernel(TWISTED, "parent")
    said = REWRITES["names"](source, np.random.default_rng(5))
    words = set(re.findall(r"[A-Za-z_]\w*", said.source))
    outside = {"include", "math", "h", "define", "pragma", "ACCEL", "kernel", "PIPELINE", "PARALLEL", "FACTOR", "auto"}
    outside |= {"sqrt", "fabs", "int64_t", "x10", "reduction", "enum", "typedef", "struct", "static", "const", "void"}
    outside |= {"int", "double", "unsigned", "return", "for", "if", "else"}
    assert words - set(said.names) - outside == {p.name for p in parse_kernel(said.source, "child").parameters}
    assert outside <= words and not set(said.names) & set(said.names.values())
    assert set(said.names.values()) >= {"N", "LAST", "M", "low", "pair_type", "shift", "twisted", "outer", "top", "m"}
    assert said.source.count("\n") == TWISTED.count("\n")
    assert likeness(said.source) == likeness(TWISTED)
    pasted = DOT.replace("#pragma ACCEL kernel", "#define GLUE(a, b) a ## b\n#pragma ACCEL kernel")
    assert REWRITES["names"](parse_kernel(pasted, "pasted"), np.random.default_rng(0)) == Rewritten(pasted)


def test_another_kernel_is_no_child() -> None:
    """What the front end reads differently, or not at all, is found out."""
    kernel = parse_kernel(DOT, "dot")
    assert same_kernel(kernel, Rewritten(DOT.replace("sum", "t"), {"t": "sum"})) is not None
    for old, new in (
        ("sum", "t"),
        ("256; i++", "255; i++"),
        ("+=", "-="),
        ("left[i] *", "left[i] +"),
        ("left[i] *", "left[0] *"),
        ("PIPELINE", "TILE FACTOR="),
        ("double right", "float right"),
        ("}", ""),
    ):
        if old == "+=":
            continue  # a subtraction costs what an addition does
        assert same_kernel(kernel, Rewritten(DOT.replace(old, new))) is None, new


def test_records(record: Dataset) -> None:
    """Labels, family and fidelity stay; designs are the same under other names; ancestry is told."""
    child = augmented(record, 4)
    task, own = hls_task_of(record), hls_task_of(child)
    assert own.digest != task.digest and own.likenesses != task.likenesses
    assert own.family == task.family and own.name == f"scale-{own.digest[:8]}"
    assert child.provenance.ancestors == task.fingerprints and child.fidelity == record.fidelity
    assert child.provenance.where == record.provenance.where
    np.testing.assert_array_equal(child.metric("cycles"), record.metric("cycles"))
    np.testing.assert_array_equal(child.feasible, record.feasible)
    mine, others = (points_of(hls_task_of(one).kernel, one.batch) for one in (record, child))
    assert [list(point.values()) for point in mine] == [list(point.values()) for point in others]
    assert not set(mine[0]) & set(others[0])
    again, other = augmented(record, 4), augmented(record, 5)
    assert again.task.digest == own.digest != other.task.digest
    grandchild = augmented(replace(child, fidelity="estimate"), 1, ("names",))
    assert set(grandchild.provenance.ancestors) == {*own.fingerprints, *task.fingerprints}
    assert grandchild.fidelity == "estimate"
    with pytest.raises(InputError, match="'noise'; expected some of order, operands, loops, names"):
        augmented(record, 0, ("names", "noise"))


@pytest.mark.parametrize("ways", [("names",), ("loops", "operands"), ()])
def test_only_the_ways_asked_for(record: Dataset, ways: Sequence[str]) -> None:
    """The kernel's names stay unless they are to change, and so does the rest."""
    children = [hls_task_of(augmented(record, seed, ways)).kernel for seed in range(8)]
    assert {child.name != "scale" for child in children} == {"names" in ways}
    bare = {re.sub(r"[A-Za-z]\w*", "", child.source) for child in children}
    assert (len(bare) > 1) == ("loops" in ways)
