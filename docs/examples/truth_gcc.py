"""An example of a tool that the search can ask for the truth of a design: it compiles and runs the kernel with gcc.

    python docs/examples/truth_gcc.py < request.json        # where kernel.c is; writes its answer as JSON

It shows the interface and is no model of hardware. "lut" are the machine instructions of the kernel after gcc unrolled
loops by their PARALLEL factors where it can, "dsp" those of them that multiply. "cycles" are iterations that ran: a
loop's count divided by its PARALLEL factor and by those around it, four a step where PIPELINE is off, none inside a
flattened loop; rounded. Arguments are 0, scalar ones 8, and TILE has no effect. A design has one answer with one gcc.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

OFF_STEPS = 4  # of an iteration that is not overlapped with the next
UNSIZED = 2**16  # elements of an array argument that does not say how many it has


def closing(text: str, at: int) -> int:
    """Where the bracket that opens at `at` is closed."""
    depth = 0
    for here in range(at, len(text)):
        depth += (text[here] in "([{") - (text[here] in ")]}")
        if not depth:
            return here
    sys.exit("a bracket is not closed")


def directed(text: str, design: dict[str, str | int]) -> tuple[str, str]:
    """The source with loops unrolled as the design says, and the source with its steps counted."""
    unrolled, counted = [], ["static double tw_steps;\n"]
    weights, bodies = [1.0], {}  # of the blocks that are open; of a loop's body, by where it begins
    factor, pipeline, at = 1, "off", 0
    for found in re.finditer(r"#pragma ACCEL([^\n]*)\n|\bfor\s*(\()|[{}]", text + "\n"):
        before, word = text[at : found.start()], found.group()
        at = found.end()
        unrolled.append(before)
        counted.append(before)
        if word.startswith("#pragma"):
            said = re.search(r"auto\{(\w+)\}|FACTOR\s*=\s*(\d+)", word)
            value = (design[said[1]] if said[1] else int(said[2])) if said else None
            if value is not None and word.split()[2].upper() == "PARALLEL":
                factor = int(value)
            elif value is not None and word.split()[2].upper() == "PIPELINE":
                pipeline = str(value)
            continue
        add = word
        if word.startswith("for"):
            body = re.compile(r"\s*").match(text, closing(text, found.end() - 1) + 1).end()
            steps = weights[-1] / factor
            bodies[body] = (steps, steps * OFF_STEPS if pipeline == "off" else steps, pipeline == "flatten")
            word = f"\n#pragma GCC unroll {min(factor, 65534)}\n{word}"
            factor, pipeline = 1, "off"
        elif word == "}":
            weights.pop()
        elif found.start() in bodies:
            inside, steps, flat = bodies[found.start()]
            weights.append(0.0 if flat else inside)
            add = f"{{ tw_steps += {steps!r};"
        else:
            weights.append(weights[-1])
        unrolled.append(word)
        counted.append(add)
    return "".join([*unrolled, text[at:]]), "".join([*counted, text[at:]])


def driver(text: str) -> str:
    """A main function that calls the kernel once and prints the steps."""
    found = re.search(r"#pragma ACCEL kernel\s+[\w\s*]*?(\w+)\s*(\()", text)
    if not found:
        sys.exit("kernel.c has no function after #pragma ACCEL kernel")
    inside = text[found.end() : closing(text, found.start(2))]
    lines, names = [], []
    for argument in filter(None, (part.strip() for part in inside.split(","))):
        kind, star, name, sizes = re.fullmatch(r"(.*?)(\*?)\s*(\w+)\s*((?:\[[^\]]*\]\s*)*)", argument, re.S).groups()
        sizes = f"[{UNSIZED}]" + sizes if star else re.sub(r"^\[\s*\]", f"[{UNSIZED}]", sizes)
        kind = re.sub(r"\bconst\b", "", kind)
        lines.append(f"static {kind} tw_{name}{sizes}" + (";" if sizes else " = {8};"))
        names.append(f"tw_{name}")
    call = f'{found[1]}({", ".join(names)}); printf("%.17g\\n", tw_steps); return 0;'
    return '#include <stdio.h>\n#include "counted.c"\n' + "\n".join(lines) + f"\nint main(void) {{ {call} }}\n"


def gcc(*words: str) -> str:
    """What gcc writes; its complaint is this program's."""
    ran = subprocess.run(["gcc", "-w", "-std=gnu11", *words], capture_output=True, text=True)
    if ran.returncode:
        sys.exit(next((line for line in ran.stderr.splitlines() if "error" in line), "gcc failed"))
    return ran.stdout


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", Path(request["source"]).read_text(), flags=re.S)
    unrolled, counted = directed(text, request["design"])
    Path("unrolled.c").write_text(unrolled)
    Path("counted.c").write_text(counted)
    Path("driver.c").write_text(driver(text))
    code = re.findall(r"^\t([a-z]\w*)", gcc("-O2", "-S", "-o", "-", "unrolled.c"), re.M)
    gcc("-O1", "-o", "driver", "driver.c", "-lm")
    steps = subprocess.run(["./driver"], capture_output=True, text=True, check=True, timeout=600).stdout
    multiply = sum("mul" in instruction for instruction in code)
    print(json.dumps({"cycles": max(round(float(steps)), 1), "lut": len(code), "dsp": multiply}))


if __name__ == "__main__":
    main()
