"""schema.org Dataset as JSON-LD: for the export, and for the heads of pages, where search engines look.

https://schema.org/Dataset
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flywheel.catalogue import Catalogue
from flywheel.formats.datapackage import FORMATS

if TYPE_CHECKING:
    from flywheel.export import Written


def dataset(catalogue: Catalogue, written: Mapping[str, Written]) -> dict[str, Any]:
    """The Dataset of an export: one download a file, addressed relative to the export's folder."""
    files = [
        _download(path, path) | {"contentSize": f"{facts.size} B", "sha256": facts.sha256}
        for path, facts in written.items()
    ]
    return {"@context": "https://schema.org/", **about(catalogue), "distribution": files}


def in_page(catalogue: Catalogue, paths: Iterable[str]) -> dict[str, Any]:
    """The Dataset for a page's head. `paths` are files of the export, which the site serves under /export/."""
    files = [_download(path, f"{catalogue.url}/export/{path}") for path in paths]
    return {"@context": "https://schema.org/", **about(catalogue), "distribution": files}


def report_in_page(catalogue: Catalogue, title: str, paths: Iterable[str]) -> dict[str, Any]:
    """A page of prose that rests on the Dataset."""
    rests_on = {key: value for key, value in in_page(catalogue, paths).items() if key != "@context"}
    return {
        "@context": "https://schema.org/",
        "@type": "Report",
        "name": title,
        "inLanguage": "en",
        "version": catalogue.version,
        "license": catalogue.licence_url,
        "author": [_person(author) for author in catalogue.authors],
        "isBasedOn": rests_on,
    }


def about(catalogue: Catalogue) -> dict[str, Any]:
    """What both forms share."""
    (signals,) = (table for table in catalogue.tables if table.name == "signals")
    found: dict[str, Any] = {
        "@type": "Dataset",
        "name": catalogue.title,
        "description": catalogue.description,
        "abstract": catalogue.abstract,
        "version": catalogue.version,
        "identifier": f"content_hash:{catalogue.content_hash}",
        "license": catalogue.licence_url,
        "keywords": list(catalogue.keywords),
        "inLanguage": "en",
        "isAccessibleForFree": True,
        "creator": [_person(author) for author in catalogue.authors],
        "temporalCoverage": f"{catalogue.first_month}/{catalogue.last_month}",
        "measurementTechnique": "Posts drawn from public archives or found by search, each read by a language model "
        "under a written codebook; shares with 95 % intervals over clusters of posts, by place.",
        "variableMeasured": [
            {"@type": "PropertyValue", "name": column.name, "description": column.description}
            for column in signals.columns
        ],
    }
    # Left out where empty: the site's address, and the day of release, which CITATION.cff may name.
    return found | {key: text for key, text in (("url", catalogue.url), ("datePublished", catalogue.released)) if text}


def _download(path: str, url: str) -> dict[str, Any]:
    return {
        "@type": "DataDownload",
        "name": path,
        "contentUrl": url,
        "encodingFormat": FORMATS[path.rsplit(".", 1)[1]],
    }


def _person(author: Mapping[str, str]) -> dict[str, str]:
    # An author with one name is a group, as "Tinker Flywheel contributors" is; CITATION.cff says so in the same way.
    if "name" in author:
        return {"@type": "Organization", "name": author["name"]}
    return {"@type": "Person", "givenName": author["given-names"], "familyName": author["family-names"]}
