"""SVG as text: elements that escape what they are given, and a chart as a file of its own."""

import re
from typing import Any

from markupsafe import Markup, escape

# What XML cannot hold, and the marks that turn the direction of text.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069]")


def element(name: str, /, *children: str, **attributes: Any) -> Markup:
    """One element, text and values escaped; ``text_anchor`` becomes ``text-anchor``, ``class_`` ``class``."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{clean(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(clean(child) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>" if children else f"<{name}{given}/>")  # noqa: S704


def clean(value: Any) -> str:
    """A value as it may stand in text or in an attribute; numbers have at most two decimals."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(escape(_UNPRINTABLE.sub("\ufffd", str(value))))


def percent(value: float) -> str:
    return clean(float(value)) + "%"


def standalone(svg: str, width: int = 720, ground: str = "#ffffff") -> str:
    """A chart as a file of its own, to open anywhere: with viewBox, ground and font, and without links. `width` is for
    charts that fill what they are given."""
    height = re.search(r' height="(\d+)"', svg)
    if height is None or not svg.startswith("<svg "):
        raise ValueError("not a chart")
    own = re.match(r'<svg [^>]*? width="(\d+)"', svg)
    width = int(own[1]) if own else width
    margin, tall = 16, int(height[1])
    box = f"{-margin} {-margin} {width + 2 * margin} {tall + 2 * margin}"
    paper = element("rect", x=-margin, y=-margin, width="100%", height="100%", fill=ground)
    alone = re.sub(r"<a [^>]*>", "<g>", str(svg)).replace("</a>", "</g>")
    alone = alone.replace('role="group"', 'role="img"', 1)
    alone = alone if own else alone.replace('width="100%"', f'width="{width}"', 1)
    outer = element(
        "svg",
        paper,
        Markup(alone),  # noqa: S704
        xmlns="http://www.w3.org/2000/svg",
        width=width + 2 * margin,
        height=tall + 2 * margin,
        viewBox=box,
        font_family="system-ui, Helvetica, Arial, sans-serif",
    )
    return f"{outer}\n"
