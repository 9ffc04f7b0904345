"""Measures ways of drawing one chart, eight shares with intervals: size, time, and what the SVG holds.

    python -m venv measure
    measure/bin/pip install markupsafe pygal==3.1.3 matplotlib==3.11.2
    measure/bin/pip install altair==6.3.0 vl-convert-python==1.9.0.post1
    PYTHONPATH=build measure/bin/python docs/measure_charts.py

None of these libraries is a dependency of the project; docs/charts.md has the table that this prints.
"""

import io
import re
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

ROWS = [
    {
        "label": f"Place number {i}, 2025–26",
        "share": 0.3 + 0.05 * i,
        "low": 0.2 + 0.05 * i,
        "high": 0.4 + 0.05 * i,
    }
    for i in range(8)
]


def with_pygal() -> str:
    import pygal

    chart = pygal.HorizontalBar(title="Title")
    for row in ROWS:
        chart.add(row["label"], {"value": row["share"], "ci": {"low": row["low"], "high": row["high"]}})
    return str(chart.render(is_unicode=True))


def with_matplotlib() -> str:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "fixed", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    shares = [row["share"] for row in ROWS]
    around = [[row["share"] - row["low"] for row in ROWS], [row["high"] - row["share"] for row in ROWS]]
    axes.errorbar(shares, range(len(ROWS)), xerr=around, fmt="o")
    axes.set_yticks(range(len(ROWS)), [row["label"] for row in ROWS])
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return file.getvalue()


def with_vl_convert() -> str:
    import altair
    import vl_convert

    data = altair.Data(values=ROWS)
    whiskers = altair.Chart(data).mark_rule().encode(x="low:Q", x2="high:Q", y="label:N")
    dots = altair.Chart(data).mark_point().encode(x="share:Q", y="label:N")
    return str(vl_convert.vegalite_to_svg(altair.layer(whiskers, dots).to_json()))


def with_charts() -> str:
    from flywheel import charts

    return charts.dots(ROWS, key="figure", title="Title")


def described(svg: str) -> bool:
    found = re.search("<desc[^>]*>([^<]*)", svg)
    return found is not None and all(str(row["label"]) in found[1] for row in ROWS)


WAYS: dict[str, Callable[[], str]] = {
    f"pygal {version('pygal')}": with_pygal,
    f"matplotlib {version('matplotlib')}": with_matplotlib,
    f"altair {version('altair')}, vl-convert {version('vl-convert-python')}": with_vl_convert,
    "flywheel.charts": with_charts,
}

print("| way | KB | ms | ms the first | same bytes | numbers in `<desc>` | light and dark by CSS | scripts |")
print("|---|---|---|---|---|---|---|---|")
for name, draw in WAYS.items():
    times = []
    for _ in range(21):
        start = time.perf_counter()
        svg = draw()
        times.append(1000 * (time.perf_counter() - start))
    facts = [draw() == svg, described(svg), 'class="ink"' in svg, "<script" in svg]
    answers = " | ".join("yes" if fact else "no" for fact in facts)
    size = len(svg.encode()) / 1024
    print(f"| {name} | {size:.1f} | {statistics.median(times[1:]):.1f} | {times[0]:.0f} | {answers} |")
