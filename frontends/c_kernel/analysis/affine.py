"""Arithmetic on affine forms of loop counters."""

from __future__ import annotations

from collections.abc import Callable

from design.hls.loop_nest import Affine

ZERO = Affine(0)


def counter(loop: int, start: Affine = ZERO, step: int = 1) -> Affine:
    """start + step x the counter of a loop."""
    return add(start, Affine(0, ((loop, step),) if step else ()))


def add(one: Affine, two: Affine, times: int = 1) -> Affine:
    """one + times x two."""
    terms = dict(one.terms)
    for loop, coefficient in two.terms:
        terms[loop] = terms.get(loop, 0) + times * coefficient
    return Affine(one.constant + times * two.constant, tuple(sorted((n, c) for n, c in terms.items() if c)))


def scale(one: Affine, times: int) -> Affine:
    """times x one."""
    return add(ZERO, one, times)


def multiply(one: Affine, two: Affine) -> Affine | None:
    """The product where it is affine."""
    if not one.terms:
        return scale(two, one.constant)
    return scale(one, two.constant) if not two.terms else None


def divide(one: Affine, two: Affine) -> Affine | None:
    """The quotient where it is whole for all counters, or of two constants (towards zero, as in C)."""
    if two.terms or not two.constant:
        return None
    by = two.constant
    if not one.terms:
        return Affine(abs(one.constant) // abs(by) * (1 if (one.constant < 0) == (by < 0) else -1))
    if one.constant % by or any(c % by for _, c in one.terms):
        return None
    return Affine(one.constant // by, tuple((n, c // by) for n, c in one.terms))


def of_constants(one: Affine, two: Affine, rule: Callable[[int, int], int]) -> Affine | None:
    """rule(one, two) where both are constants."""
    return None if one.terms or two.terms else Affine(rule(one.constant, two.constant))
