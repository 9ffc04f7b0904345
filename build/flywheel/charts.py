"""The chart engine: pure functions from rows to small, accessible SVG.

Six charts: `stacked` and `wheel` (how 100 signals split), `dots` (shares with intervals on one axis), `bars` (ranked
shares from zero), `trend` (shares over time, one panel a place) and `strips` (how far choices move a share).
Rows are mappings with the names of the fields of `Share` or `Split`; other names are ignored. Shares are
fractions of one, drawn and written as "of 100". The same rows give the same bytes. `docs/charts.md` compares
plotting libraries, measured.

Layout. Labels stand above their marks, places along the x axis are percentages, all other lengths are pixels;
so one SVG serves every width and text keeps its size. That needs an SVG without viewBox;
`flywheel.svg.standalone` makes a file with one.

Colours are classes (`train`, `evaluate`, `iterate`, `paper` ...) that the style sheet maps to its custom
properties for light and dark. Presentation attributes hold the light colours, so that a file opened elsewhere
looks the same.
"""

import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from markupsafe import Markup

from flywheel.svg import element, percent

MAX_LABEL = 46  # characters of 14 px that fit the 358 px of a figure on a 390 px screen
PLOT = 66.0  # the plot takes this part of the width, in per cent; numbers stand to the right of it
LABEL, NOTE = 20, 18  # heights in px of a line of 14 px and of 13 px
# For each end of an axis its steps, as fractions of one.
AXES = (
    (0.05, 0.01),
    (0.1, 0.02),
    (0.2, 0.05),
    (0.3, 0.1),
    (0.4, 0.1),
    (0.5, 0.1),
    (0.6, 0.2),
    (0.8, 0.2),
    (1, 0.25),
)

_KEY = re.compile(r"[a-z][a-z0-9-]*\Z")
_SAFE_HREF = re.compile(r"(https?://|/(?!/)|[#?])")


@dataclass(frozen=True)
class Phase:
    """How a phase is drawn: a colour and a shape of its own, so that it is never told by colour alone."""

    word: str
    glyph: str
    shape: str
    colour: str
    text: str


PHASES = {
    "train": Phase("Train", "■", "M-5-5H5V5H-5Z", "#6c7a89", "#5a6775"),
    "evaluate": Phase("Evaluate", "●", "M-5.5 0a5.5 5.5 0 1 1 11 0a5.5 5.5 0 1 1-11 0Z", "#d55e00", "#b34e00"),
    "iterate": Phase("Iterate", "▲", "M0-6.5L6.5 5H-6.5Z", "#0072b2", "#0072b2"),
    "plain": Phase("", "◆", "M0-6.5L6.5 0L0 6.5L-6.5 0Z", "#3d4249", "#1d2125"),
}
# Drawn over the colour: slanted lines for evaluate, dots for iterate.
TEXTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "evaluate": ("M-1 7L7-1M-1 1L1-1M5 7L7 5", {"stroke-width": 1}),
    "iterate": ("M2 2h.01M5 5h.01", {"stroke-width": 1.4, "stroke-linecap": "round"}),
}
COLOURS = {"ink": "#1d2125", "muted": "#555d66", "rule": "#d5d9dd", "axis": "#8a929b", "paper": "#ffffff"}


class _Record:
    @classmethod
    def of(cls, row: "Mapping[str, Any] | Self") -> Self:
        """A row of a query as a checked record; columns that no chart knows are left out."""
        if isinstance(row, cls):
            return row
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        given = {name: value for name, value in row.items() if name in known and value is not None}  # type: ignore[union-attr]
        if "label" not in given:
            raise ValueError(f"a chart row has no label: {row!r}")
        # SQLite may give a year as a number.
        texts = {name: str(given[name]) for name in ("label", "note", "href", "period") if name in given}
        return cls(**{**given, **texts})


def _check_fractions(label: str, **values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not -1e-9 <= value <= 1 + 1e-9:
            raise ValueError(f"chart row {label!r}: {name} is {value}, not a fraction of one")


@dataclass(frozen=True)
class Share(_Record):
    """One share with its interval.

    ``level`` says how much the numbers carry: ``enough``, ``about`` (hollow mark, "about" before the number)
    or ``few`` (nothing is drawn, the row says that it is too few to tell). No share counts as ``few``.
    ``period`` (``2025-03``, ``2025-Q1``, ``2025-H1`` or ``2025``) is for `trend` alone; ``apart`` sets a mean off
    from its parts.
    """

    label: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    threads: int | None = None
    level: str = "enough"
    phase: str = "plain"
    href: str = ""
    note: str = ""
    period: str = ""
    apart: int = 0

    def __post_init__(self) -> None:
        _check_fractions(self.label, share=self.share, low=self.low, high=self.high)
        bounds = [value for value in (self.low, self.share, self.high) if value is not None]
        if bounds != sorted(bounds):
            raise ValueError(f"chart row {self.label!r}: share {self.share} outside {self.low} to {self.high}")
        if self.level not in ("enough", "about", "few"):
            raise ValueError(f"chart row {self.label!r}: level is {self.level!r}, not enough, about or few")
        if self.phase not in PHASES:
            raise ValueError(f"chart row {self.label!r}: no phase {self.phase!r}")

    @property
    def drawn(self) -> bool:
        return self.share is not None and self.level != "few"


@dataclass(frozen=True)
class Split(_Record):
    """How the signals of one place split into the three phases; the parts sum to one."""

    label: str
    train: float = 0.0
    evaluate: float = 0.0
    iterate: float = 0.0
    n: int | None = None
    threads: int | None = None
    level: str = "enough"
    href: str = ""
    note: str = ""
    apart: int = 0

    def __post_init__(self) -> None:
        parts = {"train": self.train, "evaluate": self.evaluate, "iterate": self.iterate}
        _check_fractions(self.label, **parts)
        if self.level != "few" and abs(sum(parts.values()) - 1) > 0.001:
            raise ValueError(f"chart row {self.label!r}: the phases sum to {sum(parts.values()):.4f}, not to one")


def named(
    rows: Iterable[Mapping[str, Any]], *, href: str = "", without: Iterable[str] = (), **columns: str
) -> list[dict[str, Any]]:
    """Rows of a query under the names that charts know: ``named(rows, label="title", level="enough")``.

    ``href`` is a pattern filled from the row, such as ``/themes/{theme}``. What has no name of its own stays, but
    for the columns ``without`` (a number of signals that all rows share) where there is a share to show.
    """
    found = []
    for row in rows:
        renamed = {**row, **{name: row[column] for name, column in columns.items()}, "href": href.format(**row)}
        if renamed.get("share") is not None:
            renamed |= dict.fromkeys(without)
        found.append(renamed)
    return found


def splits(rows: Iterable[Mapping[str, Any]], label: str) -> list[dict[str, Any]]:
    """One row a label for `stacked`, from rows that hold one phase each; the order of first sight stays."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        split = found.setdefault(row[label], {**row, "label": row[label], "level": row["enough"]})
        split[row["phase"]] = row["share"]
    return list(found.values())


# --- numbers as text ---


def of_100(share: float, low: float | None = None, high: float | None = None) -> str:
    """``71 (65–76)``; a decimal only where the interval is no wider than four points."""
    narrow = low is not None and high is not None and high - low <= 0.04

    def number(value: float) -> str:
        text = f"{100 * value:.{1 if narrow else 0}f}"
        return f"<{1 if not narrow else 0.1}" if value > 0 and float(text) == 0 else text

    return number(share) if low is None or high is None else f"{number(share)} ({number(low)}–{number(high)})"


def too_few(n: int | None, threads: int | None) -> str:
    """What stands in place of a number that would carry nothing."""
    counts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((n, "signal"), (threads, "thread"))
        if count is not None
    ]
    return f"too few to tell ({' from '.join(counts)})" if counts else "too few to tell"


def _value(row: Share) -> str:
    if not row.drawn or row.share is None:
        return too_few(row.n, row.threads)
    return ("about " if row.level == "about" else "") + of_100(row.share, row.low, row.high)


def _aside(row: Share | Split) -> str:
    counted = f"n = {row.n:,}" if row.n is not None and row.level != "few" else ""
    if isinstance(row, Split) and row.level == "about":
        counted = f"about, {counted}" if counted else "about"
    return ", ".join(part for part in (row.note, counted) if part)


# --- SVG ---


def _ink(style: str) -> dict[str, str]:
    return {"class_": style, "fill": COLOURS.get(style) or PHASES[style.removesuffix("-text")].text}


def _text(value: str, y: float, x: float | str = 0, style: str = "ink", **attributes: Any) -> Markup:
    if style in ("muted", "axis"):
        attributes.setdefault("font_size", 13)
    return element("text", value, x=x, y=y, **_ink(style), **attributes)


def _line(x1: str, y1: float, x2: str, y2: float, style: str, **attributes: Any) -> Markup:
    stroke = COLOURS.get(style) or PHASES[style].colour
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style, stroke=stroke, **attributes)


def _mark(x: str, y: float, phase: str, hollow: bool) -> Markup:
    # A nested svg is what can be placed at a percentage and still hold a path in pixels.
    colour = PHASES[phase].colour
    paint = {"fill": COLOURS["paper"], "stroke": colour, "stroke-width": 2} if hollow else {"fill": colour}
    style = f"hollow {phase}" if hollow else phase
    return element("svg", element("path", d=PHASES[phase].shape, class_=style, **paint), x=x, y=y, overflow="visible")


def _heading(row: Share | Split, y: float, aside: str) -> tuple[list[Markup], float]:
    """Label and aside from ``y`` down: on one line where that fits the narrowest screen, else on two."""
    lines = textwrap.wrap(row.label, MAX_LABEL) or [""]
    if len(lines) > 2:
        lines = [lines[0], lines[1][: MAX_LABEL - 1] + "…"]
    weight = 600 if row.apart else None
    drawn = [_text(line, y + 15 + LABEL * i, font_weight=weight) for i, line in enumerate(lines)]
    if _SAFE_HREF.match(row.href):
        drawn = [element("a", *drawn, href=row.href)]
    y += LABEL * len(lines)
    if aside and len(lines[-1]) + len(aside) + 3 <= MAX_LABEL:
        drawn.append(_text(aside, y - 5, "100%", "muted", text_anchor="end"))
    elif aside:
        for line in textwrap.wrap(aside, MAX_LABEL + 4):
            drawn.append(_text(line, y + 12, style="muted"))
            y += NOTE
    return drawn, y


def _chart(key: str, title: str, readings: Sequence[str], height: float, body: Iterable[str]) -> Markup:
    if not _KEY.match(key):
        raise ValueError(f"chart key {key!r} is not lower-case letters, digits and hyphens")
    inside = Markup("").join(body)
    described = "; ".join(readings) + "." if readings else "No rows."
    return element(
        "svg",
        element("title", title, id=f"{key}-title"),
        element("desc", described, id=f"{key}-desc"),
        inside,
        xmlns="http://www.w3.org/2000/svg",
        class_="chart",
        id=key,
        # With links inside it is a group: an image hides what is in it from assistive technology.
        role="group" if "<a " in inside else "img",
        aria_labelledby=f"{key}-title {key}-desc",
        width="100%",
        height=math.ceil(height),
        font_size=14,
        overflow="visible",
    )


# --- axes ---


def _axis_for(rows: Iterable[Share]) -> tuple[float, float]:
    largest = max((row.high or row.share or 0.0 for row in rows if row.drawn), default=1.0)
    return next((axis for axis in AXES if axis[0] >= largest), AXES[-1])


def _across(value: float, top: float) -> float:
    return PLOT * min(value / top, 1)


def _ticks(end: float, step: float) -> list[float]:
    return [i * step for i in range(round(end / step) + 1)]


def _x_axis(end: float, step: float, y1: float, y2: float, words: str) -> tuple[list[Markup], list[Markup], float]:
    """Grid lines (to be drawn first), their numbers and the axis in words below, and where that ends."""
    grid, numbers = [], []
    for value in _ticks(end, step):
        x = percent(_across(value, end))
        grid.append(_line(x, y1, x, y2, "rule" if value else "axis"))
        anchor = "middle" if value else "start"
        numbers.append(_text(f"{100 * value:.0f}", y2 + 16, x if value else 0, "muted", text_anchor=anchor))
    y = y2 + 20
    for line in textwrap.wrap(words, MAX_LABEL + 4):
        numbers.append(_text(line, y + 15, style="muted"))
        y += NOTE
    return grid, numbers, y + 4


# --- charts ---


def stacked(rows: Iterable[Mapping[str, Any] | Split], *, key: str, title: str) -> Markup:
    """One bar of 100 a place, split into train, evaluate and iterate, each with its number and texture."""
    splits = [Split.of(row) for row in rows]
    body, readings, y = [_textures(key)], [], 0.0
    for i, row in enumerate(splits):
        if i and splits[i - 1].apart and not row.apart:
            body.append(_line("0", y, "100%", y, "axis"))
            y += 14
        drawn, y = _heading(row, y, _aside(row))
        body += drawn
        if row.level == "few":
            body.append(_text(too_few(row.n, row.threads), y + 14, style="muted"))
            readings.append(f"{row.label}: {too_few(row.n, row.threads)}")
            y += LABEL + 14
            continue
        tall = 34 if row.apart else 24
        left = 0.0
        parts = [(phase, getattr(row, phase)) for phase in ("train", "evaluate", "iterate")]
        for phase, part in parts:
            place = {"x": percent(100 * left), "width": percent(100 * part), "y": y + 3, "height": tall}
            body.append(element("rect", **place, class_="segment", fill=f"url(#{key}-{phase})", stroke="#fff"))
            left += part
        y += tall + 3
        named = [
            element("tspan", f"{PHASES[phase].glyph} ", class_=phase, fill=PHASES[phase].colour)
            + element("tspan", f"{PHASES[phase].word} {of_100(part)}", **_ink(f"{phase}-text"))
            for phase, part in parts
        ]
        style: dict[str, Any] = {"style": "train-text", "font_weight": 600 if row.apart else None}
        body.append(_text(named[0], y + 16, **style))
        body.append(_text(Markup("\u2002 ").join(named[1:]), y + 16, "100%", text_anchor="end", **style))
        y += LABEL + 14
        told = ", ".join(f"{phase} {of_100(part)}" for phase, part in parts)
        readings.append(f"{row.label}: of 100 signals, {told}{_counted(row)}")
    return _chart(key, title, readings, y, body)


CARD = 568, 283  # points; with the margins of a file of its own, 1200 by 630 pixels at two a point


def card(title: str, lines: Sequence[str], *, key: str, foot: str, split: Mapping[str, Any] | None = None) -> Markup:
    """What a link to a page looks like elsewhere: its finding in words, and the wheel where there is a split."""
    # Sizes of title and text in points, and how many letters of each fit a line.
    large, fits, small, fit = (25, 23, 18, 36) if split else (34, 32, 23, 50)
    body, y = [], large * 0.9
    for line in textwrap.wrap(title, fits):
        body.append(_text(line, y, font_size=large, font_weight=700))
        y += large * 1.2
    y += small * 0.4
    for paragraph in lines:
        for line in textwrap.wrap(paragraph, fit):
            body.append(_text(line, y, font_size=small))
            y += small * 1.35
        y += small * 0.4
    body.append(_line("0", CARD[1] - 24, str(CARD[0]), CARD[1] - 24, "axis"))
    body.append(_text(foot, CARD[1] - 2, style="muted", font_size=14))
    if split:
        middle = ["of 100 posts", str(split.get("label", "")).lower()]
        drawn = wheel(split, key=f"{key}-wheel", title=title, middle=middle)
        body.append(element("svg", drawn, x=CARD[0] - 262, y=8, width=250, height=260, overflow="visible"))
    chart = _chart(key, title, [*lines, foot], CARD[1], body)
    return Markup(str(chart).replace('width="100%"', f'width="{CARD[0]}"', 1))  # noqa: S704


RADIUS, HOLE, TIP = 92.0, 62.0, 7.0  # of the wheel, in px, and the length of an arrow's tip in degrees


def wheel(row: Mapping[str, Any] | Split, *, key: str, title: str, middle: Sequence[str] = ()) -> Markup:
    """The flywheel: three arrows round a circle, each as long as its phase's part of 100; `middle` stands inside."""
    split = Split.of(row)
    parts = [(phase, getattr(split, phase)) for phase in ("train", "evaluate", "iterate")]
    # The large arc starts so that it is centred below, and the words of the small ones find room beside them.
    angle = 205 - 180 * parts[0][1]
    arcs, words = [], []
    for phase, part in parts:
        span = 360 * part
        if part > 0:
            arcs.append(element("path", d=_arrow(angle, angle + span), class_="segment", fill=f"url(#{key}-{phase})"))
        mid = math.radians(angle + span / 2)
        x, y = (RADIUS + 14) * math.sin(mid), -(RADIUS + 14) * math.cos(mid)
        words.append((phase, part, x, y))
        angle += span
    labels = []
    for i, (phase, part, x, y) in enumerate(words):
        # Words of small neighbours on one side stand under each other.
        if i and x > 0 < words[i - 1][2] and abs(y - words[i - 1][3]) < LABEL:
            y = words[i - 1][3] + LABEL
        words[i] = (phase, part, x, y)
        text = element("tspan", f"{PHASES[phase].glyph} ", class_=phase, fill=PHASES[phase].colour) + element(
            "tspan", f"{PHASES[phase].word} {of_100(part)}", **_ink(f"{phase}-text")
        )
        anchor = "middle" if abs(x) < 60 and y > 0 else "start" if x > 0 else "end"
        below = 12 if y > RADIUS / 2 else 4
        labels.append(_text(text, y + below, x, f"{phase}-text", text_anchor=anchor, font_weight=600))
    inside = [
        _text(line, 18 * i - 9 * (len(middle) - 1) + 5, 0, "ink" if i == 0 else "muted", text_anchor="middle")
        for i, line in enumerate(middle)
    ]
    body = element("svg", *arcs, *inside, *labels, x="50%", y=RADIUS + 34, overflow="visible")
    told = ", ".join(f"{phase} {of_100(part)}" for phase, part in parts)
    return _chart(key, title, [f"of 100 signals, {told}{_counted(split)}"], 2 * RADIUS + 74, [_textures(key), body])


def _arrow(start: float, end: float) -> str:
    """A piece of the ring between two angles (degrees from the top, clockwise), its end a tip, its start notched."""
    gap = min(1.0, (end - start) / 6)
    tip = min(TIP, (end - start) / 2)
    start, end = start + gap, end - gap

    def at(angle: float, radius: float) -> str:
        turn = math.radians(angle)
        return f"{radius * math.sin(turn):.1f} {-radius * math.cos(turn):.1f}"

    large = int(end - start - tip > 180)
    middle = (RADIUS + HOLE) / 2
    return (
        f"M{at(start, RADIUS)}A{RADIUS:g} {RADIUS:g} 0 {large} 1 {at(end - tip, RADIUS)}L{at(end, middle)}"
        f"L{at(end - tip, HOLE)}A{HOLE:g} {HOLE:g} 0 {large} 0 {at(start, HOLE)}L{at(start + tip, middle)}Z"
    )


def _textures(key: str) -> Markup:
    patterns = []
    for name in ("train", "evaluate", "iterate"):
        parts = [element("rect", width=6, height=6, class_=name, fill=PHASES[name].colour)]
        if name in TEXTURES:
            path, stroke = TEXTURES[name]
            parts.append(element("path", d=path, class_="texture", stroke="#fff", stroke_opacity=0.55, **stroke))
        size = {"width": 6, "height": 6, "patternUnits": "userSpaceOnUse"}
        patterns.append(element("pattern", *parts, id=f"{key}-{name}", **size))
    return element("defs", *patterns)


def _counted(row: Share | Split) -> str:
    return f", {_aside(row)}" if _aside(row) else ""


def dots(
    rows: Iterable[Mapping[str, Any] | Share],
    *,
    key: str,
    title: str,
    axis: str = "",
    reference: float | None = None,
    reference_label: str = "",
) -> Markup:
    """One dot and whisker a row on an axis from 0 to 100, and a line for a number to compare with."""
    shares = [Share.of(row) for row in rows]
    body: list[Markup] = []
    readings = [axis] if axis else []
    if reference is not None:
        readings.append(f"{reference_label}: {of_100(reference)} of 100")
    y = 24.0 if reference is not None else 0.0
    start = y
    for i, row in enumerate(shares):
        if i and shares[i - 1].apart != row.apart:
            body.append(_line("0", y, "100%", y, "axis"))
            y += 12
        drawn, y = _heading(row, y, _aside(row))
        body += drawn
        if row.drawn and row.share is not None:
            middle = y + 11
            if row.low is not None and row.high is not None:
                ends = percent(_across(row.low, 1)), percent(_across(row.high, 1))
                dash = "4 3" if row.level == "about" else None
                wide = {"stroke-width": 2.5, "stroke-dasharray": dash}
                body.append(_line(ends[0], middle, ends[1], middle, row.phase, **wide))
            x = percent(_across(row.share, 1))
            body.append(_mark(x, middle, row.phase, row.level == "about"))
            weight = 600 if row.apart else None
            body.append(_text(_value(row), y + 16, "100%", text_anchor="end", font_weight=weight))
        else:
            body.append(_text(_value(row), y + 15, style="muted"))
        readings.append(f"{row.label}: {_value(row)}{_counted(row)}")
        y += 34
    grid, numbers, end = _x_axis(1, 0.25, start, y, axis)
    if reference is not None:
        at = _across(reference, 1)
        x, anchor = percent(at), "end" if at > PLOT / 2 else "start"
        grid.append(_line(x, 4, x, y, "ink", stroke_dasharray="2 3", stroke_width=1.5))
        said = {"text_anchor": anchor, "dx": -6 if anchor == "end" else 6}
        numbers.append(_text(f"{reference_label} {of_100(reference)}", 14, x, "muted", **said))
    return _chart(key, title, readings, end, [*grid, *body, *numbers])


def bars(rows: Iterable[Mapping[str, Any] | Share], *, key: str, title: str, axis: str = "") -> Markup:
    """One bar a row from a zero line: solid to the low end of its interval, fading to the high end."""
    shares = [Share.of(row) for row in rows]
    end, step = _axis_for(shares)
    fades = [
        element(
            "linearGradient",
            element("stop", offset=0, class_=phase, stop_color=PHASES[phase].colour),
            element("stop", offset=1, class_=phase, stop_color=PHASES[phase].colour, stop_opacity=0.08),
            id=f"{key}-fade-{phase}",
        )
        for phase in PHASES
        if any(row.phase == phase for row in shares)
    ]
    body: list[Markup] = []
    readings = [axis] if axis else []
    y = 0.0
    for row in shares:
        drawn, y = _heading(row, y, _aside(row))
        body += drawn
        if row.drawn and row.share is not None:
            style, colour = row.phase, PHASES[row.phase].colour
            low = row.share if row.low is None else row.low
            high = row.share if row.high is None else row.high
            zero, low_x, high_x = (_across(value, end) for value in (0, low, high))
            box = {"y": y + 3, "height": 14}
            if row.level == "enough":
                body.append(
                    element(
                        "rect",
                        x=percent(zero),
                        width=percent(low_x - zero),
                        **box,
                        class_=style,
                        fill=colour,
                    )
                )
                if high > low:
                    fade = f"url(#{key}-fade-{style})"
                    body.append(element("rect", x=percent(low_x), width=percent(high_x - low_x), **box, fill=fade))
                x = percent(_across(row.share, end))
                body.append(_line(x, y + 1, x, y + 19, "ink", stroke_width=2))
            else:
                wide = {"stroke-width": 2, "stroke-dasharray": "4 3"}
                body.append(_line(percent(low_x), y + 10, percent(high_x), y + 10, row.phase, **wide))
                body.append(_mark(percent(_across(row.share, end)), y + 10, row.phase, hollow=True))
            body.append(_text(_value(row), y + 15, "100%", text_anchor="end"))
        else:
            body.append(_text(_value(row), y + 14, style="muted"))
        readings.append(f"{row.label}: {_value(row)}{_counted(row)}")
        y += 30
    grid, numbers, bottom = _x_axis(end, step, 0, y, axis)
    return _chart(key, title, readings, bottom, [element("defs", *fades), *grid, *body, *numbers])


def strips(
    rows: Iterable[Mapping[str, Any] | Share],
    *,
    key: str,
    title: str,
    axis: str = "",
    chosen: Mapping[str, Any] | None = None,
) -> Markup:
    """One lane a label with a mark for each of its rows: how far choices move a share. The chosen share is a line
    through all lanes and its interval a band. A row's ``note`` names it; the two ends of a lane are named in words."""
    lanes: dict[str, list[Share]] = {}
    for row in map(Share.of, rows):
        if row.drawn:
            lanes.setdefault(row.label, []).append(row)
    middle = Share.of({**(chosen or {}), "label": "as published"})
    body: list[Markup] = []
    readings = [axis] if axis else []
    if chosen:
        readings.append(f"{middle.label}: {_value(middle)}")
    y = top = 24.0
    for label, lane in lanes.items():
        lane.sort(key=_share)
        ends = [("lowest", lane[0]), ("highest", lane[-1])] if len(lane) > 1 else []
        drawn, y = _heading(Share(label, href=lane[0].href), y, f"{len(lane)} choices" if ends else "")
        stacks = _stacks([_across(_share(row), 1) for row in lane])
        y += 7 * max(stacks) + 6
        marks = [
            element(
                "circle",
                element("title", f"{row.note}: {_value(row)}"),
                cx=percent(_across(_share(row), 1)),
                cy=y - 7 * stack,
                r=3.5,
            )
            for row, stack in zip(lane, stacks, strict=True)
        ]
        span = " to ".join(of_100(_share(row)) for _, row in ends) or of_100(_share(lane[0]))
        body += [*drawn, element("g", *marks, **_ink("ink")), _text(span, y + 5, "100%", text_anchor="end")]
        y += 8
        named = [f"{word}: {row.note}" for word, row in ends] or [lane[0].note]
        for line in named:
            body.append(_text(textwrap.shorten(line, MAX_LABEL + 4, placeholder="…"), y + 14, style="muted"))
            y += NOTE
        readings.append(f"{label}: {span}, {', '.join(named)}")
        y += 12
    ground, numbers, end = _x_axis(1, 0.25, top - 4, y, axis)
    if middle.share is not None:
        if middle.low is not None and middle.high is not None:
            left, right = _across(middle.low, 1), _across(middle.high, 1)
            band = {"x": percent(left), "width": percent(right - left), "y": top - 4, "height": y - top + 4}
            ground.append(element("rect", **band, class_="rule", fill=COLOURS["rule"], fill_opacity=0.5))
        at = _across(middle.share, 1)
        ground.append(_line(percent(at), top - 4, percent(at), y, "ink", stroke_width=1.5))
        anchor = "end" if at > PLOT / 2 else "start"
        numbers.append(_text(f"{middle.label} {_value(middle)}", 14, percent(at), "muted", text_anchor=anchor))
    return _chart(key, title, readings, end, [*ground, *body, *numbers])


def _share(row: Share) -> float:
    return row.share or 0.0


def _stacks(places: Sequence[float], step: float = 1.6) -> list[int]:
    """For marks in order along an axis (per cent): how many marks above the line each stands, so that none hides
    another."""
    stacks: list[int] = []
    last: list[float] = []
    for place in places:
        stack = next((i for i, left in enumerate(last) if place - left >= step), len(last))
        last[stack : stack + 1] = [place]
        stacks.append(stack)
    return stacks


def _ordinal(period: str) -> int:
    match = re.match(r"(\d{4})(?:-(?:H([12])|Q([1-4])|(0[1-9]|1[0-2])))?\Z", period)
    if match is None:
        raise ValueError(f"chart period {period!r} is not like 2025-03, 2025-Q1, 2025-H1 or 2025")
    year, half, quarter, month = int(match[1]), match[2], match[3], match[4]
    if month:
        return 12 * year + int(month) - 1
    if half:
        return 2 * year + int(half) - 1
    return 4 * year + int(quarter) - 1 if quarter else year


def trend(rows: Iterable[Mapping[str, Any] | Share], *, key: str, title: str, axis: str = "") -> Markup:
    """Dots with whiskers over time, one panel a label, all on the same axes; a period left out is a gap."""
    shares = [Share.of(row) for row in rows]
    # A month is told by its digits, a quarter or a half by its letter.
    if len({row.period[4:6].replace("1", "0") for row in shares}) > 1:
        raise ValueError("chart periods of different lengths: use months, quarters, halves or years alone")
    # The axis fits every share, and whiskers where they carry enough; a whisker of a thin period is cut at the top.
    end, _ = _axis_for(replace(row, low=None, high=None) if row.level == "about" else row for row in shares)
    moments = [_ordinal(row.period) for row in shares]
    first, last = min(moments, default=0), max(moments, default=0)
    slot = 1000 / (last - first + 1)
    panels: dict[str, list[Share]] = {}
    for row in shares:
        panels.setdefault(row.label, []).append(row)
    body: list[Markup] = []
    readings = [axis] if axis else []
    tall, y = 84, 0.0
    for label, panel in panels.items():
        few = sum(not row.drawn for row in panel)
        note = f"{few} of {len(panel)} too few to tell" if few else ""
        drawn, y = _heading(Share(label, href=panel[0].href), y, note)
        body += drawn
        y += 6
        # A middle line and the two ends; more would crowd a panel this low.
        for value in (0.0, end / 2, end):
            level = y + tall * (1 - value / end)
            body.append(_line("0", level, "90%", level, "rule" if value else "axis"))
            written = f"{100 * value:.3g}"
            body.append(_text(written, level + 4, "100%", "muted", text_anchor="end"))
        body.append(_panel(panel, first, slot, end, y, tall))
        readings += [f"{label}, {row.period}: {_value(row)}{_counted(row)}" for row in panel]
        y += tall + 14
    if panels:
        named = sorted({(_ordinal(row.period), row.period) for row in shares})
        for moment, period in _spread(named, 4):
            x = 0.09 * slot * (moment - first + 0.5)
            anchor = "start" if x < 12 else "end" if x > 78 else "middle"
            place = "0" if anchor == "start" else "90%" if anchor == "end" else percent(x)
            body.append(_text(period, y + 4, place, "muted", text_anchor=anchor))
        y += 12
    for line in textwrap.wrap(axis, MAX_LABEL + 4):
        body.append(_text(line, y + 14, style="muted"))
        y += NOTE
    return _chart(key, title, readings, y + 4, body)


def _panel(panel: list[Share], first: int, slot: float, end: float, y: float, tall: int) -> Markup:
    """Whiskers and dots as three paths in a plane stretched to the width; strokes keep their width."""
    whiskers, full, hollow = "", "", ""
    for row in panel:
        if not row.drawn or row.share is None:
            continue
        x = round(slot * (_ordinal(row.period) - first + 0.5), 1)
        low, middle, high = (
            max(round(tall * (1 - (row.share if value is None else value) / end), 1), 0.0)
            for value in (row.low, row.share, row.high)
        )
        whiskers += f"M{x:g} {high:g}V{low:g}"
        dot = f"M{x:g} {middle:g}h0"
        full, hollow = full + dot, hollow + (dot if row.level == "about" else "")
    style = panel[0].phase
    pen = {"vector-effect": "non-scaling-stroke", "fill": "none", "stroke-linecap": "round"}
    ink = {"class_": f"pen {style}", "stroke": PHASES[panel[0].phase].colour}
    paths = [
        element("path", d=whiskers, stroke_width=2, stroke_opacity=0.6, **ink, **pen),
        element("path", d=full, stroke_width=9, **ink, **pen),
        element("path", d=hollow, stroke_width=5, class_="pen paper", stroke=COLOURS["paper"], **pen) if hollow else "",
    ]
    plane = {"viewBox": f"0 0 1000 {tall}", "preserveAspectRatio": "none", "overflow": "visible"}
    return element("svg", *paths, x=0, y=y, width="90%", height=tall, **plane)


def _spread(items: Sequence[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    """At most ``most`` of the items, the first and the last among them, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
