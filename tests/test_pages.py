"""The pages over real and over made-up data: every number from a query, a sentence for every turn of the data,
hostile text shown as text."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from flywheel import charts, pipeline, vocabulary
from tests.conftest import ROOT, DataFolder
from tests.posts import coded, drawn
from tests.served import ask

THEMES = list(vocabulary.read(ROOT / "data").themes)
PAGES = [
    "/",
    "/memo",
    "/themes",
    "/method",
    "/downloads",
    "/changes",
    "/search",
    "/search?q=resume",
    "/recount",
    "/iterate",
    *(f"/themes/{t}" for t in THEMES),
]

# What may stand in a template as a digit: parts of the method, no finding.
CONSTANTS = {
    "95 %", "Of 100", "of 100", "between 0 and 100", "2,000 characters", "Under 10", "From 10 to 29", "from 10 to 29",
    "Figure 1 above", "Section 1", "Section 3", "Section 5", "section 5", "section 6",
    "30 signals", "3 threads", "2021 to mid 2024", "85 of 100", "10,000 rows",
}  # fmt: skip


def prose(html: str) -> str:
    """A page's text as a reader sees it, tables and charts left out."""
    html = re.sub(r"(?s)<(svg|script|style|table|form)\b.*?</\1>", " ", html)
    text = re.sub(r"<[^>]+>", "", html)
    return re.sub(r"\s+", " ", text).replace("&amp;", "&").replace("&#39;", "'")


def one(database: Path, sql: str) -> tuple[Any, ...]:
    with sqlite3.connect(database) as db:
        row: tuple[Any, ...] = db.execute(sql).fetchone()
    return row


def listed(html: str) -> list[str]:
    """The ids of the posts in a page's list, in its order."""
    return re.findall(r'<p><a href="/posts/([^"#]+)">', html.partition('<ol class="posts"')[2])


def test_every_page_answers(database: Path) -> None:
    answers = ask(database, PAGES)
    signals, copies = one(
        database, "select count(*), (select count(*) from duplicates) from signals where labelled_by <> 'machine'"
    )
    posts = copies + signals + one(database, "select count(*) from screened")[0]
    assert len(THEMES) == 18
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(PAGES, 200)
    for answer in answers.values():
        assert "Independent of Thinking Machines Lab" in answer.text
        assert f"{signals:,} of {posts:,} posts read" in prose(answer.text)


def test_no_finding_is_typed_by_hand() -> None:
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        text = re.sub(r"(?s)\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<h2.*?</h2>|<code>.*?</code>|<[^>]+>|&#?\w+;", " ", text)
        text = re.sub(r"\s+", " ", text)
        for constant in sorted(CONSTANTS, key=len, reverse=True):
            text = re.sub(rf"(?<![\d,.]){re.escape(constant)}(?![\d,.]*\d)", " ", text)
        left = re.findall(r".{0,30}\d.{0,30}", text)
        assert not left, f"{template.name}: {left}"


def test_the_lead_sentence_says_what_the_estimates_say(database: Path) -> None:
    with sqlite3.connect(database) as db:
        mean = dict(
            db.execute(
                """select measure || ' ' || subject, share from estimates join windows using (window)
                where "by" = '' and method = 'process' and role = 'all' and variant = ''
                and measure in ('of_100', 'headline')"""
            )
        )
        low, high = db.execute(
            """select low, high from estimates join windows using (window) where measure = 'headline' and "by" = ''
            and method = 'process' and role = 'all' and variant = ''"""
        ).fetchone()
        places = db.execute(
            """select short, share from estimates join windows using (window) join places on slug = value
            where measure = 'headline' and "by" = 'place' and method = 'process' and role = 'all' and variant = ''
            and places.frame = 'population' order by share"""
        ).fetchall()
    said = prose(ask(database, ["/memo"])["/memo"].text)
    of = {name: f"{100 * share:.0f}" for name, share in mean.items()}
    assert (
        f"about {of['of_100 train']} are about getting a run done, {of['of_100 evaluate']} about how a run came out "
        f"and {of['of_100 iterate']} about the next one (mean of {len(places)} places"
    ) in said
    assert (
        f"Of 100 that are past a run, {of['headline evaluate']} ({100 * low:.0f}–{100 * high:.0f}; "
        f"{100 * places[0][1]:.0f} on {places[0][0]} to {100 * places[-1][1]:.0f} on {places[-1][0]}) "
        "are about how that run came out."
    ) in said
    assert "posts, not developers" in said


def test_every_link_to_a_query_answers(database: Path) -> None:
    pages = ask(database, ["/", "/memo", "/method", "/themes/overfitting", "/search?q=merge"])
    links = {
        link.replace("&amp;", "&")
        for answer in pages.values()
        for link in re.findall(r'href="(/[^"#]*)"', answer.text)
        if not link.startswith(("/static", "/signals.db"))
    }
    answers = ask(database, sorted(links))
    assert {path: a.status_code for path, a in answers.items() if a.status_code != 200} == {}
    assert sum(path.startswith("/signals/") for path in links) > 20


def test_an_unknown_theme_is_told_apart(database: Path) -> None:
    answer = ask(database, ["/themes/vibes"])["/themes/vibes"]
    assert answer.status_code == 404
    assert "There is no theme" in answer.text


def test_filters_and_pages_of_a_drill_hold_together(database: Path) -> None:
    base = "/themes/continual-updates"
    first, second, filtered, none = ask(
        database, [base, f"{base}?page=2", f"{base}?place=openai-forum&q=again", f"{base}?q=zzzzz"]
    ).values()
    ids = [listed(answer.text) for answer in (first, second)]
    assert len(ids[0]) == len(ids[1]) == 20
    assert not set(ids[0]) & set(ids[1])
    total = one(
        database,
        """select count(*) from signals where theme = 'continual-updates' and place = 'openai-forum'
        and rowid in (select rowid from signals_fts where signals_fts match 'again')""",
    )[0]
    assert f"{total} post" in prose(filtered.text)
    assert 'value="again"' in filtered.text
    assert "No post fits" in none.text


@pytest.mark.parametrize(
    "q", ['c++ "unbalanced (AND', "NOT", "*", "a" * 5000, "日本", "' or 1=1 --", "\u202e", "%00", "⟦x⟧"]
)
def test_hostile_searches_find_or_find_nothing(database: Path, q: str) -> None:
    answer = ask(database, [f"/search?q={quote(q)}"])[f"/search?q={quote(q)}"]
    assert answer.status_code == 200


def test_numbers_of_pages_are_forgiving(database: Path) -> None:
    paths = [f"/themes/overfitting?page={page}" for page in ("-1", "0", "x", "99999999999999999999", "1e9")]
    assert {answer.status_code for answer in ask(database, paths).values()} == {200}


HOSTILE = '<script>alert(1)</script> <img src=x onerror=alert(2)> {{ 7*191 }} ]]> & "quotes" \'n'


def test_hostile_gists_are_shown_as_text(data_folder: DataFolder, tmp_path: Path) -> None:
    rows = [
        coded(n, gist=f"{HOSTILE} {n}", theme="overfitting", ask="bad", run=True, tool="<b>tool</b>") for n in range(40)
    ]
    rows += [drawn(100 + n, gist=HOSTILE, model='"><svg onload=alert(3)>') for n in range(40)]
    out = pipeline.build(data_folder(rows), tmp_path / "hostile" / "signals.db").path
    paths = [
        "/memo", "/themes/overfitting", "/search?q=script", "/signals/signals",
        "/signals/signals/gh~2Esomeone~2Etuner~2E1", "/signals/search?q=script",
        "/signals/theme_drill", "/signals/voices?theme=overfitting",
    ]  # fmt: skip
    for path, answer in ask(out, paths).items():
        assert answer.status_code == 200, path
        assert "<script>alert" not in answer.text, path
        assert "<img src=x" not in answer.text, path
        assert "<b>tool" not in answer.text, path
        assert "1337" not in answer.text, path
    found = ask(out, ["/search?q=script"])["/search?q=script"].text
    assert "&lt;<mark>script</mark>&gt;" in found


def turned(tmp_path: Path) -> Path:
    """The shipped data with evaluate and iterate changed for each other."""
    folder = tmp_path / "turned" / "data"
    shutil.copytree(ROOT / "data", folder)
    taxonomy = (folder / "taxonomy.yml").read_text()
    swapped = taxonomy.replace("phase: evaluate", "phase: X").replace("phase: iterate", "phase: evaluate")
    (folder / "taxonomy.yml").write_text(swapped.replace("phase: X", "phase: iterate"))
    return pipeline.build(folder, tmp_path / "turned" / "signals.db").path


def test_the_memo_says_the_opposite_when_the_data_do(database: Path, tmp_path: Path) -> None:
    before = prose(ask(database, ["/memo"])["/memo"].text)
    after = prose(ask(turned(tmp_path), ["/memo"])["/memo"].text)
    assert "the talk is mostly about how that run came out" in before
    assert "After a run, most posts are about how it came out" in before
    assert "the talk is mostly about the next one" in after
    assert "After a run, most posts are about the next one" in after
    assert "Our readings do not contradict it" in before
    assert "Our readings lie apart from it" in after


def test_with_one_place_there_is_no_mean_and_no_headline(data_folder: DataFolder, tmp_path: Path) -> None:
    out = pipeline.build(data_folder([drawn(n) for n in range(60)]), tmp_path / "one" / "signals.db").path
    said = prose(ask(out, ["/memo"])["/memo"].text)
    assert "There are too few posts here to tell." in said or "No mean can be given" in said
    assert "Fewer than three places have enough signals after a run" in said
    assert "the talk is mostly" not in said


def test_with_no_post_at_all_every_page_still_answers(data_folder: DataFolder, tmp_path: Path) -> None:
    out = pipeline.build(data_folder([coded(1, pain=False, theme=None)]), tmp_path / "none" / "signals.db").path
    assert {path: a.status_code for path, a in ask(out, PAGES[:8]).items()} == dict.fromkeys(PAGES[:8], 200)


def test_shares_are_rounded_as_their_intervals_deserve() -> None:
    assert charts.of_100(0.7108, 0.647, 0.767) == "71 (65–77)"
    assert charts.of_100(0.0358, 0.025, 0.052) == "3.6 (2.5–5.2)"


def test_count_it_your_way_says_what_its_query_says(database: Path) -> None:
    chosen = "place=reddit&place=hub&place=github-engines&seen=opening&export-load=evaluate"
    same = "places=reddit,hub,github-engines&seen=opening&moves=export-load:evaluate"
    sent = {
        "as published": "/recount",
        "chosen": f"/recount?{chosen}",
        "nothing left": "/recount?first=2031-01",
        "one place": "/recount?place=reddit",
        "nonsense": "/recount?place=nowhere&seen=dreams&first=yesterday&heap=%3Cscript%3E&export-load=everywhere",
        "rows": f"/signals/own_count.json?{same}&_shape=array",
    }
    answers = ask(database, sent.values())
    said = {name: prose(answers[path].text) for name, path in sent.items() if name != "rows"}
    mean = next(r for r in answers[sent["rows"]].json() if r["measure"] == "headline" and r["slug"] == "")
    assert (
        f"Of 100 public posts that are past a run, {charts.of_100(mean['share'], mean['low'], mean['high'])}"
        in said["chosen"]
    )
    assert "export and load counts in evaluate" in said["chosen"]
    low, share, high = one(
        database,
        """select low, share, high from estimates join windows using (window) where measure = 'headline' and "by" = ''
        and method = 'process' and role = 'all' and variant = ''""",
    )
    published = charts.of_100(share, low, high)
    assert (
        f"{published} are about how that run came out, counted your way; the memo says {published}"
        in said["as published"]
    )
    assert said["nonsense"].split("counted your way")[0] == said["as published"].split("counted your way")[0]
    assert "No post is left" in said["nothing left"]
    assert "No mean can be given" in said["one place"]
    assert "<script>" not in answers[sent["nonsense"]].text.split("<main")[1].split("</main>")[0]
