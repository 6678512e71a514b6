"""The checker on pages from elsewhere, on any bytes at all, and on pages made to keep it busy."""

import string
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partner_sdk.button.check import Expected, check_page, parse_known
from partner_sdk.button.check.page import MAX_MARKS, MAX_PAGE_BYTES
from partner_sdk.errors import FormatError
from partner_sdk.wire.button import ButtonCheck, CheckPost, encode_checks, parse_checks
from tests.sdk.button.pages import ADDRESS, ORIGIN, PLACEMENT, PLAIN, SEEDS, WITH_SCRIPT
from tests.sdk.button.pasting import ENDS, FOREIGN, PLACES, paste

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EXPECTED = Expected(ORIGIN, placement=PLACEMENT)
# Pages that libraries of this environment bring along: an administration, debuggers, viewers of traces and reports.
LIBRARIES = ("django", "playwright", "setuptools")


def check(raw: bytes) -> ButtonCheck:
    return check_page(raw, address=ADDRESS, expected=EXPECTED, now=NOW, headers={"Content-Type": "text/html"})


def list_shipped() -> list[Path]:
    folder = Path(sysconfig.get_path("purelib"))
    return sorted(path for name in LIBRARIES for path in (folder / name).rglob("*.html") if path.stat().st_size > 200)


@pytest.mark.parametrize("snippet", [WITH_SCRIPT, PLAIN], ids=["script", "link"])
def test_button_on_pages_of_strangers_is_found_and_no_false_alarm_is_raised(snippet: str):
    looked_at = 0
    for path in list_shipped():
        raw = path.read_bytes()
        assert check(raw).placement is None
        for page in paste(raw, snippet=snippet, places=(*PLACES, *ENDS)):
            found = check(page)
            # The snippet is English: on a page that says it is in a third language, that is advice for good reason.
            is_foreign = FOREIGN.search(page) is not None
            codes = ["language-not-said"] if is_foreign else []
            assert (found.placement, [one.code for one in found.findings]) == (PLACEMENT, codes), path
            looked_at += 1
    assert looked_at >= 100, "too few pages lie in this environment"


TAGS = (
    "a",
    "p",
    "div",
    "svg",
    "path",
    "img",
    "script",
    "template",
    "iframe",
    "report-abuse-button",
    "base",
    "meta",
    "table",
)
ATTRIBUTES = ("href", "src", "rel", "srcdoc", "width", "lang", "style", "target", "content", "http-equiv", "aria-label")
VALUES = st.sampled_from(
    [f"{ORIGIN}/?from={PLACEMENT}", "http://[", "//", "\x00", "a b", "//[::1", "data:;base64,%%%", "%ff"]
)
TAG = st.builds(
    "<{} {}='{}'>".format,
    st.sampled_from(TAGS),
    st.sampled_from(ATTRIBUTES),
    VALUES | st.text(string.printable, max_size=12),
)
SOUP = st.lists(
    TAG | st.sampled_from(["</a>", "</svg>", "<!--", "-->", "Report Abuse", "</script>", "\ufffe"]), max_size=25
)


@given(st.binary(max_size=400) | SOUP.map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")))
@settings(max_examples=250, deadline=None)
def test_any_bytes_give_a_check_that_the_desk_takes_or_a_format_error(raw: bytes):
    try:
        found = check(raw)
    except FormatError:
        return
    post = CheckPost(checks=(found,))
    assert parse_checks(encode_checks(post)) == post


@given(st.sampled_from(SEEDS), st.integers(min_value=0), st.binary(min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_in_a_page_never_stops_the_check(seed, place: int, junk: bytes):
    raw = seed.make().encode()
    at = place % len(raw)
    assert check(raw[:at] + junk + raw[at:]).method == "static"


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_headers_give_a_check(content_type: str, policy: str):
    headers = {"Content-Type": f"text/html; charset={content_type}", "Content-Security-Policy": policy}
    found = check_page(WITH_SCRIPT.encode(), address=ADDRESS, expected=EXPECTED, now=NOW, headers=headers)
    assert found.method == "static"


@given(st.binary(max_size=80))
def test_any_bytes_are_a_list_of_placements_or_a_format_error(raw: bytes):
    try:
        assert isinstance(parse_known(raw).placements, frozenset)
    except FormatError:
        return


def test_page_beyond_the_limit_is_refused():
    with pytest.raises(FormatError, match="larger than 5 MiB"):
        check(b" " * (MAX_PAGE_BYTES + 1))


@pytest.mark.parametrize(
    "page",
    [b"<a>" * (MAX_PAGE_BYTES // 3), b"<div>" * (1024**2 // 5), PLAIN.encode() + b"<b>" * (MAX_PAGE_BYTES // 4)],
    ids=["links", "deep", "after-a-button"],
)
def test_page_of_more_tags_than_can_be_judged_is_refused_at_once(page: bytes):
    began = time.process_time()
    with pytest.raises(FormatError, match="more than 100000 tags") as refused:
        check(page)
    assert refused.value.reason == "too-many-tags"
    assert time.process_time() - began < 1


def test_page_whose_frame_has_too_many_tags_is_refused():
    with pytest.raises(FormatError, match="tags"):
        check(b"<iframe srcdoc='" + b"&lt;b&gt;" * (MAX_MARKS + 1) + b"'></iframe>")


HOSTILE = {
    "most-tags": b"<div><a href=/x>" * (MAX_MARKS // 2),
    "most-frames": b"".join(b"<iframe srcdoc='%s'></iframe>" % (b"&lt;b>" * (MAX_MARKS // 20)) for _ in range(20)),
    "open-formats": b"".join(b"<b id=%d>" % place for place in range(5_000)) + b"</p><p>x" * 20_000,
    "deep": b"<div>" * 20_000 + PLAIN.encode(),
    "links": PLAIN.encode() * 300,
    "pretenders": b"<div title='report.agency.example'>" * 5_000 + b"Report Abuse",
    "elements": b"<report-abuse-button>" * 5_000,
    "attributes": b"<a "
    + b" ".join(b"x%d=1" % place for place in range(50_000))
    + b" href="
    + ORIGIN.encode()
    + b"/>x",
    "frames": b"<iframe srcdoc='<iframe srcdoc=x>'></iframe>" * 5_000,
    "host": b"<a href='https://" + b"report." * 60_000 + b"/'>Report Abuse</a>",
    "policy": b"<meta http-equiv=content-security-policy content='" + b"a.b " * 200_000 + b"'>" + WITH_SCRIPT.encode(),
    "scripts": b"<script src=report-abuse-button.js></script>" * 5_000 + WITH_SCRIPT.encode(),
    "entities": b"<a title='" + b"&amp" * 100_000 + b"' href=" + ORIGIN.encode() + b">Report Abuse</a>",
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_page_made_to_keep_the_check_busy_ends_soon(page: bytes):
    began = time.process_time()
    assert len(check(page).findings) <= 100
    assert time.process_time() - began < 15
