"""Urls and ids: one spelling a post, one id a post, no slash in it."""

from __future__ import annotations

import re
import string
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel import signal
from flywheel.signal import canonical_url, signal_id


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("http://GitHub.com/hiyouga/LlamaFactory/issues/12/", "https://github.com/hiyouga/LlamaFactory/issues/12"),
        ("https://github.com/o/r/issues/12?foo=1#start", "https://github.com/o/r/issues/12"),
        ("https://github.com/o/r/issues/12#issuecomment-99", "https://github.com/o/r/issues/12#issuecomment-99"),
        (
            "https://old.reddit.com/r/LocalLLaMA/comments/1abc/some_title",
            "https://www.reddit.com/r/LocalLLaMA/comments/1abc/",
        ),
        (
            "https://reddit.com/r/LocalLLaMA/comments/1abc/some_title/k9?context=3",
            "https://www.reddit.com/r/LocalLLaMA/comments/1abc/some_title/k9/",
        ),
        ("https://stackoverflow.com/questions/12/how-to-tune?r=1#34", "https://stackoverflow.com/questions/12"),
        ("https://news.ycombinator.com/item?id=7&goto=news", "https://news.ycombinator.com/item?id=7"),
        ("https://blog.example.org/a?b=1#c", "https://blog.example.org/a?b=1#c"),
    ],
)
def test_one_post_has_one_url(written: str, canonical: str) -> None:
    assert canonical_url(written) == canonical


@pytest.mark.parametrize(
    "hostile",
    ["javascript:alert(1)", "data:text/html,x", "ftp://example.org/a", "//example.org", "", "https://", "https://host/\n",
     'https://example.org/"onclick=', "https://user:pw@example.org/", "https://exämple.org/", "https://[::1", "https://x.org:99999/"],
)  # fmt: skip
def test_what_is_no_public_web_address_is_refused(hostile: str) -> None:
    with pytest.raises(ValueError, match=r"url|web address"):
        canonical_url(hostile)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/hiyouga/LlamaFactory/issues/12", "gh.hiyouga.LlamaFactory.12"),
        ("https://github.com/o/r/pull/3", "gh.o.r.3"),
        ("https://github.com/o/r/issues/3#issuecomment-44", "gh.o.r.3.44"),
        ("https://huggingface.co/meta-llama/Llama-2-7b/discussions/3", "hf.meta-llama.Llama-2-7b.3"),
        ("https://huggingface.co/gpt2/discussions/3", "hf.gpt2.3"),
        ("https://huggingface.co/datasets/o/d/discussions/1", "hf.d.o.d.1"),
        ("https://huggingface.co/spaces/o/s/discussions/1", "hf.s.o.s.1"),
        ("https://www.reddit.com/r/LocalLLaMA/comments/1ibbloy/", "rd.1ibbloy"),
        ("https://www.reddit.com/r/LocalLLaMA/comments/18n3ar3/title/ke8bbr1/", "rd.18n3ar3.ke8bbr1"),
        ("https://community.openai.com/t/some-topic/865498", "dc.community.openai.com.865498"),
        ("https://news.ycombinator.com/item?id=38434914", "hn.38434914"),
    ],
)
def test_ids_are_those_of_the_design(url: str, expected: str) -> None:
    assert canonical_url(url) == url
    assert signal_id(url) == expected


_PATH = st.text(string.ascii_letters + string.digits + "-._~/?=#%", max_size=60)
_HOST = st.sampled_from(
    ["github.com", "www.github.com", "old.reddit.com", "huggingface.co", "news.ycombinator.com", "x.org"]
)


@given(_HOST, _PATH)
def test_canonical_is_a_fixed_point_and_ids_fit_in_a_path(host: str, path: str) -> None:
    url = canonical_url(f"https://{host}/{path}")
    assert canonical_url(url) == url
    assert not set(signal_id(url)) & set("/?#%& ")


@given(st.text(max_size=200))
def test_any_text_is_a_url_or_a_clear_error(text: str) -> None:
    try:
        url = canonical_url(text)
    except ValueError as error:
        assert str(error)
    else:
        assert url.startswith("https://")


@given(st.from_regex(signal._RIGHT, fullmatch=True))
def test_the_short_way_to_a_url_says_what_the_long_way_would(url: str) -> None:
    with mock.patch.object(signal, "_RIGHT", re.compile("(?!)")):
        assert canonical_url(url) == url
