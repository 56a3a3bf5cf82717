"""An SVG drawing made part of a page: recoloured by the page's variables, without what only files need."""

from __future__ import annotations

import re

from markupsafe import Markup

# The palette of `dse/report/pictures/style.py` -> the page's name for it. Fills of operators stay as they are.
VARIABLES = {
    "#ffffff": "paper",
    "#1f2933": "ink",
    "#d5dae1": "faint",
    "#8a95a3": "quiet",
    "#c2410c": "accent",
    "#2563eb": "second",
    "#15803d": "third",
}
_COLOUR = re.compile("|".join(VARIABLES))
_REFERENCE = re.compile(r"(?:href=\"#|url\(#)([^\")]+)")
_LONG = re.compile(r"(\d\.\d\d)\d+")  # a hundredth of a point is enough
_TAG = re.compile(r"<[^>]+>")
_ID = re.compile(r'\s+id="([^"]*)"')


def inline_svg(svg: str, name: str, label: str) -> Markup:
    """The drawing as an element of an HTML page. Its ids begin with `name`, those that nothing refers to are gone;
    `label` says in words what it shows. `svg` is one that matplotlib wrote."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(_REFERENCE.findall(body))
    body = _ID.sub(lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = _REFERENCE.sub(lambda m: m[0][: -len(m[1])] + f"{name}-{m[1]}", body)
    body = body.replace("xlink:href", "href")
    # Fallbacks keep the colours where a viewer knows no variables.
    body = _COLOUR.sub(lambda m: f"var(--{VARIABLES[m[0]]}, {m[0]})", body)
    body = re.sub(r"<g>\s*</g>|<defs>\s*</defs>", "", body)
    body = re.sub(r">\s*\n\s*<", ">\n<", body)
    body = _TAG.sub(lambda m: _LONG.sub(r"\1", m[0]), body)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)
    assert size is not None
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" style="--wide: {}px">').format(
        size[1], size[2], label, round(float(size[1]))
    )
    return head + Markup(body[body.index(">") + 1 :])
