"""Every choice made otherwise: against SQL on `cells`, against SQL on `signals`, and by what must hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel import pipeline, ppi, variants, vocabulary
from tests.conftest import ROOT, DataFolder
from tests.posts import drawn

WORDS = vocabulary.read(ROOT / "data")
ALL = {variant.slug: variant for variant in variants.variants(WORDS)}
OWN = (ROOT / "canned_queries" / "own_count.sql").read_text()
NOTHING = dict.fromkeys(("places", "first", "last", "seen", "sure", "weigh", "heap", "moves"), "")
DRAWN = [slug for slug, place in WORDS.places.items() if place.frame == "population"]

PUBLISHED = """select value, share, low, high, n from estimates join windows using (window)
    where role = 'all' and measure = 'headline' and method = 'process' and variant = ? and "by" in ('', 'place')"""


@pytest.fixture
def db(database: Path) -> Iterator[sqlite3.Connection]:
    with sqlite3.connect(database) as connection:
        yield connection


def test_every_variant_has_a_row_for_the_mean_and_a_name(db: sqlite3.Connection) -> None:
    with_a_mean = {
        row[0]
        for row in db.execute(
            """select variant from estimates where measure = 'headline' and "by" = '' and variant <> ''"""
        )
    }
    named = {row[0] for row in db.execute("select variant from variants where variant <> ''")}
    assert with_a_mean == named == {*ALL, ppi.VARIANT}
    assert len([slug for slug in ALL if "-as-" in slug]) == 18 * 2


AS_A_READER_CHOOSES = {
    "by-posts": {"heap": "yes"},
    "searched-in": {"places": ",".join([*DRAWN, "github-trackers"])},
    "titles-out": {"seen": "opening,comment"},
    "comments-out": {"seen": "opening,title"},
    "sure-only": {"sure": "high"},
    **{f"without-{place}": {"places": ",".join(slug for slug in DRAWN if slug != place)} for place in DRAWN},
    **{slug: {"moves": ":".join(slug.split("-as-"))} for slug in ALL if "-as-" in slug},
}


@pytest.mark.parametrize("slug", AS_A_READER_CHOOSES)
def test_a_reader_who_chooses_the_same_gets_the_same(db: sqlite3.Connection, slug: str) -> None:
    chosen = {
        row[2]: row[4:8] for row in db.execute(OWN, {**NOTHING, **AS_A_READER_CHOOSES[slug]}) if row[0] == "headline"
    }
    published = {row[0]: row[1:] for row in db.execute(PUBLISHED, (slug,))}
    compared = published.keys() & chosen.keys()
    assert "" in compared
    for place in compared:
        assert chosen[place] == pytest.approx(published[place], abs=2e-6), place


def test_a_reader_who_chooses_nothing_gets_what_is_published(db: sqlite3.Connection) -> None:
    """And one who puts a theme where it is."""
    published = {row[0]: row[1:] for row in db.execute(PUBLISHED, ("",))}
    for moves in ("", "overfitting:evaluate"):
        rows = [row for row in db.execute(OWN, {**NOTHING, "moves": moves}) if row[0] == "headline"]
        assert [row[2] for row in rows] == ["", *DRAWN]
        for row in rows:
            assert row[4:8] == pytest.approx(published[row[2]], abs=2e-6)


SHARES_IN_SQL = {
    # A post's weight over the number of posts of its author there.
    "per-author": """select place, sum((phase = 'evaluate') * w) / sum(w) from (
        select s.place, s.phase, weight / case when author is null then 1.0 else
          (select count(*) from signals t where t.place = s.place and t.author = s.author and t.theme is not null
            and t.labelled_by <> 'machine') end as w
        from signals s where theme is not null and frame = 'population'
          and place is not null and labelled_by <> 'machine')
        where phase <> 'train' group by place""",
    "any-theme": """select place, sum((t.phase = 'evaluate') * w) / sum(w) from (
        select s.place, st.theme, weight / json_array_length(s.themes) as w
        from signals s join signal_themes st on st.signal = s.id
        where s.theme is not null and frame = 'population' and place is not null and labelled_by <> 'machine')
        join themes t on t.slug = theme where t.phase <> 'train' group by place""",
    "crash-reversed": """select place, sum((phase = 'evaluate') * weight) / sum(weight) from (
        select place, weight, coalesce((select t.phase from json_each(s.themes) j join themes t on t.slug = j.value
          where t.phase <> 'train' order by j.key limit 1), 'train') as phase
        from signals s where theme is not null and frame = 'population' and place is not null and s.phase = 'train'
          and labelled_by <> 'machine'
        union all select place, weight, phase from signals
        where theme is not null and frame = 'population' and place is not null
          and phase <> 'train' and labelled_by <> 'machine')
        where phase <> 'train' group by place""",
    "second-readings": """select place, sum((phase = 'evaluate') * weight) / sum(weight) from (
        select p.place, p.weight, case when c.post is null then p.phase when c.pain = 1 then c.phase end as phase from (
          select id, place, weight, phase from signals where frame = 'population'
            and place is not null and labelled_by <> 'machine'
          union all select id, place, weight, null from screened where frame = 'population' and place is not null) p
        left join codings c on c.post = p.id and c.reading = 2)
        where phase in ('evaluate', 'iterate') group by place""",
    "first-telling": """select '', 1.0 * sum(t.phase = 'evaluate') / count(*) from signals s
        join signal_themes st on st.signal = s.id join themes t on t.slug = st.theme
        where s.theme is not null and s.corpus = 'public' and t.phase <> 'train' and labelled_by <> 'machine'""",
    "targeted-in": """select place, sum((phase = 'evaluate') * weight) / sum(weight) from signals
        where theme is not null and place = 'github-trackers' and phase <> 'train' and labelled_by <> 'machine'
        group by place""",
}


@pytest.mark.parametrize("slug", SHARES_IN_SQL)
def test_hand_written_sql_gives_the_same_share(db: sqlite3.Connection, slug: str) -> None:
    published = {row[0]: row[1] for row in db.execute(PUBLISHED, (slug,))}
    by_hand = dict(db.execute(SHARES_IN_SQL[slug]).fetchall())
    assert by_hand
    for place, share in by_hand.items():
        assert published[place] == pytest.approx(share, abs=2e-6), place
    if len(by_hand) >= 3:
        assert published[""] == pytest.approx(sum(by_hand.values()) / len(by_hand), abs=2e-6)


def test_a_variant_is_blank_below_three_places(data_folder: DataFolder, tmp_path: Path) -> None:
    """With one place no variant has a mean, and each says so with a row."""
    out = tmp_path / "signals.db"
    pipeline.build(data_folder([drawn(n) for n in range(60)]), out)
    with sqlite3.connect(out) as db:
        rows = db.execute(
            """select variant, share, enough from estimates where measure = 'of_100' and subject = 'train' and "by" = ''
            and method = 'process' and variant not in ('', 'by-posts', 'first-telling')"""
        ).fetchall()
    assert len(rows) > 40
    assert {row[1:] for row in rows} == {(None, "few")}


def test_what_moves_the_figure_names_the_ends(db: sqlite3.Connection) -> None:
    rows = db.execute(
        (ROOT / "canned_queries" / "what_moves.sql").read_text(), {"measure": "", "subject": ""}
    ).fetchall()
    by_choice = {row[0]: row[1:5] for row in rows}
    lowest = db.execute(
        """select min(share), max(share) from estimates join variants using (variant) where measure = 'headline'
        and "by" = '' and method = 'process' and family = ?""",
        (variants.THEME,),
    ).fetchone()
    assert (by_choice[variants.THEME][0], by_choice[variants.THEME][2]) == lowest
    assert [row[5] for row in rows] == sorted((row[5] for row in rows), reverse=True)
