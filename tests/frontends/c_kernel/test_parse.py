"""Small kernels whose statements, operations, directives and recurrences are known by hand."""

from __future__ import annotations

import pytest

from design.hls.loop_nest import PARALLEL, PIPELINE, TILE, UNKNOWN, Affine
from frontends.c_kernel import parse_kernel

ARGUMENTS = "double d[64], float s[64], int n[64], unsigned char b[64], long w[64], int m, double x"


def kernel(body: str, before: str = ""):  # type: ignore[no-untyped-def]
    """A kernel of a loop i over 64 around a body."""
    return parse_kernel(f"{before}\nvoid f({ARGUMENTS}) {{ int t; for (int i = 0; i < 64; i++) {{ {body} }} }}", "own")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("d[i] = d[i] * x + 1.0;", {"mul.f64": 1, "add.f64": 1}),
        ("s[i] = s[i] * 2.0f;", {"mul.f32": 1}),
        ("s[i] = s[i] * 2.0;", {"mul.f64": 1, "cast.f64": 1, "cast.f32": 1}),
        ("d[i] = n[i];", {"cast.f64": 1}),
        ("n[i] = b[i] * b[i];", {"mul.i32": 1}),
        ("w[i] = w[i] % n[i];", {"mod.i64": 1}),
        ("n[i] = n[i] * 8;", {"shift.i32": 1}),
        ("n[i] = n[i] * 24;", {"mul.i32": 1}),
        ("n[i] = n[2 * i - 3 + m * 4];", {}),  # addresses are not counted
        ("n[i] = i * 3 + 1;", {}),  # nor what a counter steps through
        ("b[i] ^= n[i] & 15;", {"logic.i32": 2}),
        ("d[i] = 2.0 * 3.0 / 4.0;", {}),  # worked out beforehand
        ("d[i] = -d[i];", {"logic.f64": 1}),
        ("d[i] = sqrt(d[i]) + pow(x, d[i]) + exp(x);", {"sqrt.f64": 1, "pow.f64": 1, "call.f64": 1, "add.f64": 2}),
        ("s[i] = sqrtf(s[i]);", {"sqrt.f32": 1}),
        ("d[i] = d[i] > x ? d[i] : x;", {"compare.f64": 1, "select.f64": 1}),
        ("if (n[i] > m) d[i] = 1.0;", {"compare.i32": 1}),
        ("n[i] = n[i] / 3, n[i] += 1;", {"div.i32": 1, "add.i32": 1}),
    ],
)
def test_operations(body: str, expected: dict[str, int]) -> None:
    """Types are promoted as in C; what is an address, a counter or a constant costs nothing."""
    found: dict[str, int] = {}
    for statement in kernel(body).statements:
        for name, count in statement.operations.items():
            found[name] = found.get(name, 0) + count
    assert found == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("d[0] += d[i + 1];", [("d", 1, ("add.f64",), True)]),
        ("d[9] += d[i];", [("d", 1, ("add.f64",), False)]),  # element 9 is added too
        ("x += d[i];", [("x", 1, ("add.f64",), True)]),
        ("x += d[i]; s[i] = x;", [("x", 1, ("add.f64",), False)]),  # a running sum is looked at
        ("x = d[i] - x;", [("x", 1, ("add.f64",), False)]),
        ("x = x > d[i] ? x : d[i];", [("x", 1, ("compare.f64", "select.f64"), True)]),
        ("if (d[i] > x) x = d[i];", [("x", 1, ("compare.f64", "select.f64"), True)]),
        ("if (n[i] > 0) x += d[i];", [("x", 1, ("add.f64", "select.f64"), True)]),
        ("x = x * 0.5 + d[i];", [("x", 1, ("mul.f64", "add.f64"), False)]),
        ("x = d[i]; d[i] = x * 2.0;", []),  # private to the iteration
        ("if (i >= 4) d[i] = d[i - 4] * x;", [("d", 4, ("mul.f64",), False)]),
        ("d[i] = d[63 - i];", [("d", 1, (), False)]),
        ("d[2 * i] = d[2 * i + 1];", []),
        ("n[b[i]] += 1;", [("n", None, ("add.i32",), True)]),
        ("n[b[i]] = n[b[63 - i]] + 1;", [("n", None, ("add.i32",), False)]),
        ("double t1 = d[i] * x; double t2 = t1 + 1.0; d[i + 1] = t2;", [("d", 1, ("mul.f64", "add.f64"), False)]),
    ],
)
def test_recurrences(body: str, expected: list[tuple[str, int | None, tuple[str, ...], bool]]) -> None:
    """Variable, distance, chain and whether it is a reduction, of what iterations hand on."""
    found = kernel(body).recurrences
    assert [(r.variable, r.distance, r.chain, r.reduction) for r in found if r.cycle] == expected


def test_a_value_that_is_used_but_not_handed_on() -> None:
    """It orders iterations but closes no cycle."""
    (found,) = kernel("s[i] = d[i]; n[i] = s[i - 1];").recurrences
    assert (found.variable, found.distance, found.cycle) == ("s", 1, False)


def test_two_that_wait_for_each_other() -> None:
    """A cycle through two arrays takes two iterations."""
    found = kernel("d[i + 1] = s[i] * 2.0; s[i + 1] = d[i] + 1.0;").recurrences
    chain = ("cast.f64", "mul.f64", "add.f64", "cast.f32")
    assert {(r.distance, tuple(sorted(r.chain)), r.cycle) for r in found} == {(2, tuple(sorted(chain)), True)}


DIRECTED = """
#pragma ACCEL kernel
void f(double a[8][8], int n) {
#pragma accel pipeline auto{ P }
#pragma ACCEL TILE factor = auto{T}
  outer:
#pragma ACCEL parallel reduction = a FACTOR=4
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < n; j++) {
#pragma HLS LOOP_TRIPCOUNT min=2 max=6
#pragma HLS UNROLL factor=auto{U}
#pragma HLS pipeline II=2 off
#pragma unrelated words
      a[i][j] += 1;
    }
  }
}
static int g(void) { return 1; }
"""


def test_directives() -> None:
    """Both spellings, any case and spacing, labels between."""
    outer, inner = parse_kernel(DIRECTED, "own").loops
    assert outer.label == "outer"
    assert {k: (d.parameter, d.value, d.reduction) for k, d in outer.directives.items()} == {
        PIPELINE: ("P", None, None),
        TILE: ("T", None, None),
        PARALLEL: (None, 4, "a"),
    }
    assert {k: (d.parameter, d.value) for k, d in inner.directives.items()} == {
        PIPELINE: (None, "off"),
        PARALLEL: ("U", None),
    }
    assert (inner.trip.kind, inner.trip.least, inner.trip.most, inner.trip.mean) == (UNKNOWN, 2, 6, 4.0)
    assert [p.name for p in parse_kernel(DIRECTED, "own").parameters] == ["P", "T", "U"]


STRUCTS = """
typedef struct { int key[32]; int count; } box;
static void bump(int *p, int *total) { for (int i = 0; i < 4; i++) { p[i] += 1; *total += p[i]; } }
void f(box *c) { int total = 0; bump(&c->key[16], &total); bump(c->key, &total); c->count = total; }
"""


def test_calls_structs_and_pointers() -> None:
    """Members are arrays of their own, calls are inlined with what their arguments point to."""
    found = parse_kernel(STRUCTS, "own")
    assert set(found.arrays) == {"c.key"} and found.arrays["c.key"].shape == (32,)
    stores = [a for s in found.statements for a in s.accesses if a.write]
    assert [a.index for a in stores] == [(Affine(16, ((0, 1),)),), (Affine(0, ((1, 1),)),)]
    assert [(r.loop, r.variable) for r in found.recurrences if r.variable == "total"] == [(0, "total"), (1, "total")]
    assert found.statements[-1].writes == ("c.count",)


@pytest.mark.parametrize(
    ("head", "trips"),
    [
        ("int i = 9; while (i--) n[i] = 1;", 9),
        ("int i = 9; while (--i) n[i] = 1;", 8),
        ("int i = 9; while (i-- > 0) n[i] = 1;", 9),
        ("int i; for (i = 8; --i;) n[i] = 1;", 7),
        ("int i = 3; while (i < 9) { n[i] = 1; i += 2; }", 3),
        ("for (int i = 0; i != 12; i += 3) n[i] = 1;", 4),
        ("for (long i = (long)20; 5 <= i; i -= 4) n[i] = 1;", 4),
        ("for (int i = 0, j = 5; i < 6; i++, j--) n[j] = 1;", 6),
        ("for (int i = 7; i < 3; i++) n[i] = 1;", 0),
    ],
)
def test_trips(head: str, trips: int) -> None:
    """Ways to write a loop; its index is affine in the counter."""
    found = parse_kernel(f"void f(int n[64]) {{ {head} }}", "own")
    (loop,) = found.loops
    assert (loop.trip.kind, loop.trip.most) == ("constant", trips)
    assert all(None not in a.index for s in found.statements for a in s.accesses)


@pytest.mark.parametrize(("body", "most"), [("if (n[i]) break;", 64), ("if (n[i]) return;", 64), ("i += n[i];", 1024)])
def test_loops_that_data_end_are_unknown(body: str, most: int) -> None:
    """They have no least number of trips; the most is that of the head, or a guess where the body moves the counter."""
    (loop,) = kernel(f"d[i] = 1.0; {body}").loops
    assert (loop.trip.kind, loop.trip.least, loop.trip.most) == (UNKNOWN, 0, most)
