"""What a post is called: its canonical url, its permanent id, and the record every stage passes on.

A *post* is one public item that was read: a thread's opening, or a comment that stands alone. A *signal* is a
post that tells a difficulty with fine-tuning. Both have the shape of `Post`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

Frame = Literal["population", "neutral", "targeted"]
Seen = Literal["opening", "title", "comment"]
Sure = Literal["high", "low"]
LabelledBy = Literal["machine", "coded", "corrected"]
"""Who gave the label, weakest first: a reader's correction wins over a reading, a reading over the machine."""

# One host per site, so that one post has one url.
_HOSTS = {
    "reddit.com": "www.reddit.com",
    "old.reddit.com": "www.reddit.com",
    "new.reddit.com": "www.reddit.com",
    "np.reddit.com": "www.reddit.com",
    "m.reddit.com": "www.reddit.com",
    "www.github.com": "github.com",
    "www.huggingface.co": "huggingface.co",
    "hf.co": "huggingface.co",
}

# What is spelled as it should be, on the sites that nearly all posts are on: found in a tenth of the time that taking a
# url apart takes. Whatever does not match is taken apart.
_RIGHT = re.compile(
    r"https://(?:"
    r"github\.com/[\w.-]+/[\w.-]+/(?:issues|pull|discussions)/\d+(?:#(?:issue|discussion)comment-\d+)?"
    r"|huggingface\.co/[\w./-]+/discussions/\d+(?:#[0-9a-f]{24})?"
    r"|www\.reddit\.com/r/\w+/comments/\w+/(?:[\w-]+/\w+/)?"
    r"|news\.ycombinator\.com/item\?id=\d+"
    r")",
    re.ASCII,
)

_UNFIT = re.compile(r'[\s\x00-\x1f"<>\\^`{|}]')

# (what the url looks like, what its id looks like), first match wins. The last part of every pattern names the
# item, so two items differ; a clash between sites or odd names is found at build time (`data.read`).
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), template)
    for pattern, template in (
        (
            r"https://github\.com/([\w.-]+)/([\w.-]+)/(?:issues|pull|discussions)/(\d+)#\D*(\d+)",
            "gh.{}.{}.{}.{}",
        ),
        (r"https://github\.com/([\w.-]+)/([\w.-]+)/(?:issues|pull|discussions)/(\d+)", "gh.{}.{}.{}"),
        (r"https://huggingface\.co/datasets/([\w.-]+)/([\w.-]+)/discussions/(\d+)", "hf.d.{}.{}.{}"),
        (r"https://huggingface\.co/spaces/([\w.-]+)/([\w.-]+)/discussions/(\d+)", "hf.s.{}.{}.{}"),
        (r"https://huggingface\.co/([\w.-]+)/([\w.-]+)/discussions/(\d+)", "hf.{}.{}.{}"),
        (r"https://huggingface\.co/([\w.-]+)/discussions/(\d+)", "hf.{}.{}"),
        (r"https://huggingface\.co/datasets/([\w.-]+)/([\w.-]+)/discussions/(\d+)#(\w+)", "hf.d.{}.{}.{}.{}"),
        (r"https://huggingface\.co/spaces/([\w.-]+)/([\w.-]+)/discussions/(\d+)#(\w+)", "hf.s.{}.{}.{}.{}"),
        (r"https://huggingface\.co/([\w.-]+)/([\w.-]+)/discussions/(\d+)#(\w+)", "hf.{}.{}.{}.{}"),
        (r"https://huggingface\.co/([\w.-]+)/discussions/(\d+)#(\w+)", "hf.{}.{}.{}"),
        (r"https://www\.reddit\.com/r/\w+/comments/(\w+)/", "rd.{}"),
        (r"https://www\.reddit\.com/r/\w+/comments/(\w+)/[^/]*/(\w+)/", "rd.{}.{}"),
        (r"https://news\.ycombinator\.com/item\?id=(\d+)", "hn.{}"),
        (r"https://([\w.-]+)/t/[^/]+/(\d+)", "dc.{}.{}"),
        (r"https://([\w.-]+)/t/[^/]+/(\d+)/(\d+)", "dc.{}.{}.{}"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post as it was read. `theme` is null where there is none or a title alone cannot tell it.

    `verdict` says whether it is a signal. `weight` is how many posts of its archive it stands for (1 outside the
    archives). `confidence` and `probabilities` (of its themes) are the machine's, null where a post was read. `file`
    and `line` say where in `data/` it stands, for messages; they never reach the database.
    """

    url: str
    id: str
    thread: str
    source: str
    community: str
    kind: str
    frame: Frame
    verdict: Literal["signal", "not_a_signal", "cannot_tell"]
    seen: Seen
    sure: Sure
    coder: str
    labelled_by: LabelledBy = "coded"
    created: str | None = None
    month: str | None = None
    date_of: str = "unknown"
    state: str | None = None
    theme: str | None = None
    phase: str | None = None
    also: tuple[str, ...] = ()
    ask: str | None = None
    run: bool | None = None
    why: str | None = None
    gist: str | None = None
    tool: str | None = None
    model: str | None = None
    archive: str | None = None
    weight: float = 1.0
    corpus: Literal["public", "platform"] = "public"
    tracker: str | None = None
    place: str | None = None
    author: int | None = None
    n_replies: int | None = None
    query: str | None = None
    readings: int = 1
    cluster: str | None = None
    confidence: float | None = None
    probabilities: tuple[tuple[str, float], ...] = ()
    file: str = ""
    line: int = 0

    @property
    def themes(self) -> tuple[str, ...]:
        """Primary theme first, then the others that the text clearly bears."""
        return (self.theme, *self.also) if self.theme else self.also


def canonical_url(url: str) -> str:
    """The one spelling under which a public post is known; the key of everything in `data/`.

    https, host in lower case and by its usual name; on the sites we know, no fragment (but a GitHub or Hub
    comment's) and no query (but Hacker News' `id`), Reddit with its closing slash and without a title slug for posts,
    Stack Exchange without one too.
    Raises ValueError where the text is no web address at all.
    """
    if _RIGHT.fullmatch(url):
        return url
    if _UNFIT.search(url):
        raise ValueError("a url holds no blanks, quotes or control characters")
    try:
        url.encode("ascii")
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except (UnicodeEncodeError, ValueError) as error:
        raise ValueError(f"not a web address: {error}") from None
    if parts.scheme not in ("http", "https") or "." not in host or parts.username is not None:
        raise ValueError("a url starts with https:// and names a public host")
    host = _HOSTS.get(host, host)
    path, query, fragment = parts.path or "/", "", ""
    match host:
        case "www.reddit.com":
            found = re.fullmatch(r"/r/(\w+)/comments/(\w+)(?:/([^/]*)(?:/(\w+))?)?/?", path)
            if found:
                name, post, slug, comment = found.groups()
                path = f"/r/{name}/comments/{post}/" + (f"{slug or '_'}/{comment}/" if comment else "")
        case "news.ycombinator.com":
            query = urlencode([(k, v) for k, v in parse_qsl(parts.query) if k == "id"])
        case "github.com":
            path = path.rstrip("/")
            fragment = parts.fragment if re.fullmatch(r"(issue|discussion)comment-\d+", parts.fragment) else ""
        case "huggingface.co":
            path = path.rstrip("/")
            fragment = parts.fragment if re.fullmatch(r"[0-9a-f]{24}", parts.fragment) else ""
        case "stackoverflow.com" | "ai.stackexchange.com" | "datascience.stackexchange.com" | "stats.stackexchange.com":
            if found := re.match(r"/(questions|q|a)/(\d+)", path):
                path = f"/{'questions' if found[1] == 'q' else found[1]}/{found[2]}"
        case _:
            query, fragment = parts.query, parts.fragment
    netloc = host if port in (None, 443, 80) else f"{host}:{port}"
    return urlunsplit(("https", netloc, path, query, fragment))


def signal_id(url: str) -> str:
    """The permanent, slash-free id of a post, from its canonical url.

    `gh.hiyouga.LlamaFactory.12`, `hf.meta-llama.Llama-2-7b.3`, `rd.1ibbloy`, `rd.18n3ar3.ke8bbr1`,
    `dc.community.openai.com.865498`, `hn.38434914`; any other url becomes `web.` and 16 hex digits of its
    blake2b. A slash would break row pages on both Datasette lines.
    """
    for pattern, template in _SHAPES:
        if found := pattern.fullmatch(url):
            return template.format(*found.groups())
    return "web." + hashlib.blake2b(url.encode(), digest_size=8).hexdigest()
