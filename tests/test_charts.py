"""Charts: valid, accessible, small, escaped, the same each time; and the colours of the style sheet."""

import math
import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from flywheel import charts
from flywheel.svg import element, standalone

ROOT = Path(__file__).resolve().parent.parent
SVG = "{http://www.w3.org/2000/svg}"
Row = dict[str, Any]

PLACES = ["r/LocalLLaMA and other AI subreddits, 2025–26", "Hub, 2022–24", "OpenAI forum, titles, 2021–24"]
SHARES: list[Row] = [
    {"label": "Mean of 3 places", "share": 0.71, "low": 0.65, "high": 0.76, "apart": 1, "phase": "evaluate"},
    *(
        {
            "label": place,
            "share": 0.7,
            "low": 0.6,
            "high": 0.8,
            "n": 1234,
            "phase": "evaluate",
            "href": "/x?a=1&b",
        }
        for place in PLACES
    ),
    {
        "label": "Trackers",
        "share": 0.5,
        "low": 0.3,
        "high": 0.7,
        "n": 21,
        "level": "about",
        "phase": "iterate",
    },
    {"label": "Blogs", "share": 0.5, "low": 0.1, "high": 0.9, "n": 7, "threads": 2, "level": "few"},
]
SPLITS: list[Row] = [
    {"label": "Mean", "train": 0.8, "evaluate": 0.14, "iterate": 0.06, "apart": 1},
    *({"label": place, "train": 0.7, "evaluate": 0.2, "iterate": 0.1, "n": 90} for place in PLACES),
    {"label": "Blogs", "n": 1, "threads": 1, "level": "few"},
]
TREND: list[Row] = [
    {**SHARES[1], "label": place, "period": f"{2023 + i // 4}-Q{i % 4 + 1}", "href": ""}
    for place in PLACES
    for i in range(8)
]
STRIPS: list[Row] = [
    {"label": lane, "share": 0.4 + 0.1 * i, "low": 0.3, "high": 0.9, "note": f"{lane} {i}"}
    for lane in ["where a theme belongs", "which places count"]
    for i in range(4)
]
ROWS: dict[str, list[Row]] = {"stacked": SPLITS, "dots": SHARES, "bars": SHARES, "trend": TREND, "strips": STRIPS}
MAKERS: dict[str, Callable[..., Markup]] = {name: getattr(charts, name) for name in ROWS}


def words(root: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", ROWS)
def test_a_chart_says_what_it_is_and_is_small(name: str) -> None:
    chart = MAKERS[name](ROWS[name], key="figure-one", title="What it finds")
    root = ElementTree.fromstring(chart)
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text == "What it finds"
    assert description is not None and all(row["label"] in str(description.text) for row in ROWS[name])
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert len(chart.encode()) < 8_000


@pytest.mark.parametrize("name", ROWS)
def test_it_is_fast(name: str) -> None:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        MAKERS[name](ROWS[name], key="k", title="t")
        times.append(time.perf_counter() - start)
    # Measured at 0.6 to 1.0 ms; the best of 20 keeps a busy machine from failing the test.
    assert min(times) < 0.002


@pytest.mark.parametrize("name", ROWS)
def test_an_image_holds_no_links_and_a_group_may(name: str) -> None:
    for href in ("", "/themes/x"):
        rows = [{**row, "href": href} for row in ROWS[name]]
        root = ElementTree.fromstring(MAKERS[name](rows, key="k", title="t"))
        links = [link.get("href") for link in root.iter(f"{SVG}a")]
        assert root.get("role") == ("group" if href else "img")
        assert set(links) == ({href} if href else set())


@pytest.mark.parametrize("href", ["javascript:alert(1)", "data:text/html,x", "//evil.example", " /x", "x"])
def test_only_plain_addresses_become_links(href: str) -> None:
    assert "<a" not in charts.dots([{"label": "l", "share": 0.5, "href": href}], key="k", title="t")


@pytest.mark.parametrize("name", ROWS)
@settings(deadline=None)
@given(text=st.text(), other=st.text())
def test_hostile_text_is_shown_and_never_interpreted(name: str, text: str, other: str) -> None:
    rows = [{**row, "label": f"{text} {row['label']}", "note": other} for row in ROWS[name]]
    chart = MAKERS[name](rows, key="k", title=text)
    same = MAKERS[name](rows, key="k", title=text)
    root = ElementTree.fromstring(chart)
    plain = ElementTree.fromstring(MAKERS[name](ROWS[name], key="k", title="t"))
    assert chart == same
    # Text may add lines of text; it must not add any other element.
    assert {tag.tag for tag in root.iter()} <= {tag.tag for tag in plain.iter()} | {f"{SVG}text"}
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08]", chart)


@given(st.text(), st.text())
def test_element_escapes_text_and_attributes(text: str, value: str) -> None:
    root = ElementTree.fromstring(element("b", text, title=value))
    assert list(root) == [] and set(root.attrib) == {"title"}


@pytest.mark.parametrize("name", ROWS)
def test_ids_carry_the_key_and_are_unique(name: str) -> None:
    root = ElementTree.fromstring(MAKERS[name](ROWS[name], key="one", title="t"))
    ids = [tag.get("id") for tag in root.iter() if tag.get("id")]
    assert len(ids) == len(set(ids)) and all(str(found).startswith("one") for found in ids)
    for used in re.findall(r"url\(#([^)]+)\)", ElementTree.tostring(root, encoding="unicode")):
        assert used in ids


@pytest.mark.parametrize("name", ROWS)
def test_no_rows_make_an_empty_chart_not_an_error(name: str) -> None:
    assert "No rows." in MAKERS[name]([], key="k", title="t")


@pytest.mark.parametrize("name", ["dots", "bars"])
def test_what_carries_nothing_is_not_drawn(name: str) -> None:
    few = {"label": "Blogs", "share": 0.5, "low": 0.1, "high": 0.9, "n": 1, "threads": 1, "level": "few"}
    root = ElementTree.fromstring(MAKERS[name]([few], key="k", title="t"))
    assert "too few to tell (1 signal from 1 thread)" in words(root)
    assert not list(root.iter(f"{SVG}path")) and not list(root.iter(f"{SVG}rect"))


@pytest.mark.parametrize("name", ["dots", "bars"])
def test_about_is_said_and_drawn_hollow_without_a_bar(name: str) -> None:
    about = {"label": "Trackers", "share": 0.5, "low": 0.3, "high": 0.7, "n": 21, "level": "about"}
    root = ElementTree.fromstring(MAKERS[name]([about], key="k", title="t"))
    assert "about 50 (30–70)" in words(root)
    assert [path.get("class") for path in root.iter(f"{SVG}path")] == ["hollow plain"]
    assert not list(root.iter(f"{SVG}rect"))


def test_each_phase_has_its_own_shape_and_texture() -> None:
    shapes = {phase.shape for phase in charts.PHASES.values()} | {phase.glyph for phase in charts.PHASES.values()}
    assert len(shapes) == 2 * len(charts.PHASES)
    root = ElementTree.fromstring(charts.stacked(SPLITS, key="k", title="t"))
    patterns = ["".join(str(part.get("d")) for part in pattern) for pattern in root.iter(f"{SVG}pattern")]
    assert len(set(patterns)) == len(patterns) == 3


def test_segments_fill_the_bar() -> None:
    root = ElementTree.fromstring(charts.stacked([SPLITS[1]], key="k", title="t"))
    segments = [tag for tag in root.iter(f"{SVG}rect") if tag.get("class") == "segment"]
    assert [(tag.get("x"), tag.get("width")) for tag in segments] == [
        ("0%", "70%"),
        ("70%", "20%"),
        ("90%", "10%"),
    ]


def test_a_reference_is_drawn_and_told() -> None:
    chart = charts.dots(SHARES, key="k", title="t", reference=0.77, reference_label="first telling")
    root = ElementTree.fromstring(chart)
    assert "first telling 77" in words(root)
    assert "first telling: 77 of 100" in str(root.findtext(f"{SVG}desc"))


def test_a_strip_names_its_ends_and_hides_no_mark() -> None:
    rows = [{"label": "lane", "share": share, "note": f"at {share}"} for share in (0.5, 0.2, 0.501, 0.8, 0.502)]
    chart = charts.strips(rows, key="k", title="t", chosen={"share": 0.5, "low": 0.4, "high": 0.6})
    root = ElementTree.fromstring(chart)
    marks = [(float(str(c.get("cx"))[:-1]), float(str(c.get("cy")))) for c in root.iter(f"{SVG}circle")]
    assert len(marks) == 5
    assert all(abs(x - u) >= 1.6 or abs(y - v) >= 7 for i, (x, y) in enumerate(marks) for u, v in marks[:i])
    assert {"lowest: at 0.2", "highest: at 0.8", "20 to 80", "as published 50 (40–60)"} <= set(words(root))


def test_a_period_left_out_is_a_gap() -> None:
    def places_of(periods: list[str]) -> list[float]:
        rows = [{"label": "l", "share": 0.5, "period": period} for period in periods]
        root = ElementTree.fromstring(charts.trend(rows, key="k", title="t"))
        pen = next(tag for tag in root.iter(f"{SVG}path") if tag.get("stroke-width") == "9")
        return [float(x) for x in re.findall(r"M([\d.]+)", str(pen.get("d")))]

    first, second, fourth = places_of(["2025-Q4", "2026-Q1", "2026-Q3"])
    assert fourth - second == pytest.approx(2 * (second - first), abs=0.2)
    first, second, fourth = places_of(["2024-H2", "2025-H1", "2026-H1"])
    assert fourth - second == pytest.approx(2 * (second - first), abs=0.2)
    with pytest.raises(ValueError, match="different lengths"):
        places_of(["2024-H2", "2024-Q1"])


@pytest.mark.parametrize(
    ("make", "row", "message"),
    [
        ("dots", {"label": "a", "share": 71}, "chart row 'a': share is 71, not a fraction"),
        ("dots", {"label": "a", "share": 0.5, "low": float("nan")}, "chart row 'a': low is nan"),
        ("bars", {"label": "a", "share": 0.5, "low": 0.6}, "0.5 outside 0.6"),
        ("dots", {"label": "a", "level": "sure"}, "level is 'sure'"),
        ("dots", {"label": "a", "phase": "test"}, "no phase 'test'"),
        ("dots", {"share": 0.5}, "no label"),
        ("stacked", {"label": "a", "train": 0.5}, "phases sum to 0.5000"),
        ("trend", {"label": "a", "period": "2025-13"}, "period '2025-13'"),
    ],
)
def test_bad_rows_are_named(make: str, row: Row, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        MAKERS[make]([row], key="k", title="t")


def test_a_bad_key_is_refused() -> None:
    with pytest.raises(ValueError, match="chart key"):
        charts.dots(SHARES, key='x" onload="', title="t")


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.713,), "71"),
        ((0.713, 0.65, 0.764), "71 (65–76)"),
        ((0.713, 0.70, 0.73), "71.3 (70.0–73.0)"),
        ((0.004, 0.0, 0.06), "<1 (0–6)"),
        ((0.0, 0.0, 0.05), "0 (0–5)"),
    ],
)
def test_numbers_are_no_finer_than_their_interval(numbers: tuple[float, ...], text: str) -> None:
    assert charts.of_100(*numbers) == text


@pytest.mark.parametrize("name", ROWS)
def test_standalone_has_a_view_box_and_still_everything(name: str) -> None:
    chart = MAKERS[name](ROWS[name], key="k", title="t")
    root = ElementTree.fromstring(standalone(chart))
    assert re.fullmatch(r"-16 -16 752 \d+", str(root.get("viewBox")))
    assert words(root) == words(ElementTree.fromstring(chart))
    assert "<a " not in standalone(chart) and 'role="img"' in standalone(chart)


def test_standalone_refuses_what_is_no_chart() -> None:
    with pytest.raises(ValueError, match="not a chart"):
        standalone("<p>no</p>")


# --- colours of the style sheet ---


def palettes() -> dict[str, dict[str, str]]:
    sheet = (ROOT / "static" / "site.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r"^ *:root \{(.*?)^ *\}", sheet, re.DOTALL | re.MULTILINE)[:2]
    )
    return {"light": light, "dark": light | dark}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("names", "least"),
    [
        (("train", "evaluate", "iterate", "plain", "axis"), 3.0),
        (("train-text", "evaluate-text", "iterate-text", "ink", "muted", "link", "warning"), 4.5),
    ],
)
def test_contrast(scheme: str, names: tuple[str, ...], least: float) -> None:
    palette = palettes()[scheme]
    grounds = ("paper", "sunk") if least > 3 else ("paper",)
    too_low = {
        f"{name} on {ground}": round(contrast(palette[name], palette[ground]), 2)
        for name in names
        for ground in grounds
        if contrast(palette[name], palette[ground]) < least
    }
    assert too_low == {}


def test_charts_fall_back_to_the_light_colours_of_the_style_sheet() -> None:
    light = palettes()["light"]
    for name, colour in charts.COLOURS.items():
        assert light[name] == colour
    for name, phase in charts.PHASES.items():
        assert light[name] == phase.colour
        assert light.get(f"{name}-text", phase.text) == phase.text


@pytest.mark.parametrize("parts", [(0.8, 0.14, 0.06), (0.34, 0.33, 0.33), (1.0, 0.0, 0.0), (0.98, 0.015, 0.005)])
def test_the_arcs_of_the_wheel_are_as_long_as_the_parts(parts: tuple[float, float, float]) -> None:
    split = dict(zip(("train", "evaluate", "iterate"), parts, strict=True))
    root = ElementTree.fromstring(charts.wheel({"label": "Mean", **split}, key="k", title="t"))
    turned = []
    for path in (tag for tag in root.iter(f"{SVG}path") if tag.get("class") == "segment"):
        points = [
            tuple(map(float, p))
            for p in re.findall(r"[MAL](?:[\d. ]+ [01] 1 )?(-?[\d.]+) (-?[\d.]+)", str(path.get("d")))
        ]
        (x1, y1), (x2, y2) = points[0], points[2]
        turned.append(math.degrees(math.atan2(x2, -y2) - math.atan2(x1, -y1)) % 360)
    drawn = [part for part in parts if part > 0]
    assert turned == pytest.approx([360 * part for part in drawn], abs=2.6)


def test_a_card_is_as_large_as_those_who_show_it_ask_for() -> None:
    card = charts.card("A title", ["A sentence."], key="k", foot="Foot", split=SPLITS[0])
    alone = ElementTree.fromstring(standalone(card))
    assert (alone.get("width"), alone.get("height")) == ("600", "315")
    assert "A sentence." in words(alone) and "of 100 posts" in words(alone)
