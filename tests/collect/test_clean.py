"""Cleaning: markup to text, code marked off, nothing that looks like a key or an address left."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.clean import drop_quoted_lines, html_text, markdown_text, prose, safe, scrub, split_code, tidy

SECRETS = {
    "GitHub": "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "GitHub, fine-grained": "github_pat_11ABCDEFG0123456789_abcdefghijklmnopqrstuvwxyz0123456789",
    "Hugging Face": "hf_abcdefghijklmnopqrstuvwxyz01234567",
    "OpenAI": "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789",
    "Anthropic": "sk-ant-api03-0123456789abcdefghij-ABCDEFGHIJ",
    "Tinker": "tml-0123456789abcdefABCDEF",
    "AWS": "AKIA0123456789ABCDEF",
    "Google": "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "Slack": "xoxb-0123456789-abcdefghij",
    "GitLab": "glpat-0123456789abcdefghij",
    "npm": "npm_0123456789abcdefghijABCDEFGHIJ012345",
    "Groq": "gsk_0123456789abcdefghijABCDEFGHIJ012345",
    "JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "e-mail": "first.last+tag@sub.example.co.uk",
}
NAMED = {
    "variable": (
        "export WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567",
        "0123456789abcdef0123456789abcdef01234567",
    ),
    "python": ('client = Client(api_key="a1b2c3d4e5f6g7h8")', "a1b2c3d4e5f6g7h8"),
    "JSON": ('{"access_token": "zyx987wvu654tsr321"}', "zyx987wvu654tsr321"),
    "header": ("Authorization: Bearer abc123def456ghi789", "abc123def456ghi789"),
    "login": ("wandb login 0123456789abcdef0123456789abcdef01234567", "0123456789abcdef0123456789abcdef01234567"),
    "url": ("postgres://admin:hunter2secret@db.example.org/x", "hunter2secret"),
    "password": ("password='correct-horse-7'", "correct-horse-7"),
    "short password": ("password: hunter2!", "hunter2!"),
    "password in quotes": ("PASSWORD = 'correcthorse'", "correcthorse"),
    "basic authorization": ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    "AWS secret": ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI"),
    "Azure": ("AccountName=x;AccountKey=abcDEF0123456789+/abc==;Suffix", "abcDEF0123456789"),
    "YAML": ("hf_token: 'abcdefgh12345678'", "abcdefgh12345678"),
    "option": ("python run.py --api-key 0123abcd4567efgh", "0123abcd4567efgh"),
    "private key": ("-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----", "MIIEabc"),
    "cut private key": ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1r", "b3BlbnNzaC1r"),
}
HARMLESS = (
    "api_key=None",
    "tokenizer = AutoTokenizer.from_pretrained(name)",
    "max_new_tokens=1000000000000",
    "the token: a unit of text",
    "password is required",
    "sk-learn-compatible estimator",
    "commit 0123456789abcdef0123456789abcdef01234567",
    "per_device_train_batch_size=16",
    "@someone said so",
    "lr=2e-4, r=64, lora_alpha=128",
    "eos_token: </s>",
    'tokenizer.pad_token = "[PAD_TOKEN]"',
    "image_token='IMAGE_PLACEHOLDER'",
    "export OPENAI_API_KEY=$OPENAI_API_KEY",
    'os.environ["HF_TOKEN"]',
    "pwd: /home",
    "secret sauce: data, data, data",
    "bearer of bad news",
    "pad_token = tokenizer.eos_token",
    "key-value cache of the model",
)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", ["{}", "my key is {}.", "`{}`", "x={}", "<p>{}</p>", '"{}"', "a\u200b{}"])
def test_a_secret_with_a_shape_of_its_own_is_scrubbed(name: str, around: str) -> None:
    assert SECRETS[name] not in safe(around.format(SECRETS[name]))


@pytest.mark.parametrize("name", NAMED)
def test_a_secret_told_by_its_name_is_scrubbed(name: str) -> None:
    text, secret = NAMED[name]
    assert secret not in scrub(text)


def test_a_key_split_by_an_invisible_character_is_scrubbed() -> None:
    key = SECRETS["GitHub"]
    assert key[10:] not in safe(key[:10] + "\u200b" + key[10:])


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_stays(text: str) -> None:
    assert scrub(text) == text


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_cleaning_takes_any_text_and_is_done_once(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    once.encode()
    assert scrub(scrub(once)) == scrub(once)
    for cleaned in (html_text(text), markdown_text(text)):
        cleaned.encode()


@given(
    st.lists(
        st.sampled_from(
            ["```", "~~~", "text", "> quoted", "    x = 1", "", "```py", "Traceback (most recent call last):"]
        )
    )
)
@settings(deadline=None)
def test_any_order_of_fences_keeps_the_text(lines: list[str]) -> None:
    cleaned = markdown_text("\n".join(lines))
    assert cleaned.count("```") % 2 == 0
    outside = prose("\n".join(lines))
    assert markdown_text(outside).count("text") == outside.count("text")


REPEATED = [
    "sk-",
    "sk-a-",
    "key_",
    "[quote=",
    "[quote]",
    "<!--",
    "a.b@",
    "a@b.",
    "token=",
    "eyJaaaaaaaa.",
    "://",
    "> ",
    "<b>",
]


@pytest.mark.parametrize("piece", REPEATED)
def test_no_text_is_slow_to_clean(piece: str) -> None:
    """The longest post there is (65,536 characters) of the worst there is: 0.3 s at most where measured, not
    minutes."""
    text = (piece * 65536)[:65536]
    started = time.perf_counter()
    safe(text)
    markdown_text(text)
    html_text(text)
    assert time.perf_counter() - started < 5


def test_html_becomes_text_with_code_marked_off() -> None:
    markup = (
        "<p>It's &amp;lt;ok&amp;gt;</p><aside class='quote'><p>THEIRS</p></aside><pre><code>a &lt; b\n  c</code></pre>"
        "<p>see <a href='https://e.org/a/long/one'>https://e.org/a/lo...</a> and <code>x</code></p>"
        "<aside class='onebox'>PREVIEW</aside><script>EVIL</script><!-- HIDDEN -->"
    )
    assert html_text(markup) == ("It's &lt;ok&gt;\n\n```\na < b\n  c\n```\n\nsee https://e.org/a/long/one and `x`")


def test_hacker_news_paragraphs_and_quotes() -> None:
    assert html_text("I&#x27;ve<p>&gt; their words<p>mine &amp; yours") == "I've\n\nmine & yours"


def test_markdown_loses_what_is_not_the_authors() -> None:
    text = (
        "<!-- template: please\nfill in -->\n### Bug\n- [x] I searched\n> someone else\n"
        "On Mon, Jan 1, 2026, ann wrote:\nMine\n<details><summary>log</summary>\n\n```\n> kept\n```\n</details>"
    )
    assert markdown_text(text) == "### Bug\n\nMine\nlog\n\n```\n> kept\n```"


def test_a_traceback_in_running_text_is_marked_off() -> None:
    text = 'It fails:\nTraceback (most recent call last):\n  File "a.py", line 1\nValueError: no\nWhy?'
    cleaned = markdown_text(text)
    assert prose(cleaned).split() == ["It", "fails:", "Why?"]
    assert [p.text.splitlines()[0] for p in split_code(cleaned) if p.code] == ["Traceback (most recent call last):"]


def test_lines_in_fences_are_not_quotes() -> None:
    assert drop_quoted_lines("> a\n```\n> b\n```") == "```\n> b\n```"
