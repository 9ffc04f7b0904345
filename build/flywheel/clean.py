"""Text of a post, cleaned: what its own author wrote, as plain text, with code and logs between ``` fences.

Everything here is a pure function of its argument. `safe` is applied to every text before it is
stored (see `flywheel.collect.store`); the rest turns one markup into plain text. Posts are hostile text:
nothing in them is interpreted, and a broken mark-up gives odd text, never an error."""

import html
import re
import unicodedata
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

# Control characters, zero-width and bidirectional marks: invisible, and used to hide words and to split keys.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
    "|[\U000e0000-\U000e007f]"
)
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


def tidy(text: str) -> str:
    """The same text without invisible characters and lone surrogates, lines ended by \\n, in NFC."""
    valid = text.encode("utf-8", "replace").decode("utf-8")
    lines = valid.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return _BLANK_LINES.sub("\n\n", unicodedata.normalize("NFC", _INVISIBLE.sub("", lines))).strip()


def unescape_once(text: str) -> str:
    """HTML entities resolved exactly once: `&amp;lt;` is the text `&lt;`."""
    return html.unescape(text)


# --- secrets and addresses ----------

EMAIL, KEY = "[email]", "[key]"

# Keys with a shape of their own: what a text must hold for one to be in it, and the shape. Looking for the first is
# some fifty times as fast, and most posts hold none of them.
_DIGIT_SOON = r"(?=[A-Za-z_-]{0,40}[0-9])"
_SHAPES: tuple[tuple[tuple[str, ...], re.Pattern[str]], ...] = tuple(
    (marks, re.compile(pattern, re.DOTALL))
    for marks, pattern in (
        (("PRIVATE KEY",), r"-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*PRIVATE KEY[A-Z ]*-----|\Z)"),
        (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{16,}"),  # GitHub
        (("github_pat_",), r"\bgithub_pat_\w{20,}"),
        (("hf_", "api_org_"), r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}"),  # Hugging Face
        # OpenAI, Anthropic, Stripe and the like
        (("sk-", "sk_", "rk_", "pk_", "rk-", "pk-"), rf"\b(?:sk|rk|pk)[-_]{_DIGIT_SOON}[A-Za-z0-9_-]{{18,}}"),
        (("tml-",), r"\btml-[A-Za-z0-9_-]{16,}"),  # Tinker
        (("AKIA", "ASIA", "AGPA", "AIDA", "AROA", "ANPA", "ANVA"), r"\bA(?:KI|SI|GP|ID|RO|NP|NV)A[A-Z0-9]{12,}"),  # AWS
        (("AIza", "ya29.", "GOCSPX-"), r"\b(?:AIza[A-Za-z0-9_-]{30,}|(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,})"),  # Google
        (("xox", "xapp-"), r"\b(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}"),  # Slack
        (("hooks.slack.com/",), r"hooks\.slack\.com/services/[A-Za-z0-9/]+"),
        (("/api/webhooks/",), r"discord(?:app)?\.com/api/webhooks/[0-9]+/[A-Za-z0-9_-]+"),
        (("glpat-", "gldt-", "glrt-", "glptt-"), r"\bgl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{16,}"),  # GitLab
        (("npm_", "pypi-", "dckr_pat_"), r"\b(?:npm_|pypi-|dckr_pat_)[A-Za-z0-9_-]{20,}"),
        (("SG.",), r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),  # SendGrid
        (("SK", "AC"), r"\b(?:SK|AC)[0-9a-f]{32}\b"),  # Twilio
        (("gsk_", "nvapi-", "r8_", "pplx-", "tgp_v1_", "xai-", "fw_"),
         rf"\b(?:gsk|nvapi|r8|pplx|tgp_v1|xai|fw)[-_]{_DIGIT_SOON}[A-Za-z0-9_-]{{20,}}"),
        (("wandb_v1", "lsv2_", "dapi", "key-", "dop_v1", "shpat_", "whsec_"),
         rf"\b(?:wandb_v1|lsv2_[ps][tk]|dapi|key|dop_v1|shpat|whsec)[-_]?{_DIGIT_SOON}[A-Za-z0-9_-]{{20,}}"),
        (("eyJ",), r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),  # JSON web tokens
        ((":AA",), r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{32,}"),  # Telegram
        ((".",), r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}"),  # Discord
    )
)  # fmt: skip

# Keys told only by the name before them; `_HINTS` are what a line must hold for such a name to be in it.
_HINTS = ("key", "token", "secret", "passw", "pwd", "bearer", "authorization", "wandb login", "sig", "api-username")
_NAMED = re.compile(
    r"""
    (?P<name>
        (?:api[-_ ]?key|access[-_ ]?key(?:[-_ ]?id)?|secret[-_ ]?(?:access[-_ ]?)?key|account[-_]?key
          |(?:auth|access|refresh|hf|github)[-_ ]?token|client[-_ ]?secret|secret|token|passwd|password|pwd
          |api-username|(?<![A-Za-z])sig(?:nature)?)
        ["'`\]]{0,3} \s{0,3} (?:=>|:=|[:=]) \s{0,3} (?:bearer\s{1,3}|basic\s{1,3})?
      | \bauthorization["'`]{0,2}\s{0,3}[:=]\s{0,3}["'`]?(?:bearer|basic|token)\s{1,3}
      | \bbearer\s{1,3}
      | --(?:api-key|token|password|hf-token)[ =]
      | \bwandb\ login\s{1,3}(?:--relogin\s{1,3})?
      | \bexport\s[A-Z_]{0,30}(?:KEY|TOKEN|SECRET)=
    )
    (?P<quote>[rbfu]?["'`]{0,3})
    (?P<value>[^\s"'`,;<>()\[\]{}]{8,})
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _hide(match: re.Match[str]) -> str:
    """A value after a name that keys have. In this trade a `token` is mostly a piece of text (`pad_token="IMAGE"`), so
    there it takes a digit and some length, as it does where no quotes mark the value; a password needs less."""
    name, value = match["name"].lower(), match["value"]
    digit = any(c.isdigit() for c in value)
    secret = "authorization" in name or (digit and (len(value) >= 12 or "passw" in name or "pwd" in name))
    secret = secret or (bool(match["quote"].strip("rbfuRBFU")) and "token" not in name and not value.startswith("$"))
    return f"{match['name']}{match['quote']}{KEY}" if secret else match[0]


_IN_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@:]{0,100}:[^\s/@]{1,200}@", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")


def scrub(text: str) -> str:
    """Keys, tokens, passwords and e-mail addresses replaced by `[key]` and `[email]`; applying it twice
    changes nothing more. A word that only names a key (`api_key=None`) stays."""
    for marks, pattern in _SHAPES:
        if any(mark in text for mark in marks):
            text = pattern.sub(KEY, text)
    text = _IN_URL.sub(rf"\g<scheme>{KEY}@", text)
    # A name that ends its line is read with the next one.
    lines = re.split(r"(?<![:=])\n", text)
    text = "\n".join(_NAMED.sub(_hide, line) if _may_name_a_key(line.lower()) else line for line in lines)
    return _EMAIL.sub(EMAIL, text) if "@" in text else text


def _may_name_a_key(line: str) -> bool:
    return any(hint in line for hint in _HINTS)


def safe(text: str) -> str:
    """Tidied and scrubbed: what may be stored. Scrubbed twice, since an invisible character can split a key in two
    as well as stand between a key and the word before it."""
    return scrub(tidy(scrub(text) if _INVISIBLE.search(text) else text))


# --- markup ----------

FENCE = "```"
_BLOCKS = frozenset(
    {"p", "div", "br", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6"}
    | {"blockquote", "details", "summary", "section", "article", "hr", "dl", "dt", "dd"}
)
_DROPPED = (
    "script, style, template, noscript, svg, iframe, blockquote, aside.quote, aside.onebox, .onebox, "
    "img.emoji, .lightbox-wrapper .meta, .signature"
)


def html_text(markup: str) -> str:
    """Plain text of an HTML fragment (Discourse `cooked`, Stack Exchange `body`, Hacker News `text`): quotes
    of others, link previews and scripts dropped, `pre` blocks between fences, links as their text (their
    address where the text is the shortened address)."""
    tree = LexborHTMLParser(f"<body>{markup}</body>")
    body = tree.body
    if body is None:
        return ""
    for node in body.css(_DROPPED):
        node.decompose()
    parts: list[str] = []
    _walk(body, parts)
    return drop_quoted_lines(tidy("".join(parts)))


def _walk(root: LexborNode, parts: list[str]) -> None:
    # A stack, not recursion: a post may nest thousands of elements.
    stack: list[LexborNode | str] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
            continue
        tag = node.tag
        if tag == "-text":
            parts.append(re.sub(r"\s+", " ", node.text_content or ""))
        elif tag == "pre":
            parts.append(fenced(node.text(deep=True)))
        elif tag == "a":
            parts.append(_link_text(node))
        elif tag == "code":
            parts.append(f"`{node.text(deep=True)}`")
        elif tag not in ("-comment", "_comment", "-doctype"):
            ends = "\n" if tag in _BLOCKS else ""
            ends = "\n\n" if tag == "p" else ends
            parts.append(ends)
            stack.append(ends)
            children: list[LexborNode] = []
            child = node.child
            while child is not None:
                children.append(child)
                child = child.next
            stack.extend(reversed(children))


def _link_text(node: LexborNode) -> str:
    text, href = node.text(deep=True).strip(), node.attributes.get("href") or ""
    return href if text.endswith("...") and href.startswith(("http://", "https://")) else text


def fenced(code: str) -> str:
    """Code between fences of its own lines."""
    return f"\n{FENCE}\n{code.strip(chr(10)).replace(FENCE, chr(39) * 3)}\n{FENCE}\n"


_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DETAILS = re.compile(r"</?(?:details|summary)\b[^>]{0,200}>", re.IGNORECASE)
_BB_QUOTE = re.compile(
    r"\[quote(?:=[^\]\n]{0,300})?\](?:(?!\[quote|\[/quote\]).)*?\[/quote\]", re.IGNORECASE | re.DOTALL
)
_REPLY_HEAD = re.compile(r"^\s*On [^\n]{6,120} wrote:\s*$", re.MULTILINE)
_CHECKBOX = re.compile(r"^\s*[-*] \[[ xX]\][^\n]*$", re.MULTILINE)
_FENCE_LINE = re.compile(r"^[ \t]{0,3}(?:>[ \t]?)*(`{3,}|~{3,})[^\n]*$")


def markdown_text(markdown: str) -> str:
    """Plain text of markdown (GitHub, Reddit, Hub, Discourse `raw`): comments, quotes of others, reply
    headers and checkbox lines of templates dropped; fenced and indented code kept between fences, tracebacks
    fenced."""
    pieces = []
    for piece in split_code(tidy(markdown)):
        if piece.code:
            pieces.append(fenced(piece.text))
            continue
        prose = _DETAILS.sub("", _COMMENT.sub("", piece.text))
        while (shorter := _BB_QUOTE.sub("", prose)) != prose:
            prose = shorter
        prose = _CHECKBOX.sub("", _REPLY_HEAD.sub("", prose))
        pieces.append(fence_logs(drop_quoted_lines(prose)))
    return tidy("\n".join(pieces))


def drop_quoted_lines(text: str) -> str:
    """Without the lines that begin with `>`, which by custom are someone else's; fences are left alone."""
    kept, inside = [], False
    for line in text.split("\n"):
        if line.startswith(FENCE):
            inside = not inside
        if inside or not line.lstrip().startswith(">"):
            kept.append(line)
    return tidy("\n".join(kept))


_LOG_START = re.compile(r"^\s*(?:\S{0,40}\s)?Traceback \(most recent call last\):")
_LOG_LINE = re.compile(
    r"^(?:\s+\S|\s*$|\s*File \"|[\w.]+(?:Error|Exception|Interrupt|Warning)\b|\[rank\d|\d{4}-\d\d-\d\d)"
)


def fence_logs(text: str) -> str:
    """Python tracebacks that stand in running text, put between fences."""
    out: list[str] = []
    log: list[str] = []

    def close() -> None:
        if log:
            out.extend([FENCE, *log, FENCE])
            log.clear()

    for line in text.split("\n"):
        if (log and line.strip() and _LOG_LINE.match(line)) or _LOG_START.match(line):
            log.append(line)
        else:
            close()
            out.append(line)
    close()
    return "\n".join(out)


class Piece(NamedTuple):
    """A run of lines of one kind; the fences themselves are not part of `text`."""

    text: str
    code: bool


def split_code(text: str) -> list[Piece]:
    """The text cut at its fences (``` or ~~~; one never closed runs to the end)."""
    pieces: list[Piece] = []
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        match = _FENCE_LINE.match(line)
        opens = match is not None and not fence
        closes = match is not None and bool(fence) and match[1].startswith(fence)
        if opens or closes:
            pieces.append(Piece("\n".join(lines), bool(fence)))
            lines, fence = [], (match[1] if match and opens else "")
        else:
            lines.append(line)
    pieces.append(Piece("\n".join(lines), bool(fence)))
    return [piece for piece in pieces if piece.text.strip()]


def prose(text: str) -> str:
    """What stands outside the fences."""
    return "\n".join(piece.text for piece in split_code(text) if not piece.code)
