"""The tables of signals.db, as data: columns, keys, references, indexes. `load` fills them, `metadata.yml` describes
them, and a test holds the two together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_INTEGER = _names(
    """author cell clusters df known learned_from matched n n_coded n_machine n_numerator n_places n_replies n_shares
    number pain position posts posts_read reading readings run same score signals support threads warning"""
)
_REAL = _names(
    """change confidence denominator figure high low numerator part probability reader_variance share share_before
    similarity t t_df variance weight"""
)
JSON = _names("also themes")
"""Columns that hold a list as JSON, in every table. Datasette reads them as such: one that is none breaks a page."""


@dataclass(frozen=True)
class Table:
    """`columns` in their order; `pk` one or more of them; `references` maps a column to the table it names."""

    columns: tuple[str, ...]
    pk: tuple[str, ...]
    references: Mapping[str, str]
    indexes: tuple[tuple[str, ...], ...]

    def types(self) -> dict[str, type]:
        """Each column's SQLite type; a name means the same in every table, so the name decides."""
        return {name: int if name in _INTEGER else float if name in _REAL else str for name in self.columns}


def _table(columns: str, pk: str, references: str = "", indexes: str = "") -> Table:
    """`references` is a list of `column:table`; `indexes` a list of columns, several joined by `+`."""
    return Table(
        columns=_names(columns),
        pk=_names(pk),
        references=dict(pair.split(":") for pair in _names(references)),
        indexes=tuple(tuple(index.split("+")) for index in _names(indexes)),
    )


_VOCABULARY = "source:sources place:places community:communities archive:archives"

TABLES: dict[str, Table] = {
    "phases": _table("slug title short description position", pk="slug"),
    "themes": _table(
        "slug phase title question includes excludes position",
        pk="slug",
        references="phase:phases",
    ),
    "asks": _table("slug title description position", pk="slug"),
    "whys": _table("slug title description position", pk="slug"),
    "sources": _table("slug title community_is text_policy licence licence_url terms position", pk="slug"),
    "places": _table("slug title short frame enters description clustered_by position", pk="slug"),
    "archives": _table(
        """slug title source place matched posts_read signals first_month last_month holds obtained leaves_out
        position""",
        pk="slug",
        references="source:sources place:places",
    ),
    "communities": _table("community source posts_read signals", pk="community", references="source:sources"),
    "signals": _table(
        """id gist theme phase ask place month tool model community url themes source kind state created date_of
        thread run title excerpt labelled_by confidence sure seen frame archive weight corpus tracker author
        n_replies score query coder readings cluster""",
        pk="id",
        references=f"{_VOCABULARY} theme:themes phase:phases ask:asks",
        indexes="""ask community tool model source kind state seen sure archive frame corpus thread labelled_by
        theme theme+labelled_by theme+month phase+place place+theme+month month+source+theme+phase+ask+place+frame""",
    ),
    "signal_themes": _table(
        "signal theme role probability",
        pk="signal theme",
        references="signal:signals theme:themes",
        indexes="theme+role+signal",
    ),
    "signal_counts": _table(
        "cell theme phase ask place tool model year seen frame labelled_by n",
        pk="cell",
        references="theme:themes phase:phases ask:asks place:places",
        indexes="theme",
    ),
    "screened": _table(
        """id verdict why note place month community url source kind created date_of seen sure archive frame weight
        corpus coder readings""",
        pk="id",
        references=f"{_VOCABULARY} why:whys",
        indexes="verdict why place archive source community month",
    ),
    "duplicates": _table("drop keep method similarity", pk="drop keep"),
    "codings": _table(
        "post url reading reader coder pain theme also phase why ask run sure reason",
        pk="post reading",
        references="theme:themes phase:phases why:whys ask:asks",
        indexes="reading reader coder theme",
    ),
    "windows": _table("window role title first_month last_month", pk="window"),
    "variants": _table("variant family title description known warning position", pk="variant"),
    "cells": _table(
        "cell place archive frame corpus month theme phase ask seen sure cluster number weight",
        pk="cell",
        references="place:places theme:themes phase:phases archive:archives",
        indexes="place+phase",
    ),
    "estimates": _table(
        """measure subject by value window variant method share low high n n_numerator numerator denominator threads
        clusters n_places n_coded n_machine variance reader_variance t_df frame first_month last_month enough""",
        pk="measure subject by value window variant method",
        references="window:windows variant:variants",
        indexes="by+value variant",
    ),
    "student_t": _table("df t", pk="df"),
    "tagger_report": _table(
        "task subject measure seen how predicted learned_from figure low high support",
        pk="task subject measure seen how predicted learned_from",
    ),
    "reader_agreement": _table(
        "question by value coefficient figure low high n same clusters enough",
        pk="question by value coefficient",
    ),
    "flow": _table(
        "archive source corpus stage position posts",
        pk="archive source corpus stage",
        references="source:sources",
    ),
    "versions": _table("version position day data_version n_shares", pk="version"),
    "history": _table(
        """version measure subject by value window share low high n n_numerator threads clusters n_places first_month
        last_month enough""",
        pk="version measure subject by value window",
        references="version:versions",
    ),
    "changes": _table(
        "version kind measure subject place signals share_before share change low high verdict",
        pk="version kind measure subject place",
        references="version:versions",
    ),
    "wants": _table("slug title could ask themes position", pk="slug", references="ask:asks"),
    "external": _table("slug figure unit says how who url position", pk="slug"),
}
"""Every table but `build_info`, in the order in which they are written: what is referred to comes first."""


@dataclass(frozen=True)
class View:
    """A named question: its columns in their order, and its SQL."""

    columns: tuple[str, ...]
    sql: str


VIEWS: dict[str, View] = {
    # What the pages and most canned queries read: published estimates with the names of their place and window.
    "shares": View(
        _names(
            """measure subject by value place title enters note place_position clustered_by window role method share
            low high n counted threads clusters n_places enough first_month last_month"""
        ),
        """
        select
            e.measure, e.subject, e."by", e.value,
            coalesce(p.short, case e."by" when '' then 'Mean of ' || e.n_places || ' places' else e.value end) as place,
            coalesce(p.title, case e."by" when '' then 'Mean of ' || e.n_places || ' places' else e.value end) as title,
            coalesce(p.enters, case e."by" when '' then 'mean' end) as enters,
            case when p.enters <> 'the mean' then p.enters end as note,
            coalesce(p.position, 0) as place_position, p.clustered_by,
            e.window, w.role, e.method, e.share, e.low, e.high, e.n, e.n_numerator as counted, e.threads, e.clusters,
            e.n_places, e.enough, e.first_month, e.last_month
        from estimates e
        join windows w on w.window = e.window
        left join places p on e."by" = 'place' and p.slug = e.value
        where e.variant = ''
        """,
    ),
    # What readers' switching adds to the variance of a place's share, times its denominator: divide it by another
    # denominator for another choice of posts. SQL on cells adds it as the build does.
    "reader_parts": View(
        _names("measure subject place part denominator"),
        """
        select measure, subject, value as place, reader_variance * denominator as part, denominator
        from estimates join windows using (window)
        where variant = '' and method = 'process' and "by" = 'place' and role = 'all' and reader_variance is not null
        """,
    ),
}
