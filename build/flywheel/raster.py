"""A chart as PNG, for share cards and for slides: the same SVG, drawn by resvg with a font of a pinned package, so that
the same chart gives the same bytes on every machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import font_source_sans_pro
import resvg_py

from flywheel.svg import standalone

FAMILY = "Source Sans Pro"


@cache
def _fonts() -> list[str]:
    folder = Path(font_source_sans_pro.__file__).parent / "files"
    return [str(folder / f"SourceSansPro-{weight}.ttf") for weight in ("Regular", "Semibold", "Bold")]


def png(chart: str, zoom: float = 2.0) -> bytes:
    """The bytes of a PNG of one of the charts of `charts`, `zoom` pixels a point. ValueError where it is no chart."""
    return bytes(
        resvg_py.svg_to_bytes(
            # The font has no full circle.
            svg_string=standalone(chart).replace("●", "•"),
            zoom=zoom,
            skip_system_fonts=True,
            font_files=_fonts(),
            font_family=FAMILY,
            sans_serif_family=FAMILY,
        )
    )
