"""Copies are known under other names, spellings and forms; other kernels are not taken for copies."""

from __future__ import annotations

import pytest

from design.hls.fingerprint import likeness, likenesses, nest_likeness
from frontends.c_kernel import parse_kernel
from tests.cases_hls import DOT, scale_source


def test_by_text() -> None:
    """Names, comments and white space do not matter; numbers, operators and their order do."""
    text = "a = b + 3; // c\n"
    assert likeness(text) == likeness("x=y /* z */ +3;") != likeness("x = y + 4;")
    assert likeness(text) != likeness("a = b - 3;") and likeness(text) != likeness("a = a + 3;")


@pytest.mark.parametrize(
    ("one", "other"),
    [("16", "0x10"), ("16", "020"), ("16", "16L"), ("3.0", "3.00"), ("3.0", "3."), ("0.5", ".5f"), ("1e3", "1000.0")],
)
def test_spelling_of_numbers(one: str, other: str) -> None:
    """Does not matter; a whole number is not a fraction."""
    assert likeness(f"a = {one};") == likeness(f"b = {other};") != likeness("b = 17;")
    assert likeness("a = 3;") != likeness("a = 3.0;")


def test_pragmas_do_not_count() -> None:
    """Wherever they are, and over several lines."""
    text = "#pragma ACCEL TILE \\\n FACTOR=2\nfor (;;) a = b;\n"
    moved = "for (;;)\n  # pragma ACCEL PIPELINE\n x = y;"
    assert likeness(text) == likeness(moved) == likeness("for(;;)a=b;") != likeness("for(;;)a=a;")
    assert likeness("#define N 3\na = N;") != likeness("#define N 4\na = N;")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("i++", "i += 1"),
        ("i < 256", "i <= 255"),
        ("left[i] * right[i]", "right[i] * left[i]"),
        ("  int i;\n  double sum = 0.0;", "  double sum = 0.0;\n  int i;"),
        ("  int i;\n", "  int i, unused;\n"),
        ("for (i = 0", "for (int i = 0"),
        ("#pragma ACCEL kernel\n", "#define SIZE 256\n#pragma ACCEL kernel\n"),
        ("sum += left", "sum = sum + left"),
        ("left", "wrong"),
        ("{PARA}", "{OTHER}"),
    ],
)
def test_by_nest(old: str, new: str) -> None:
    """What the text hides the loops show."""
    assert old in DOT
    assert nest_likeness(parse_kernel(DOT, "dot")) == nest_likeness(parse_kernel(DOT.replace(old, new), "copy"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("i < 256", "i < 255"),
        ("left[i] * right[i]", "left[i] + right[i]"),
        ("left[i] * right[i]", "left[i] * right[255 - i]"),
        ("left[i] * right[i]", "left[i] * left[i]"),
        ("double right", "float right"),
        ("sum += left", "sum = left"),
    ],
)
def test_other_kernels_are_others(old: str, new: str) -> None:
    """By the text and by the loops."""
    assert old in DOT
    mine, others = likenesses(parse_kernel(DOT, "dot")), likenesses(parse_kernel(DOT.replace(old, new), "other"))
    assert mine[1] != others[1] and (mine[0] != others[0] or "float" in new)  # to the text all words are names


def test_families_of_the_tests_are_apart() -> None:
    """Sizes and kernels differ in both."""
    found = [likenesses(parse_kernel(text, "k")) for text in (DOT, scale_source(), scale_source(512))]
    assert len({mark for pair in found for mark in pair}) == 6
