"""Canned query files: what a header may say, and what is refused where."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.queries import Parameter, QueryError, load, parse

GOOD = """-- title: Signals at a place
-- description: How many signals a place has,
--   and since when.
-- param place = every place: the slug of one place: see places
-- param q =: words to look for
-- fragment: #g.mark=bar

-- an ordinary comment with :nonsense in it
select ':not_one', "also:not", count(*), cast(:q as text) /* :nor_this */ from signals
where :place = '' or place = :place
"""


def test_header_is_read_and_left_out_of_the_sql() -> None:
    query = parse(GOOD, Path("by_place.sql"))
    assert query.name == "by_place"
    assert query.title == "Signals at a place"
    assert query.description == "How many signals a place has, and since when."
    assert query.parameters == (
        Parameter("place", "every place", "the slug of one place: see places"),
        Parameter("q", "", "words to look for"),
    )
    assert query.fragment == "g.mark=bar"
    assert query.sql.startswith("-- an ordinary comment") and "title" not in query.sql


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("-- title: Signals at a place\n", ""), "q.sql:1: no title"),
        (
            ("-- description: How many signals a place has,\n--   and since when.\n", ""),
            "q.sql:1: no description",
        ),
        (("where :place", "where :plaice = 1 or :place"), "q.sql:10: :plaice is not declared"),
        (("cast(:q as text)", "1"), "q.sql:5: parameter q is not used"),
        (("-- param q", "-- param place"), "q.sql:5: parameter place is declared twice"),
        (("-- param q =: words to look for", "-- param q"), "q.sql:5: not a header line"),
        (("-- param q =: words to look for", "-- param q =:"), "q.sql:5: parameter q says nothing"),
        (("-- param q =", "-- param sql ="), "q.sql:5: parameter name sql is reserved"),
        (("-- fragment", "-- title: Again\n-- fragment"), "q.sql:6: second title"),
        (("-- fragment", "--   goes on\n-- fragment"), "q.sql:6: only title and description"),
        (("-- fragment: #g.mark=bar", "-- frgment: #g"), "q.sql:6: not a header line"),
    ],
)
def test_errors_name_file_and_line(change: tuple[str, str], message: str) -> None:
    assert change[0] in GOOD
    with pytest.raises(QueryError) as error:
        parse(GOOD.replace(*change), Path("q.sql"))
    assert str(error.value).startswith(message)


def test_a_header_alone_is_refused() -> None:
    with pytest.raises(QueryError, match="no SQL after the header"):
        parse("-- title: t\n-- description: d\n", Path("q.sql"))


@pytest.mark.parametrize("name", ["By_place", "by-place", "1st", "a.b", "ä"])
def test_names_are_plain(name: str) -> None:
    with pytest.raises(QueryError, match="lower-case"):
        parse(GOOD, Path(f"{name}.sql"))


def test_folder_is_read_in_order_and_a_doubled_name_refused(tmp_path: Path) -> None:
    for name in ("b.sql", "a.sql"):
        (tmp_path / name).write_text(GOOD)
    assert list(load(tmp_path)) == ["a", "b"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.sql").write_text(GOOD)
    with pytest.raises(QueryError, match=r"more/a\.sql:1: query a is also in .*a\.sql"):
        load(tmp_path)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no such folder"):
        load(tmp_path / "nowhere")


@given(st.text())
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        query = parse(text, Path("q.sql"))
    except QueryError as error:
        assert str(error).startswith("q.sql:")
    else:
        assert query.title and query.description and query.sql


@given(st.text(alphabet=st.characters(blacklist_characters="'", blacklist_categories=["Cs"])))
def test_what_stands_in_a_string_is_no_parameter(text: str) -> None:
    query = parse(f"-- title: t\n-- description: d\n\nselect '{text} :x' as y", Path("q.sql"))
    assert query.parameters == ()
