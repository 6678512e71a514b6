"""The check without a browser: it finds the link in a page's source, judges that alone, and survives any bytes."""

import string
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partner_sdk.console.check import Expected, check_link, parse_known
from partner_sdk.console.check.link_check import MAX_MARKS
from partner_sdk.console.check.page_fetch import MAX_PAGE_BYTES
from partner_sdk.console.findings import ButtonCheck, CheckPost, encode_checks, format_check, parse_checks
from partner_sdk.errors import FormatError
from tests.sdk.button.pages import (
    ADDRESS,
    LINK,
    LINK_SEEDS,
    ORIGIN,
    PLACEMENT,
    PLAIN,
    SEEDS,
    WITH_SCRIPT,
    Seed,
    make_page,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EXPECTED = Expected(ORIGIN, placement=PLACEMENT, known=frozenset({PLACEMENT, "example-chat-room"}))


def check(raw: str | bytes, *, expected: Expected = EXPECTED, content_type: str = "text/html") -> ButtonCheck:
    page = raw.encode() if isinstance(raw, str) else raw
    return check_link(page, address=ADDRESS, expected=expected, now=NOW, headers={"Content-Type": content_type})


def list_codes(found: ButtonCheck) -> list[str]:
    return [one.code for one in found.findings]


@pytest.mark.parametrize("seed", SEEDS, ids=[f"{one.code}-{at}" for at, one in enumerate(SEEDS)])
def test_fault_of_the_link_is_found_in_the_source_and_no_other_is_looked_for(seed: Seed) -> None:
    found = check(seed.make())
    assert list_codes(found) == ([seed.code] if seed in LINK_SEEDS else [])
    assert found.method == "static"


def test_result_says_that_only_the_link_was_looked_for() -> None:
    for page, said in ((PLAIN, "the link is right"), (PLAIN.replace("noreferrer ", ""), "1 fault")):
        found = check(make_page(page))
        last = f"{said}; only its link was looked for (--browser checks the whole button)."
        assert format_check(found)[-1] == f"{ADDRESS}: {last}"


def test_finding_has_the_line_of_its_link() -> None:
    page = make_page(PLAIN, after=PLAIN.replace("noreferrer ", "").replace(PLACEMENT, "example-chat-room"))
    expected = Expected(ORIGIN, known=frozenset({PLACEMENT, "example-chat-room"}))
    line = next(number for number, text in enumerate(page.splitlines(), 1) if 'rel="noopener"' in text)
    assert [(one.code, one.where) for one in check(page, expected=expected).findings] == [
        ("no-noreferrer", f"line {line}")
    ]


@pytest.mark.parametrize(
    "markup",
    [
        "<p>Nothing</p>",
        f"<!-- {WITH_SCRIPT} -->",
        f"<template>{PLAIN}</template>",
        f"<noscript>{PLAIN}</noscript>",
        f"<textarea>{PLAIN}</textarea>",
        f"<script>document.body.innerHTML += '<a href=\"{LINK}\">x'</script>",
        '<a href="/report">Report Abuse</a><a href="#">Report Abuse</a>',
    ],
)
def test_page_without_the_link_has_no_button(markup: str) -> None:
    found = check(make_page(markup))
    assert (list_codes(found), found.placement) == (["no-button"], None)
    assert ("check with --browser" in found.findings[0].mend) == markup.startswith("<script>")


def test_base_of_the_page_and_its_charset_are_read() -> None:
    relative = PLAIN.replace(f'href="{ORIGIN}/', 'href="/')
    assert list_codes(check(f'<base href="{ORIGIN}/">{relative}')) == []
    for charset in ("utf-16", "utf-8"):
        assert list_codes(check(make_page(PLAIN).encode(charset))) == []
    assert list_codes(check(make_page(PLAIN).encode("utf-16-le"), content_type="text/html; charset=utf-16-le")) == []


TAGS = ("a", "p", "div", "svg", "img", "script", "template", "iframe", "report-abuse-button", "base", "meta")
ATTRIBUTES = ("href", "src", "rel", "srcdoc", "lang", "target", "content", "aria-label")
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


@given(
    st.binary(max_size=400) | SOUP.map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
    st.text(max_size=40),
)
@settings(max_examples=250, deadline=None)
def test_any_bytes_give_a_check_that_the_desk_takes(raw: bytes, charset: str) -> None:
    post = CheckPost(checks=(check(raw, content_type=f"text/html; charset={charset}"),))
    assert parse_checks(encode_checks(post)) == post


@given(st.binary(max_size=80))
def test_any_bytes_are_a_list_of_placements_or_a_format_error(raw: bytes) -> None:
    try:
        assert isinstance(parse_known(raw).placements, frozenset)
    except FormatError:
        return


def test_page_beyond_the_limits_is_refused_at_once() -> None:
    with pytest.raises(FormatError, match="larger than 5 MiB"):
        check(b" " * (MAX_PAGE_BYTES + 1))
    began = time.process_time()
    for page in (b"<a>" * (MAX_PAGE_BYTES // 3), PLAIN.encode() + b"<b>" * (MAX_PAGE_BYTES // 4)):
        with pytest.raises(FormatError, match="more than 100000 tags") as refused:
            check(page)
        assert refused.value.reason == "too-many-tags"
    assert time.process_time() - began < 1


HOSTILE = {
    "most-tags": b"<div><a href=/x>" * (MAX_MARKS // 2),
    "deep": b"<div>" * 20_000 + PLAIN.encode(),
    "links": PLAIN.encode() * 300,
    "elements": b"<report-abuse-button>" * 5_000,
    "attributes": b"<a " + b" ".join(b"x%d=1" % at for at in range(50_000)) + b" href=" + ORIGIN.encode() + b"/>x",
    "host": b"<a href='https://" + b"report." * 60_000 + b"/'>Report Abuse</a>",
    "labels": b"<div aria-label='Report Abuse'>" * 50_000,
    "open": b"<a href='" * 9_999,
    "comments": b"<!--" * 9_999,
    "entities": b"<a title='" + b"&amp" * 100_000 + b"' href=" + ORIGIN.encode() + b">Report Abuse</a>",
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_page_made_to_keep_the_check_busy_ends_soon(page: bytes) -> None:
    began = time.process_time()
    assert len(check(page).findings) <= 100
    assert time.process_time() - began < 15
