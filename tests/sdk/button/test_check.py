"""The checker finds each seeded fault, for the right reason and nothing else, and finds nothing on good pages."""

import ast
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path

import pytest

from partner_sdk.button.check import Expected, check_page, make_unreachable
from partner_sdk.button.check import findings as codes_room
from partner_sdk.button.check.findings import read_codes
from partner_sdk.button.release import EARLIER_SCRIPTS, ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH, VERSION
from partner_sdk.button.snippet import LANGUAGES, SIZES, make_snippet
from partner_sdk.wire.button import ButtonCheck, CheckPost, encode_checks, parse_checks
from tests.sdk.button.pages import ADDRESS, LINK, ORIGIN, PLACEMENT, PLAIN, SEEDS, WITH_SCRIPT, Seed, make_page

CHECK_FOLDER = Path(codes_room.__file__).parent
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EXPECTED = Expected(ORIGIN, placement=PLACEMENT, known=frozenset({PLACEMENT, "example-chat-room"}))
FLAVOURS = pytest.mark.parametrize("snippet", [WITH_SCRIPT, PLAIN], ids=["script", "link"])


def check(page: str, *, expected: Expected = EXPECTED, policy: str = "", address: str = ADDRESS) -> ButtonCheck:
    """Check a page as its own server would send it."""
    headers = {"Content-Type": "text/html; charset=utf-8", **({"Content-Security-Policy": policy} if policy else {})}
    return check_page(page.encode(), address=address, expected=expected, now=NOW, headers=headers)


def list_codes(found: ButtonCheck) -> list[str]:
    return [one.code for one in found.findings]


def name_seed(seed: Seed) -> str:
    return f"{seed.code}-{SEEDS.index(seed)}"


@pytest.mark.parametrize("seed", SEEDS, ids=name_seed)
def test_seeded_fault_is_found_alone_and_decides_the_result(seed: Seed):
    found = check(seed.make(), policy=seed.policy)
    assert list_codes(found) == [seed.code]
    is_grave = read_codes()[seed.code].severity == "fault"
    assert found.result == ("faults" if is_grave else "passes")


def test_at_least_31_different_faults_are_seeded_for_the_source_alone():
    seeded = {one.code for one in SEEDS}
    assert seeded <= set(read_codes())
    assert sum(read_codes()[code].severity == "fault" for code in seeded) >= 31


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["script", "link"])
@pytest.mark.parametrize("size", SIZES)
def test_good_page_has_no_finding(language: str, form: str, size: int):
    snippet = make_snippet(ORIGIN, placement=PLACEMENT, language=language, form=form, size=size)
    for lang in LANGUAGES if language == "cy" else ("en",):
        found = check(make_page(snippet, lang=lang))
        assert (found.result, found.placement, list_codes(found)) == ("passes", PLACEMENT, [])


def test_earlier_release_is_advised_to_change_and_is_no_fault():
    earlier = WITH_SCRIPT.replace(SCRIPT_PATH, SCRIPT_PATH.replace(VERSION, "1.0.0"))
    found = check(make_page(earlier.replace(SCRIPT_INTEGRITY, EARLIER_SCRIPTS["1.0.0"])))
    assert [(one.code, one.severity) for one in found.findings] == [("earlier-version", "advice")]
    assert SCRIPT_PATH in found.findings[0].mend
    image = PLAIN.replace(ICON_PATH, ICON_PATH.replace(VERSION, "1.0.0"))
    assert image != PLAIN
    assert list_codes(check(make_page(image))) == []


@pytest.mark.parametrize(
    "change",
    [
        ("</report-abuse-button>", "</report-abuse-button>\n<!-- the button -->"),
        ("<p>Has", "<p class='note'>\n   Has"),
        ("?from", "?from"),
        ('rel="noreferrer noopener"', 'rel="nofollow  NOOPENER noreferrer external"'),
        (f'href="{LINK}"', f'href=" {LINK}\n"'),
        (f'href="{LINK}"', f'href="{LINK}#context=abc.DEF-123_"'),
        ("report.agency.example/?from", "report.agency.example:443/?from"),
        ("https://report.agency.example/?from", "HTTPS://Report.Agency.Example?from"),
        ("<report-abuse-button>", '<report-abuse-button theme="dark" id="report">'),
        (' crossorigin="anonymous"', " crossorigin"),
        (" defer>", ' type="module" nonce="abc">'),
        ("<report-abuse-button>", '<report-abuse-button data-v-7ba5bd90 data-astro-cid-j7pv25f6="">'),
        ("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" focusable="false" '),
        ("><path", ">\n  <path"),
    ],
)
def test_what_sites_do_to_any_snippet_without_harm_is_no_finding(change: tuple[str, str]):
    assert change[0] in WITH_SCRIPT
    assert list_codes(check(make_page(WITH_SCRIPT.replace(*change)))) == []


@FLAVOURS
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<div class="grid"><div class="row"><div class="col">', "</div></div></div>"),
        ("<details open><summary>Help</summary>", "</details>"),
        ("<table><tr><td>", "</td></tr></table>"),
        ("<ul><li>One</li><li>", "</li><li>Three</li></ul>"),
        ("<dialog open>", "</dialog>"),
        ('<div data-track="section"><a href="/x">Help</a>', '<a href="/y">More</a></div>'),
        ('<form action="/search"><input name="q">', "</form>"),
        ("<p>Unclosed <b>bold <i>text", ""),
    ],
)
def test_button_inside_a_large_layout_has_no_finding(snippet: str, before: str, after: str):
    assert list_codes(check(make_page(snippet, before=before, after=after))) == []


@FLAVOURS
def test_own_reporting_of_a_site_is_no_button(snippet: str):
    own = '<a href="/report">Report Abuse</a><button onclick="go()">Report Abuse</button><a href="#">Report Abuse</a>'
    (found,) = check(make_page(snippet, before=own)).findings
    assert (found.code, found.severity, found.where) == ("own-report-link", "advice", "line 14")
    assert "keep it, say whose it is" in found.mend
    assert ORIGIN not in found.mend


@pytest.mark.parametrize(
    ("own", "is_named"),
    [
        ("<a href='/report'>Report abuse</a>", True),
        ("<input type='submit' value='REPORT ABUSE'>", True),
        ("<a href='/report'>Report abuse to our team</a>", False),
        ("<input type='text' value='Report Abuse'>", False),
        ("<p>Report Abuse</p>", False),
    ],
)
def test_own_link_with_the_words_of_the_button_is_told_apart_on_a_page_without_one_too(own: str, is_named: bool):
    codes = ["no-button", "own-report-link"] if is_named else ["no-button"]
    assert list_codes(check(make_page(own))) == codes


@pytest.mark.parametrize(
    "policy",
    [
        f"default-src 'none'; script-src {ORIGIN}/button/",
        f"script-src '{SCRIPT_INTEGRITY}'",
        "script-src 'nonce-abc' 'strict-dynamic'",
        "script-src https:",
        "script-src *.agency.example",
        f"default-src {ORIGIN}",
        "frame-ancestors 'none'",
        f"script-src 'self'; script-src-elem {ORIGIN}",
    ],
)
def test_policy_that_lets_the_script_run_is_no_finding(policy: str):
    page = make_page(WITH_SCRIPT.replace(" defer>", ' defer nonce="abc">'))
    assert list_codes(check(page, policy=policy)) == []


@pytest.mark.parametrize(
    "policy",
    [
        "default-src 'none'",
        "script-src 'none'",
        "script-src https://agency.example",
        f"script-src {ORIGIN}/other/",
        f"script-src {ORIGIN}:8443",
        f"script-src {ORIGIN} 'strict-dynamic'",
        "script-src http://report.agency.example.evil.test",
        f"script-src {ORIGIN}, script-src 'self'",
    ],
)
def test_policy_that_blocks_the_script_is_found_with_the_line_that_is_missing(policy: str):
    found = check(make_page(WITH_SCRIPT), policy=policy)
    assert list_codes(found) == ["policy-blocks-script"]
    assert f"script-src {ORIGIN}/button/" in found.findings[0].mend


@pytest.mark.parametrize(
    ("code", "markup"),
    [
        ("no-button", "<p>Nothing</p>"),
        ("in-comment", f"<!-- {WITH_SCRIPT} -->"),
        ("in-template", f"<template>{PLAIN}</template>"),
        ("in-noscript", f"<noscript>{PLAIN}</noscript>"),
        ("waits-for-consent", f'<script type="text/plain" data-category="functional">{PLAIN}</script>'),
        ("no-button", f"<script>document.body.innerHTML += '<a href=\"{LINK}\">x'</script>"),
        ("no-button", f'<script type="application/json">{{"html":"{LINK.replace("/", chr(92) + "/")}"}}</script>'),
        ("shown-as-text", f"<div>{escape(PLAIN)}</div>"),
    ],
)
def test_page_without_a_button_names_where_it_lies_instead(code: str, markup: str):
    found = check(make_page(markup))
    assert list_codes(found) == [code]
    assert found.placement is None
    assert ("check with --browser" in found.findings[0].mend) == markup.startswith(("<script>", '<script type="app'))


@pytest.mark.parametrize(
    ("frame", "target", "codes"),
    [
        ("", "", ["in-frame"]),
        ("", ' target="_top"', []),
        ('sandbox="allow-scripts"', ' target="_top"', ["sandboxed"]),
        ('sandbox="allow-scripts"', "", ["sandboxed"]),
        ('sandbox="allow-popups"', ' target="_blank"', []),
        ('sandbox="allow-top-navigation-by-user-activation"', ' target="_top"', []),
        ('sandbox="allow-popups"', "", ["in-frame"]),
    ],
)
def test_button_in_a_frame_is_found_unless_it_leads_out(frame: str, target: str, codes: list[str]):
    inner = PLAIN.replace(" rel=", f"{target} rel=")
    page = make_page(f'<iframe {frame} srcdoc="{escape("<html lang=en>" + inner)}"></iframe>')
    found = check(page)
    assert list_codes(found) == codes
    assert [one.where for one in found.findings] == ["line 15"] * len(codes)


def test_unknown_placement_is_found_against_the_agreed_ones():
    expected = Expected(ORIGIN, known=frozenset({"example-chat-room"}))
    assert list_codes(check(make_page(PLAIN), expected=expected)) == ["unknown-placement"]


def test_placement_is_not_compared_when_none_was_named():
    found = check(make_page(PLAIN), expected=Expected(ORIGIN))
    assert (found.result, list_codes(found)) == ("passes", ["placement-not-compared"])
    assert found.findings[0].severity == "unseen"
    assert "--placement" in found.findings[0].mend


def test_wrong_placement_names_both_ids():
    found = check(make_page(PLAIN), expected=Expected(ORIGIN, placement="example-chat-room"))
    assert f"The link names {PLACEMENT}; the agreed placement is example-chat-room." in found.findings[0].what


@pytest.mark.parametrize("frame", ['<iframe src="/report"></iframe>', '<object data="/report"></object>'])
def test_button_that_may_lie_in_a_frame_does_not_count_there(frame: str):
    told = "A button in a frame does not count"
    assert told in check(make_page(frame)).findings[0].mend
    assert told not in check(make_page("")).findings[0].mend


def test_two_buttons_with_one_placement_are_an_advice_and_with_two_are_none():
    other = PLAIN.replace(PLACEMENT, "example-chat-room")
    expected = Expected(ORIGIN, known=frozenset({PLACEMENT, "example-chat-room"}))
    assert list_codes(check(make_page(PLAIN, after=PLAIN), expected=expected)) == ["same-placement-twice"]
    assert list_codes(check(make_page(PLAIN, after=other), expected=expected)) == []


def test_each_of_two_buttons_is_judged_at_its_own_line():
    page = make_page(PLAIN, after=PLAIN.replace("noreferrer ", "").replace(PLACEMENT, "example-chat-room"))
    found = check(page, expected=Expected(ORIGIN, known=frozenset({PLACEMENT, "example-chat-room"})))
    assert [(one.code, one.where) for one in found.findings] == [("no-noreferrer", "line 19")]


def test_line_is_that_of_the_source():
    page = make_page(WITH_SCRIPT.replace('height="44"', 'height="10"'))
    line = next(number for number, text in enumerate(page.splitlines(), 1) if 'height="10"' in text)
    assert [one.where for one in check(page).findings] == [f"line {line}"]


@pytest.mark.parametrize(("copy", "codes"), [("right", []), ("wrong", ["icon-altered"]), ("none", ["icon-unseen"])])
def test_own_copy_of_the_icon_is_judged_by_its_bytes(copy: str, codes: list[str]):
    page = make_page(PLAIN.replace(f"{ORIGIN}{ICON_PATH}", "/static/button.svg"))
    asked = []

    def read(address: str) -> bytes | None:
        asked.append(address)
        return {"right": read_icon(), "wrong": b"<svg/>", "none": None}[copy]

    found = check_page(page.encode(), address=ADDRESS, expected=EXPECTED, now=NOW, read_resource=read)
    assert list_codes(found) == codes
    assert asked == ["https://chat.example/static/button.svg"]


def read_icon() -> bytes:
    """Return the released icon as a copy on a service's own host has it."""
    return files("widget").joinpath(ICON_PATH.removeprefix("/button/")).read_bytes()


def test_own_copy_of_the_script_needs_no_crossorigin_and_no_other_host():
    own = WITH_SCRIPT.replace(f"{ORIGIN}{SCRIPT_PATH}", "/static/report-abuse-button.js").replace(
        ' crossorigin="anonymous"', ""
    )
    assert list_codes(check(make_page(own))) == []
    assert list_codes(check(make_page(own.replace(f' integrity="{SCRIPT_INTEGRITY}"', "")))) == ["script-unseen"]


def test_welsh_words_without_a_charset_are_found():
    page = make_page(make_snippet(ORIGIN, placement=PLACEMENT, language="cy", form="link"), lang="cy")
    raw = page.replace('<meta charset="utf-8">', "").encode()
    found = check_page(raw, address=ADDRESS, expected=EXPECTED, now=NOW, headers={"Content-Type": "text/html"})
    assert list_codes(found) == ["charset-not-said"]
    assert check_page(raw, address="page.html", expected=EXPECTED, now=NOW).result == "passes"


def test_check_is_one_that_the_desk_takes():
    pages = [*(seed.make() for seed in SEEDS), make_page(PLAIN), make_page("")]
    checks = (*(check(page) for page in pages), make_unreachable(ADDRESS, placement=PLACEMENT, now=NOW))
    for start in range(0, len(checks), 50):
        post = CheckPost(checks=checks[start : start + 50])
        assert parse_checks(encode_checks(post)) == post


def test_finding_repeats_no_word_of_the_page():
    marker = "Zebra4711"
    page = make_page(
        WITH_SCRIPT.replace("Report Abuse</a>", f"{marker}</a>")
        .replace('rel="', f'title="{marker}" data-x="{marker}" rel="')
        .replace(PLACEMENT, f"{marker}"),
        before=f"<p>{marker}</p>",
    )
    found = check(page)
    assert len(found.findings) >= 4
    assert marker not in encode_checks(CheckPost(checks=(found,))).decode()


HIDDEN_WORDS = (
    *("zebra4711-tell-them-x", "onzebraispraised", "@click.zebra4711", "data-track-zebra4711", "data-gtm-zebra4711"),
    *("data-cookieconsent-zebra4711", "zebra4711:click", "onclick-zebra4711"),
)


@pytest.mark.parametrize("place", ["<a ", "<report-abuse-button"])
def test_finding_repeats_no_name_of_an_attribute_that_a_page_made_up(place: str):
    attributes = " ".join(f"{name}=1" for name in HIDDEN_WORDS)
    page = make_page(WITH_SCRIPT.replace(place, f"{place.strip()} class=x onclick=1 {attributes} "))
    found = {one.code: one.what for one in check(page).findings}
    assert {"altered", "handler", "counted", "waits-for-consent"} <= set(found)
    assert "zebra" not in encode_checks(CheckPost(checks=(check(page),))).decode()
    assert found["altered"].endswith("has not (class, data-cookieconsent... and others).")
    assert found["handler"].endswith("(onclick and others).")
    assert found["counted"].endswith("(data-gtm..., data-track...).")


def test_finding_has_no_brackets_where_no_name_is_known():
    (found,) = check(make_page(PLAIN.replace("<a ", "<a zebra4711-tell-them-x=1 "))).findings
    assert (found.code, found.what) == ("altered", "The button has attributes that the snippet has not.")


def test_page_that_is_sandboxed_as_a_whole_still_opens_the_link_but_no_new_tab():
    policy = "sandbox allow-scripts"
    assert list_codes(check(make_page(PLAIN), policy=policy)) == []
    new_tab = PLAIN.replace(" rel=", ' target="_blank" rel=')
    assert list_codes(check(make_page(new_tab), policy=policy)) == ["sandboxed", "new-tab"]


def test_tracking_or_consent_of_a_whole_page_is_no_finding():
    page = make_page(PLAIN).replace("<body>", '<body data-track="page" onclick="count()" class="optanon-category-1">')
    assert list_codes(check(page)) == []


@pytest.mark.parametrize(
    ("code", "wrapper"), [("handler", '<div onclick="go()">'), ("counted", '<div data-track="box">')]
)
def test_what_stands_around_the_button_alone_counts_as_on_it(code: str, wrapper: str):
    found = check(make_page(PLAIN.replace("<a ", f"{wrapper}<a ").replace("</a>", "</a></div>")))
    assert list_codes(found) == [code]


def test_long_list_of_findings_is_cut_where_the_desk_would_refuse_it():
    bad = (
        PLAIN.replace("noreferrer noopener", "x")
        .replace(' width="44" height="44"', "")
        .replace(f"?from={PLACEMENT}", "?a=1")
    )
    found = check(make_page("<hr>".join([bad.replace('alt=""', "ping download title=x")] * 30)))
    assert len(found.findings) == 100
    assert found.findings[-1].code == "too-many"


def list_words_in_functions() -> set[str]:
    """Return the texts that stand in the functions of the room: a code that only a set of its names is not made."""
    trees = [ast.parse(path.read_text("utf-8")) for path in CHECK_FOLDER.glob("*.py")]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    constants = [node for one in functions for node in ast.walk(one) if isinstance(node, ast.Constant)]
    return {node.value for node in constants if isinstance(node.value, str)}


def test_every_code_of_the_table_is_made_by_a_rule_and_gives_its_three_texts():
    assert len(read_codes()) >= 70
    assert set(read_codes()) - list_words_in_functions() == set()
    for row in read_codes().values():
        assert all(text and len(text) <= 600 for text in (row.what, row.why, row.mend))
