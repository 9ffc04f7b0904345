"""Template filters for text that other people wrote, or that goes into a path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.utils import tilde_encode
from markupsafe import Markup, escape

_FOUND = re.compile(r"⟦([^⟦⟧]*)⟧")


def highlight(text: str | None) -> Markup:
    """The words that a search found, as <mark>. Everything is escaped first, and only whole pairs become a tag."""
    return Markup(_FOUND.sub(r"<mark>\1</mark>", str(escape(text or ""))))  # noqa: S704 - escaped on this line


def address(given: Mapping[str, Any], **changes: Any) -> str:
    """The query string of a page: what is given, with changes; what is empty is left out. Links keep their state so."""
    return "?" + urlencode([(name, value) for name, value in {**given, **changes}.items() if value not in (None, "")])


def web(url: str | None) -> str:
    """An address elsewhere as a link may have it; what is no web address leads nowhere."""
    return url if url and url.startswith(("https://", "http://")) else "#"


@hookimpl
def prepare_jinja2_environment(env: Any) -> None:
    env.filters["highlight"] = highlight
    env.filters["address"] = address
    env.filters["tilde"] = tilde_encode
    env.filters["web"] = web
