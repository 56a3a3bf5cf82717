"""Files of bought labels: what is written is read, and what is none is refused in one line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_model.corpus.hls.acquired import BoughtLabel, augmentation_text, read_augmentation
from design.contracts import Dataset
from design.errors import InputError
from design.hls.design import TARGETS, batch_of, hls_schema, points_of
from design.hls.task import hls_task_of
from design.loader import LARGEST_FILE
from design.metrics import RESOURCES
from tests.cases import examples
from tests.cases_hls import entry, scale_source
from tests.cost_model.corpus.acquired_cases import changed, kernel_of, label_of, labels_of, written

GOLDEN = Path(__file__).parent / "golden" / "augmentation.json"
KERNEL = kernel_of()
NUMBERS = st.one_of(st.just(float("nan")), st.floats(0, 1e15), st.integers(0, 10**9).map(float))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
POINTS = st.fixed_dictionaries(
    {
        "P0": st.sampled_from(["off", "", "flatten"]),
        "T0": st.integers(1, 2**31 - 1),
        "U0": st.integers(1, 64),
        "U1": st.integers(1, 8),
    }
)


@st.composite
def label(draw: st.DrawFn) -> BoughtLabel:
    """Any label of the kernel `scale`, by v20."""
    counts = {name: draw(NUMBERS) for name in RESOURCES}
    design = label_of(KERNEL, entry(draw(POINTS), 1.0), "v20")
    return replace(
        design,
        cycles=draw(NUMBERS.filter(lambda value: value != 0)),
        counts=counts,
        shares={name: draw(NUMBERS) for name in RESOURCES},
        valid=draw(st.booleans()),
        reason=draw(st.text(max_size=9)),
        truth=draw(st.sampled_from(["recorded-v20/1", "command/0a/b"])),
        why=draw(st.dictionaries(st.text(), JSON, max_size=3)),
    )


@examples(25)
@given(st.lists(label(), min_size=1, max_size=6, unique_by=lambda one: one.key))
def test_round_trip(labels: list[BoughtLabel]) -> None:
    """Every design, number, unknown number and word comes back as it was, in order; what is not read is in the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bought.json"
        path.write_text(augmentation_text(KERNEL, TARGETS["v20"], labels))
        table = read_augmentation(path)
    task = hls_task_of(table)
    assert (task.kernel, task.name, table.provenance.where) == (KERNEL, "scale", str(path))
    assert (task.target.tool, table.fidelity, table.provenance.ancestors) == ("v20", "tool", ())
    assert table.batch.schema == hls_schema(KERNEL, TARGETS["v20"])
    assert points_of(KERNEL, table.batch) == [one.point for one in labels]
    assert np.array_equal(table.metric("cycles"), [one.cycles for one in labels], equal_nan=True)
    for name in RESOURCES:
        assert np.array_equal(table.metric(name), [one.counts[name] for one in labels], equal_nan=True)
        assert np.array_equal(table.metric(f"{name}_share"), [one.shares[name] for one in labels], equal_nan=True)
    assert table.feasible.dtype == bool and table.feasible.tolist() == [one.valid for one in labels]
    assert table.provenance.sources == tuple(sorted({one.truth for one in labels}))
    text = augmentation_text(KERNEL, TARGETS["v20"], labels)
    kept = [(one["why"], one["reason"], one["truth"], one["key"]) for one in json.loads(text)["labels"]]
    assert kept == [(one.why, one.reason, one.truth, one.key) for one in labels]


def test_the_file(golden: Callable[[Path, str], None]) -> None:
    """As it was read by eye: a design with cycles, and one without, of which nothing is known."""
    golden(GOLDEN, augmentation_text(KERNEL, TARGETS["v18"], labels_of(KERNEL, [0, 9])))
    table = read_augmentation(GOLDEN)
    assert np.isnan(table.metric("cycles")).tolist() == [False, True] == np.isnan(table.metric("lut")).tolist()


def test_as_the_data_set_has_it() -> None:
    """A kernel whose source is laid out otherwise is the same kernel, and its labels are of the same designs."""
    other = kernel_of(scale_source().replace("\n", "\n\n"))
    assert labels_of(other, [0])[0].key == labels_of(KERNEL, [0])[0].key != labels_of(KERNEL, [0], "v20")[0].key


@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_numbers_without_end_are_not_written(value: float) -> None:
    """Nor are unknown numbers in what the buyer says, for JSON has neither."""
    one = labels_of(KERNEL, [0])[0]
    for odd in (
        replace(one, cycles=value),
        replace(one, why={"gain": value}),
        replace(one, why={"gain": float("nan")}),
    ):
        with pytest.raises(ValueError, match="not JSON compliant"):
            augmentation_text(KERNEL, TARGETS["v18"], [odd])


def _first(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Changes a field of the second label."""
    return lambda content: content["labels"][1].__setitem__(name, value)


def _within(name: str, inner: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Changes what is in a field of the second label."""
    return lambda content: content["labels"][1][name].__setitem__(inner, value)


def _of_kernel(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content["kernel"].update(fields)


def _top(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update(fields)


PLAIN = "void f(double a[4]) { int i; for (i = 0; i < 4; i++) { a[i] = 1.0; } }"
REFUSED: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (_top(format=2), "field 'format': is 2; expected 1"),
    (_top(format=True), "field 'format'"),
    (_top(fidelity="estimate"), "field 'fidelity': is 'estimate'"),
    (_top(fidelity=None), "field 'fidelity'"),
    (_top(tool="v99"), "field 'tool': is 'v99'"),
    (_top(device="u280"), "field 'device': is 'u280'; expected 'xcvu9p'"),
    (_top(more=1), "field 'more': is unknown"),
    (lambda content: content.pop("tool"), "field 'tool': is missing"),
    (_top(labels=[]), "field 'labels': has no labels"),
    (_top(labels={}), "field 'labels'"),
    (_top(labels=[1]), "labels[0]: is no object"),
    (_top(kernel=[]), "field 'kernel'"),
    (_of_kernel(more=1), "field 'kernel', field 'more': is unknown"),
    (lambda content: content["kernel"].pop("digest"), "field 'kernel', field 'digest': is missing"),
    (_of_kernel(source=1), "field 'kernel', field 'source': is 1; expected a text"),
    (_of_kernel(source="void f("), "field 'kernel', source"),
    (_of_kernel(source=scale_source() + "// \ud800"), "field 'kernel', source: holds half a character"),
    (_of_kernel(digest="0" * 32), f"field 'kernel', digest: is '{'0' * 32}'; expected '{KERNEL.digest}'"),
    (_of_kernel(source=scale_source(65)), "field 'kernel', digest"),
    (_of_kernel(name="friend"), "field 'kernel', name: is 'friend'; expected 'scale'"),
    (_of_kernel(source=PLAIN, name="f", digest=kernel_of(PLAIN).digest), "source: has no parameters"),
    (_first("more", 1), "labels[1], field 'more': is unknown"),
    (lambda content: content["labels"][1].pop("reason"), "labels[1], field 'reason': is missing"),
    (lambda content: content["labels"][1].pop("cycles"), "labels[1], field 'cycles': is missing"),
    (_first("point", []), "labels[1], field 'point': is a list"),
    (_first("valid", 1), "labels[1], field 'valid': is 1; expected true or false"),
    (_first("reason", None), "labels[1], field 'reason': is null"),
    (_first("why", "because"), "labels[1], field 'why'"),
    (_first("why", {"gain": float("nan")}), "labels[1], why: holds a number that is none"),
    (_first("truth", "recorded"), "labels[1], truth: is 'recorded'"),
    (_first("cycles", 0), "labels[1], cycles: is 0"),
    (_first("cycles", -1), "labels[1], cycles: is -1"),
    (_first("cycles", True), "labels[1], cycles: is true"),
    (_first("cycles", "12"), 'labels[1], cycles: is "12"'),
    (_first("cycles", float("nan")), "labels[1], cycles: is NaN"),
    (_first("cycles", float("inf")), "labels[1], cycles: is Infinity"),
    (_first("cycles", 10**400), "labels[1], cycles: is 1000"),
    (_within("counts", "uram", 1), "labels[1], counts, field 'uram': is unknown"),
    (lambda content: content["labels"][1]["shares"].pop("ff"), "labels[1], shares, field 'ff': is missing"),
    (_within("counts", "dsp", []), "labels[1], counts, dsp: is a list"),
    (_within("shares", "lut", -0.5), "labels[1], shares, lut: is -0.5"),
    (_within("point", "T9", 1), "labels[1], point: has an unknown parameter T9"),
    (lambda content: content["labels"][1]["point"].pop("T0"), "labels[1], point: has no parameter T0"),
    (_within("point", "T0", "2"), 'labels[1], point: T0="2"'),
    (_within("point", "T0", 2.0), "labels[1], point: T0=2.0"),
    (_within("point", "T0", True), "labels[1], point: T0=true"),
    (_within("point", "T0", 0), "labels[1]: T0=0"),
    (_within("point", "P0", 1), "labels[1], point: P0=1"),
    (_within("point", "P0", "sometimes"), "labels[1]: P0=sometimes"),
    (_within("point", "T0", 2), "labels[1], key: is '"),
    (_first("key", "abc"), "labels[1], key: is 'abc'"),
    (lambda content: content["labels"].append(content["labels"][0]), "labels[2]: is the same design as labels[0]"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_refused(change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path) -> None:
    """One line each that begins with the file and names the place; the file is read before it is changed."""
    path = written(tmp_path / "bought.json", labels_of(KERNEL, [0, 9]))
    assert len(read_augmentation(path)) == 2
    with pytest.raises(InputError) as caught:
        read_augmentation(changed(path, change))
    text = str(caught.value)
    assert text.startswith(str(path)) and said in text and len(text.splitlines()) == 1 and len(text) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("", "is empty"),
        ('{"format": 1', "is not JSON"),
        ("[]", "a list"),
        ("x" * (LARGEST_FILE + 1), "at most"),
        ('{"format": 1, "format": 1}', "is given twice"),
    ],
    ids=["absent", "empty", "truncated", "list", "large", "twice"],
)
def test_no_such_file(content: str | None, said: str, tmp_path: Path) -> None:
    """What is no object of JSON at all."""
    path = tmp_path / "bought.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_augmentation(path)
    assert str(path) in str(caught.value)


PLACES = [
    (*way, name)
    for way, names in [
        ((), ["format", "fidelity", "kernel", "tool", "device", "labels"]),
        (("kernel",), ["name", "digest", "source"]),
        (("labels",), [0, 1]),
        (("labels", 1), ["point", "cycles", "counts", "shares", "valid", "reason", "truth", "key", "why"]),
        (("labels", 1, "point"), ["P0", "T0"]),
    ]
    for name in names
] + [("labels", 1, *pair) for pair in product(("counts", "shares"), RESOURCES)]


@examples(60)
@given(st.sampled_from(PLACES), JSON)
def test_anything_anywhere(place: tuple[Any, ...], junk: Any) -> None:
    """Whatever stands in a place, the file is read, or refused as input."""
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "bought.json", labels_of(KERNEL, [0, 9]))

        def put(content: Any) -> None:
            for step in place[:-1]:
                content = content[step]
            content[place[-1]] = junk

        try:
            found = read_augmentation(changed(path, put))
        except InputError as error:
            assert str(path) in str(error)
        else:
            assert isinstance(found, Dataset)
            assert place[-1] in ("cycles", "valid", "reason", "truth", "why", *RESOURCES) or junk == 1


def test_a_batch_of_the_points(tmp_path: Path) -> None:
    """The table's designs are those that any other reader makes of the same points."""
    labels = labels_of(KERNEL, range(90))
    table = read_augmentation(written(tmp_path / "bought.json", labels))
    other = batch_of(KERNEL, hls_schema(KERNEL, TARGETS["v18"]), [one.point for one in labels], "")
    assert np.array_equal(table.batch.schema.key(table.batch), other.schema.key(other)) and len(table) == 90
