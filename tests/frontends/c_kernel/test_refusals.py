"""Everything that a kernel's text can get wrong is one line that names file, line and culprit."""

from __future__ import annotations

from pathlib import Path

import pytest

from design.errors import InputError
from frontends.c_kernel import parse_kernel, read_kernel
from frontends.c_kernel.syntax import MOST_BYTES

LOOP = "for (int i = 0; i < 8; i++) a[i] = 1;"


def around(pragma: str, after: str = LOOP) -> str:
    """A kernel with a pragma on line 2."""
    return f"void f(int a[8]) {{\n{pragma}\n{after}\n}}\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("void f(int a[8]) {\n  a[0] = = 1;\n}\n", 2, "does not parse"),
        ("void f(int a[8]) {\n  a[0] = 1;\n", None, "does not parse"),
        ("#if 1\nvoid f(void) { }\n", None, "preprocessor"),
        ('#include "sizes.h"\nvoid f(void) { }\n', 1, "one self-contained file"),
        ("\n#error no\nvoid f(void) { }\n", 2, "#error no"),
        ("int n;\n", None, "no function"),
        ("", None, "no function"),
        (around("#pragma ACCEL FASTER"), 2, "ACCEL FASTER; expected PIPELINE, TILE or PARALLEL"),
        (around("#pragma ACCEL"), 2, "expected PIPELINE"),
        (around("#pragma HLS FASTER"), 2, "HLS FASTER"),
        (around("#pragma ACCEL PIPELINE quickly"), 2, "quickly"),
        (around("#pragma ACCEL PIPELINE auto{A} off"), 2, "off, coarse, flatten"),
        (around("#pragma ACCEL TILE"), 2, "TILE FACTOR=n"),
        (around("#pragma ACCEL TILE FACTOR=0"), 2, "at least 1"),
        (around("#pragma ACCEL TILE FACTOR=-4"), 2, "at least 1"),
        (around("#pragma ACCEL TILE FACTOR=2.5"), 2, "at least 1"),
        (around("#pragma ACCEL TILE FACTOR="), 2, "NAME=VALUE"),
        (around("#pragma ACCEL TILE FACTOR=auto{}"), 2, "auto{NAME}"),
        (around("#pragma ACCEL TILE FACTOR=auto{A"), 2, "auto{NAME}"),
        (around("#pragma ACCEL TILE FACTOR=N"), 2, "auto{NAME}"),
        (around("#pragma ACCEL TILE FACTOR=2 FACTOR=4"), 2, "factor twice"),
        (around("#pragma ACCEL TILE reduction=a FACTOR=2"), 2, "says reduction"),
        (around("#pragma ACCEL PARALLEL FACTOR=99999999999"), 2, "at least 1"),
        (around("#pragma ACCEL PARALLEL speed=3"), 2, "says speed"),
        (around("#pragma ACCEL PARALLEL =3"), 2, "NAME=VALUE"),
        (around("#pragma ACCEL PIPELINE", "a[0] = 1;"), 2, "has no loop after it"),
        (around("#pragma HLS UNROLL", "a[0] = 1;"), 2, "has no loop after it"),
        (around("#pragma ACCEL PIPELINE", ""), 2, "has no loop after it"),
        (around("#pragma ACCEL PIPELINE", f"#pragma ACCEL PIPELINE off\n{LOOP}"), 3, "second PIPELINE"),
        (
            around("#pragma ACCEL TILE FACTOR=auto{A}", f"{LOOP}\n#pragma ACCEL TILE FACTOR=auto{{A}}\n{LOOP}"),
            4,
            "twice",
        ),
        (
            around("", "for (int i = 0; i < 8; i++) {\n#pragma HLS UNROLL\n#pragma HLS UNROLL\n a[i] = 1; }"),
            5,
            "second",
        ),
        (around("#pragma HLS LOOP_TRIPCOUNT min=4 max=2"), 2, "min <= avg <= max"),
        (around("#pragma HLS LOOP_TRIPCOUNT most=2"), 2, "LOOP_TRIPCOUNT min="),
        ("#pragma ACCEL PIPELINE\n" + around(""), 1, "outside functions"),
        (around("") + "#pragma ACCEL kernel\n", 5, "no function after it"),
        (
            "#pragma ACCEL kernel\nvoid f(int a[2]) { a[0] = 1; }\n#pragma ACCEL kernel\nvoid g(int a[2]) { }",
            4,
            "two kernels, f and g",
        ),
        ("static int g(int n) {\n  return g(n - 1);\n}\nvoid f(int a[2]) { a[0] = g(3); }", 2, "g calls itself"),
        (around("  again: a[0] = 1;\n  goto again;", ""), 3, "goto again"),
        (around("a[0] = unknown(3);", ""), 2, "a call of unknown"),
        (around("a[0] = b;", ""), 2, "b is not declared"),
        (around("a[0][1] = 3;", ""), 2, "no array or pointer"),
        (around("for (int i = 0; i < 8; i--) a[i] = 1;", ""), 2, "counts down while"),
        ("static int g(int n) { return n; }\nvoid f(int a[2]) {\n a[0] = g(3, 4);\n}", 3, "g with 2 arguments"),
        ("struct s;\nvoid f(struct s *p) {\n}\n", None, "struct s"),
        ("#define M(x) x\nvoid f(int a[2]) { M(", None, "my.c"),
        ("void f(int a[2]) { int c[a[1]]; c[0] = 1; }", None, "a is read in a constant expression"),
        ("void f(int a[0]) {\n}\n", 1, "0 elements"),
        ("#define D(x) x\n\nvoid f(int a[2]) {\n a[0] = D(;\n}\n", 4, "does not parse"),
        ("void f(int a[2]) { a[0] = " + "(" * 5000 + "1" + ")" * 5000 + "; }", None, "nested too deeply"),
        (" " * (MOST_BYTES + 1), None, "a kernel of at most"),
    ],
)
def test_refused_in_one_line(text: str, line: int | None, words: str) -> None:
    """The message names the file, the line where there is one, and the culprit."""
    with pytest.raises(InputError) as caught:
        parse_kernel(text, "my.c")
    message = str(caught.value)
    assert "\n" not in message and len(message) < 300
    assert words in message, message
    assert message.startswith(f"my.c line {line}:" if line else "my.c"), message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder, bytes that are no text, and a file that is too long."""
    (tmp_path / "bytes.c").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "long.c").write_bytes(b"/" * (MOST_BYTES + 10))
    for name in ("absent.c", "", "bytes.c", "long.c"):
        with pytest.raises(InputError, match=name or str(tmp_path)):
            read_kernel(tmp_path / name)
