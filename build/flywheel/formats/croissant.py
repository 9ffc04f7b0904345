"""croissant.json: MLCommons Croissant 1.1 with the terms of its responsible-AI vocabulary.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html, .../croissant-rai-spec.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flywheel.catalogue import Catalogue, Column, Described
from flywheel.formats.datapackage import FORMATS
from flywheel.formats.schema_org import about

if TYPE_CHECKING:
    from flywheel.export import Written

CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification gives; validators compare it key by key."""

TYPES = {"integer": "sc:Integer", "number": "sc:Float", "string": "sc:Text"}


def croissant(catalogue: Catalogue, written: Mapping[str, Written]) -> dict[str, Any]:
    """Files with their hashes, and a record set for each table, read from its CSV. Addresses are absolute where the
    site has one and relative to the file where not."""
    described = {key: value for key, value in about(catalogue).items() if key not in ("variableMeasured", "abstract")}
    return {
        "@context": dict(CONTEXT),
        **described,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": "tinker-flywheel",
        "alternateName": catalogue.title,
        "citeAs": cite_as(catalogue),
        "isLiveDataset": False,
        **_responsible(catalogue),
        "distribution": [_file(path, facts, catalogue) for path, facts in written.items()],
        "recordSet": [_record_set(table) for table in catalogue.tables if table.n_rows],
    }


def cite_as(catalogue: Catalogue) -> str:
    """One line, as a list of references would have it."""
    where = f" {catalogue.url}" if catalogue.url else ""
    names = ", ".join(author.get("name") or author["family-names"] for author in catalogue.authors)
    return (
        f"{names}: {catalogue.cited_title}, data version {catalogue.version}, content {catalogue.content_hash}.{where}"
    )


def _responsible(catalogue: Catalogue) -> dict[str, Any]:
    places = "; ".join(f"{place['title']} ({place['enters']})" for place in catalogue.asked["place_list"])
    agree = "; ".join(
        f"{row['question']}: {100 * row['share']:.0f} of 100 (n = {row['n']})"
        for row in catalogue.asked["agreement"]
        if row["share"] is not None
    )
    left_out = "; ".join(f"{row['title']}: {row['leaves_out']}" for row in catalogue.asked["archive_list"])
    return {
        "rai:dataCollection": f"Public posts, drawn from stated archives or found by search. Places: {places}.",
        "rai:dataCollectionType": ["Secondary Data Analysis"],
        "rai:dataCollectionTimeframe": [catalogue.first_month, catalogue.last_month],
        "rai:dataAnnotationProtocol": "One primary theme a signal, from which its phase follows, under a written "
        "codebook; its words stand in the tables phases, themes, asks and whys.",
        "rai:dataAnnotationAnalysis": f"Two blind readings give the same answer to: {agree}. All readers are language "
        "models, so this says how clear the codebook is, not that it is right.",
        "rai:annotatorDemographics": ["None: the readers are language models; corrections by people are marked."],
        "rai:dataLimitations": "Shares are of public posts that could be seen, not of developers; posts are no funnel; "
        f"rows with the frame 'targeted' were searched for by theme. Left out: {left_out}",
        "rai:dataBiases": "No archive is a fair sample of its site; the archives lie in different years; trackers "
        "over-represent crashes.",
        "rai:dataUseCases": ["Research on the difficulties of fine-tuning language models; finding posts by theme."],
        "rai:personalSensitiveInformation": [
            "No names and no text of posts; links lead to public posts, whose pages "
            "show their writers. author is a number that means nothing elsewhere."
        ],
        "rai:dataReleaseMaintenancePlan": "New versions replace old ones; what is deleted at its source or asked to go "
        "is left out of the next version.",
    }


def _file(path: str, facts: Written, catalogue: Catalogue) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": f"{catalogue.url}/export/{path}" if catalogue.url else path,
        "contentSize": f"{facts.size} B",
        "encodingFormat": FORMATS[path.rsplit(".", 1)[1]],
        "sha256": facts.sha256,
    }


def _record_set(table: Described) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": f"{table.title}. {table.description}",
        "key": [{"@id": f"{table.name}/{column}"} for column in table.pk],
        "field": [_field(column, table) for column in table.columns],
    }


def _field(column: Column, table: Described) -> dict[str, Any]:
    licence = f" Licence: {column.licence}" if column.licence else ""
    # No `references`: mlcroissant 1.1.1 joins by them, and fails once another record set was read. The foreign keys
    # stand in datapackage.json.
    return {
        "@type": "cr:Field",
        "@id": f"{table.name}/{column.name}",
        "name": column.name,
        "description": f"{column.description}{licence}",
        "dataType": TYPES[column.kind],
        "source": {"fileObject": {"@id": f"csv/{table.name}.csv"}, "extract": {"column": column.name}},
    }
