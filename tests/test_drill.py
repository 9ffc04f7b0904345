"""Lists that can be narrowed down, and the page of each post: every number is its query's, state stays in the address,
hostile words and hostile text do no harm, and a reader's correction comes through the build."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote

import pytest

from flywheel import pipeline
from tests.conftest import DataFolder
from tests.posts import coded, drawn, write_lines
from tests.served import ask
from tests.test_pages import listed, prose

FACET = re.compile(r'<li( class="set")?><a href="(\?[^"]*)#posts"[^>]*>.*?</a> <span class="n">([\d,]+)</span></li>')
HOSTILE = '<script>alert(1)</script> <img src=x onerror=alert(2)> {{ 7*191 }} & "quotes" \'n'


def total(page: str) -> int:
    """How many posts a list says it has."""
    found = re.search(r'class="count"[^>]*><strong>(?:([\d,]+) posts?|No post fits\.)</strong>', page)
    assert found, "a list says how many posts it has"
    return int((found[1] or "0").replace(",", ""))


def one(database: Path, path: str) -> str:
    answer = ask(database, [path])[path]
    assert answer.status_code == 200, (path, answer.text[-1500:])
    return str(answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=model&year=2024",
        "/search?place=reddit&phase=evaluate",
        "/search?tool=none&ask=none",
        "/themes/overfitting",
    ],
)
def test_the_number_beside_a_filter_is_what_it_leaves(database: Path, path: str) -> None:
    page = one(database, path)
    facets = [(bool(is_set), html.unescape(link), int(n.replace(",", ""))) for is_set, link, n in FACET.findall(page)]
    assert len(facets) > 15
    assert sum(is_set for is_set, _, _ in facets) == sum(
        part.count("=") for part in path.split("&") if "q=" not in part
    )
    base = path.partition("?")[0]
    answers = ask(database, [base + link for is_set, link, _ in facets if not is_set])
    for is_set, link, n in facets:
        # The link of a value that is set takes it away; its number is the list's own.
        assert n == total(page if is_set else answers[base + link].text), link


def test_a_list_holds_the_rows_of_its_query_and_its_file(database: Path) -> None:
    page = one(database, "/search?q=adapter&phase=iterate&place=github-trackers")
    links = [html.unescape(link) for link in re.findall(r'href="(/signals/search[^"]*)"', page)]
    (as_csv,) = (link for link in links if "search.csv" in link)
    (as_json,) = (link for link in links if "search.json" in link)
    answers = ask(database, [as_csv, as_json])
    rows = list(csv.DictReader(io.StringIO(answers[as_csv].text)))
    assert len(rows) == total(page) == len(answers[as_json].json()["rows"]) > 20
    assert [row["id"] for row in rows][:20] == listed(page)
    with sqlite3.connect(database) as db:
        (counted,) = db.execute(
            """select count(*) from signals where phase = 'iterate' and place = 'github-trackers' and rowid in
            (select rowid from signals_fts where signals_fts match 'adapter')"""
        ).fetchone()
    assert counted == total(page)


def test_state_stays_in_the_address(database: Path) -> None:
    page = one(database, "/search?q=lora&phase=train&year=2024&tool=Unsloth")
    assert 'type="hidden" form="drill" name="phase" value="train"' in page
    assert 'name="q" value="lora"' in page
    links = [html.unescape(link) for link in re.findall(r'href="(\?[^"#]*)#posts"', page)]
    given = [parse_qs(link[1:]) for link in links]
    assert {"q": ["lora"], "phase": ["train"], "year": ["2024"]} in given, "a chip takes one filter away"
    assert {"phase": ["train"], "year": ["2024"], "tool": ["Unsloth"]} in given
    more = one(database, "/search?phase=train&year=2023")
    assert "?phase=train&amp;year=2023&amp;page=2#posts" in more
    second = one(database, "/search?phase=train&year=2023&page=2")
    assert not set(listed(more)) & set(listed(second))
    assert total(more) == total(second)
    assert "page=" not in re.findall(r'href="(\?[^"]*place=[^"]*)"', second)[0], "a new filter starts at its first page"


def test_the_numbers_of_what_a_theme_comes_with_are_those_of_their_lists(database: Path) -> None:
    page = one(database, "/themes/output-defects")
    names = re.findall(r'<a href="(\?(?:tool|model)=[^"]*)#posts">[^<]*</a> <span class="n">([\d,]+) of', page)
    beside = re.findall(r'<a class="n" href="(/themes/[a-z-]+)?(\?beside=[^"]*)#posts"[^>]*>([\d,]+)</a>', page)
    assert len(names) > 10 and len(beside) > 10
    numbers = {f"/themes/output-defects{link}": n for link, n in names}
    numbers |= {(theme or "/themes/output-defects") + link: n for theme, link, n in beside}
    paths = {html.unescape(path): int(n.replace(",", "")) for path, n in numbers.items()}
    assert {path: total(answer.text) for path, answer in ask(database, paths).items()} == paths


def test_what_finds_nothing_says_what_would(database: Path) -> None:
    page = one(database, "/search?q=zzzz+checkpoint&place=reddit&seen=title")
    assert total(page) == 0
    ways = re.findall(r'<li><a href="(\?[^"#]*)#posts">[^<]*</a>: ([\d,]+) posts?</li>', page)
    assert ways == []  # no single filter is at fault
    page = one(database, "/search?q=zzzz+model&place=reddit")
    ways = re.findall(r'<li><a href="(\?[^"#]*)#posts">([^<]*)</a>: ([\d,]+) posts?</li>', page)
    assert [text for _, text, _ in ways] == ["Without words “zzzz model”", "Only “model”"]
    for link, _, number in ways:
        assert total(one(database, "/search" + html.unescape(link))) == int(number.replace(",", ""))
    assert "Spelling is not corrected" in page


def test_a_page_behind_the_last_leads_back(database: Path) -> None:
    page = one(database, "/search?q=adapter&page=999")
    assert "There is no page 999" in prose(page)
    assert listed(page) == []


HOSTILE_WORDS = (
    ['""', '"', "\0", "loss\0", "NEAR(a b)", "gist:model", "^model*", "(", "-", "a OR", "日本語", "　",
     "'; drop table signals", " ".join(["model"] * 2000), "\u202e", "⟦x⟧", "[" * 50, '"a" "b', "\\", "%", "微调\"x"]
)  # fmt: skip


def test_no_words_are_an_error(database: Path) -> None:
    paths = [
        path
        for q in map(quote, HOSTILE_WORDS)
        for path in (f"/search?q={q}", f"/themes/overfitting?q={q}&place={q}&page={q[:9]}")
    ]
    for path, answer in ask(database, paths).items():
        # More words than anybody types are refused (plugins/security.py).
        assert answer.status_code == (414 if path.count("model") > 100 else 200), path[:80]
        assert answer.status_code == 414 or total(answer.text) >= 0


def test_words_are_stems_and_the_best_match_leads(database: Path) -> None:
    page = one(database, "/search?q=resumes")
    assert "<mark>Resum" in page or "<mark>resum" in page
    answer = ask(database, ["/signals/search.json?_shape=array&q=resume+checkpoint"])
    matches = [row["match"] for row in next(iter(answer.values())).json()]
    assert matches == sorted(matches, reverse=True)


def test_words_without_borders_are_found_as_they_stand(database: Path, tmp_path: Path) -> None:
    """The index takes a run of Chinese for one word; parts of it are looked for in the text itself."""
    titled = tmp_path / "signals.db"
    shutil.copy(database, titled)
    with sqlite3.connect(titled) as db:
        (post,) = db.execute("select id from signals where place = 'github-trackers' order by id limit 1").fetchone()
        db.execute("update signals set title = '模型微调后输出不停止' where id = ?", [post])
    for words in ("微调", "停止 模型", "輸出"):
        page = one(titled, f"/search?q={quote(words)}")
        assert listed(page) == ([post] if words != "輸出" else [])
    assert "in English" in prose(page)


def test_a_filter_that_is_nothing_shows_itself(database: Path) -> None:
    page = one(database, f"/search?place={quote(HOSTILE)}&tool={quote(HOSTILE)}")
    assert total(page) == 0
    assert "<script>alert" not in page and "<img src=x" not in page
    assert html.escape("<script>alert(1)</script>") in page


# --- the page of a post ---


def test_every_kind_of_post_has_a_page(database: Path) -> None:
    with sqlite3.connect(database) as db:
        ids = [
            db.execute(f"select id from {table} where {where} order by id limit 1").fetchone()[0]
            for table, where in (
                ("signals", "labelled_by = 'coded' and theme is not null"),
                ("signals", "theme is null"),
                ("signals", "id in (select post from codings where reading = 3)"),
                ("signals", "month is null"),
                ("screened", "verdict = 'not_a_signal' and why is not null"),
                ("screened", "note is not null"),
                ("screened", "verdict = 'cannot_tell'"),
            )
        ]
    for id in ids:
        page = one(database, f"/posts/{id}")
        said = prose(page)
        assert page.count("<h1") == 1
        assert f"/posts/{id}" in page and "Read it differently?" in said and "Cite this" in said
        assert "data version 1.0.0" in said
        assert re.search(r'<a class="button" href="https://[^"]+" rel="nofollow noopener">', page)


def test_every_link_of_a_post_answers(database: Path) -> None:
    page = one(database, "/posts/rd.1mh3s7q.n6zmnt2")
    links = {html.unescape(link).partition("#")[0] for link in re.findall(r'href="(/[^"]*)"', page)}
    links -= {link for link in links if link.startswith("/static")}
    answers = ask(database, sorted(links))
    assert {path: a.status_code for path, a in answers.items() if a.status_code != 200} == {}
    assert "Every reading" in prose(page)


def test_before_and_after_follow_the_list_of_the_theme(database: Path) -> None:
    ids = listed(one(database, "/themes/overfitting"))
    page = one(database, f"/posts/{ids[3]}")
    assert re.findall(r'rel="(?:prev|next)" href="/posts/([^"]+)"', page) == [ids[2], ids[4]]
    assert "Post 4 of" in prose(page)


def test_the_rows_of_datasette_lead_to_the_page(database: Path) -> None:
    row = one(database, "/signals/signals/gh~2EBlaizzy~2Emlx-vlm~2E2181")
    assert 'href="/posts/gh.Blaizzy.mlx-vlm.2181"' in row


def test_a_missing_post_is_told_apart(database: Path) -> None:
    path = "/posts/gh.no.such.1"
    answer = ask(database, [path])[path]
    assert answer.status_code == 404
    assert "There is no post “gh.no.such.1”" in answer.text and 'href="/search' in answer.text


def test_an_address_without_an_id_leads_to_the_search(database: Path) -> None:
    answer = ask(database, ["/posts"])["/posts"]
    assert (answer.status_code, answer.headers["location"]) == (302, "/search")


def test_hostile_text_on_the_page_of_a_post(data_folder: DataFolder, tmp_path: Path) -> None:
    rows = [
        coded(n, gist=f"{HOSTILE} {n}", theme="overfitting", ask="bad", run=True, tool=HOSTILE[:70]) for n in (1, 2)
    ]
    rows.append(coded(3, pain=False, theme=None, gist=HOSTILE, why="howto"))
    reading = {
        "url": coded(1)["url"],
        "reading": 1,
        "coder": "A",
        "pain": True,
        "theme": "overfitting",
        "reason": HOSTILE,
    }
    out = pipeline.build(data_folder(rows, codings=[reading]), tmp_path / "hostile" / "signals.db").path
    as_reader = f"as=data-quality&reason={quote(HOSTILE)}&ask={quote(HOSTILE)}"
    for path in (
        "/posts/gh.someone.tuner.1", f"/posts/gh.someone.tuner.1?{as_reader}", "/posts/gh.someone.tuner.3",
        "/themes/overfitting", f"/search?tool={quote(HOSTILE[:70])}", "/search?q=quotes",
    ):  # fmt: skip
        page = one(out, path)
        assert "<script>alert" not in page and "<img src=x" not in page and "1337" not in page
        tags = re.sub(r'"[^"]*"', '""', page)
        assert not re.search(r"<[^>]+ (?:style|on\w+)=", tags), "nothing a strict content policy would refuse"
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page)


def derived(number: int) -> dict[str, object]:
    """One post that only a machine has read."""
    url = f"https://huggingface.co/someone/model-1/discussions/{number}"
    return {
        "url": url, "thread": url, "source": "hf_hub", "community": "someone/model-1", "kind": "discussion",
        "set": "hf-hub-discussions", "place": "hub", "frame": "population", "weight": 1.0, "month": "2023-05",
        "seen": "opening", "relevance": 0.9, "signal": True, "theme": "overfitting",
        "themes": {"overfitting": 0.71, "data-quality": 0.2}, "ask": "bad", "unsure": False, "model": "tagger-1",
    }  # fmt: skip


def test_what_only_a_machine_has_read_says_so(data_folder: DataFolder, tmp_path: Path) -> None:
    folder = data_folder([drawn(n) for n in range(3)], **{"derived/some": [derived(900), derived(901), derived(902)]})
    correction = {"url": derived(901)["url"], "pain": True, "theme": "data-quality", "reason": "The data are named."}
    away = {"url": derived(902)["url"], "pain": False, "why": "howto", "reason": "A tutorial."}
    write_lines(folder / "corrections.jsonl", [correction, away])
    out = pipeline.build(folder, tmp_path / "machine" / "signals.db").path
    said = prose(one(out, "/posts/hf.someone.model-1.900"))
    assert "a small model alone" in said and "The machine gives it 71 of 100" in said and "in no share" in said
    corrected = one(out, "/posts/hf.someone.model-1.901")
    assert "The data are named." in corrected and "then corrected by a reader of this site" in prose(corrected)
    assert "read by machine" in prose(one(out, "/themes/overfitting"))
    assert ask(out, ["/posts/hf.someone.model-1.902"])["/posts/hf.someone.model-1.902"].status_code == 404


def test_a_copy_leads_to_the_post_that_was_kept(data_folder: DataFolder, tmp_path: Path) -> None:
    pair = {"keep": coded(1)["url"], "drop": coded(2)["url"], "method": "exact", "similarity": 0.93}
    out = pipeline.build(data_folder([coded(1), coded(2)], duplicates=[pair]), tmp_path / "copies" / "signals.db").path
    assert "gh.someone.tuner.2 exact, alike 93 of 100" in prose(one(out, "/posts/gh.someone.tuner.1"))
    assert 'href="/posts/gh.someone.tuner.1"' in one(out, "/posts/gh.someone.tuner.2")


# --- a reader's correction ---


@pytest.mark.parametrize(
    ("repository", "says"), [("https://git.example/us/flywheel", "Send it"), ("", "Add it to the end")]
)
def test_the_line_that_a_page_writes_changes_the_label(
    data_folder: DataFolder, tmp_path: Path, repository: str, says: str
) -> None:
    folder = data_folder([coded(n) for n in range(1, 4)])
    site = (folder / "site.yml").read_text(encoding="utf-8")
    (folder / "site.yml").write_text(site.replace('repository: ""', f'repository: "{repository}"'), encoding="utf-8")
    out = pipeline.build(folder, tmp_path / "before" / "signals.db").path
    reason = 'It\'s the <data>, "clearly" & 日本'
    page = one(out, f"/posts/gh.someone.tuner.1?as=data-quality&ask=judge&reason={quote(reason)}")
    line = html.unescape(re.findall(r'<pre class="line" id="line"><code>(.*?)</code></pre>', page)[0])
    assert says in prose(page)
    links = re.findall(rf'href="({re.escape(repository)}/issues/new[^"]*)"', page) if repository else []
    assert len(links) == bool(repository)
    for link in links:
        assert line in unquote(html.unescape(link)) and "gh.someone.tuner.1" in unquote(link)
    assert json.loads(line) == {
        "url": coded(1)["url"], "pain": True, "theme": "data-quality", "ask": "judge", "reason": reason,
    }  # fmt: skip
    no_signal = one(out, "/posts/gh.someone.tuner.2?as=howto&reason=A+tutorial.")
    other = html.unescape(re.findall(r'<pre class="line" id="line"><code>(.*?)</code></pre>', no_signal)[0])

    write_lines(folder / "corrections.jsonl", [line, other])
    after = pipeline.build(folder, tmp_path / "after" / "signals.db").path
    page = one(after, "/posts/gh.someone.tuner.1")
    said = prose(page)
    assert "corrected by a reader of this site" in said and "Data quality" in said
    assert html.escape(reason, quote=False).replace('"', "&#34;").replace("'", "&#39;") in page
    assert "a visitor of this site" in page.partition("Every reading")[2]
    assert "corrected by a reader" in prose(one(after, "/themes/data-quality"))
    assert "A tutorial" in one(after, "/posts/gh.someone.tuner.2")


def test_half_a_correction_asks_for_the_rest(database: Path) -> None:
    page = one(database, "/posts/gh.Blaizzy.mlx-vlm.2181?as=overfitting")
    assert "Choose what it is, and say why." in prose(page) and 'id="line"' not in page
    same = one(database, "/posts/gh.Blaizzy.mlx-vlm.2181?as=checkpoint-lifecycle&reason=It+is")
    assert "That is how it is filed already." in prose(same)
