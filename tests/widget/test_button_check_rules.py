"""The table of rules finds each seeded fault, for the right reason and nothing else, and finds nothing on good pages.

The rules look at a page that a browser shows; what is measured and pressed is tried in the files beside this one.
"""

import ast
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from partner_sdk.button.snippet import (
    EARLIER_SCRIPTS,
    ICON_PATH,
    LANGUAGES,
    SCRIPT_INTEGRITY,
    SCRIPT_PATH,
    SIZES,
    VERSION,
    make_snippet,
)
from partner_sdk.console.check import browser_check
from partner_sdk.console.check.browser_check import Loads, read_page
from partner_sdk.console.check.rules import judge_page
from partner_sdk.console.findings import (
    ButtonCheck,
    CheckPost,
    Expected,
    encode_checks,
    make_check,
    make_unreachable,
    parse_checks,
    read_codes,
)
from tests.sdk.button.pages import ADDRESS, LINK, ORIGIN, PLACEMENT, PLAIN, SEEDS, WITH_SCRIPT, Seed, make_page
from tests.sdk.button.pasting import ENDS, FOREIGN, PLACES, paste
from tests.widget.checked_pages import NOW, list_codes

CHECK_FOLDER = Path(browser_check.__file__).parent
ICON = files("widget").joinpath(ICON_PATH.removeprefix("/button/")).read_bytes()
KNOWN = Expected(ORIGIN, known=frozenset({PLACEMENT, "example-chat-room"}))
EXPECTED = replace(KNOWN, placement=PLACEMENT)
Judge = Callable[..., ButtonCheck]


@pytest.fixture(scope="module")
def judge(check_browser: Browser) -> Iterator[Judge]:
    """Show a page as its own server would send it, and judge it by the rules; no other host answers."""
    page = check_browser.new_context(java_script_enabled=True).new_page()
    shown: dict[str, object] = {}

    def answer(route: Route) -> None:
        if route.request.url == ADDRESS:
            route.fulfill(status=200, headers=shown["headers"], body=shown["raw"])  # type: ignore[arg-type] # of this one test
        elif route.request.url.endswith("/static/button.svg") and shown["copy"]:
            kept = {"Content-Type": "image/svg+xml", "Cache-Control": "no-store"}
            route.fulfill(status=200, headers=kept, body=shown["copy"])  # type: ignore[arg-type] # as above
        else:
            route.abort()

    page.route("**/*", answer)

    def judge_one(
        source: str | bytes,
        *,
        policy: str = "",
        expected: Expected = EXPECTED,
        copy: bytes = b"",
        charset: str = "; charset=utf-8",
    ) -> ButtonCheck:
        headers = {"Content-Type": f"text/html{charset}", **({"Content-Security-Policy": policy} if policy else {})}
        shown.update(raw=source, headers=headers, copy=copy)
        loads = Loads()
        loads.watch(page)
        page.goto(ADDRESS, wait_until="load" if copy else "domcontentloaded")
        seen = judge_page(read_page(page, loads=loads, address=ADDRESS, expected=expected), expected=expected)
        return make_check(
            list(seen.notices),
            address=ADDRESS,
            expected=expected,
            method="browser",
            now=NOW,
            placement=seen.placement,
        )

    yield judge_one
    page.context.close()


def name_seed(seed: Seed) -> str:
    return f"{seed.code}-{SEEDS.index(seed)}"


@pytest.mark.parametrize("seed", SEEDS, ids=name_seed)
def test_seeded_fault_is_found_alone_and_decides_the_result(judge: Judge, seed: Seed) -> None:
    found = judge(seed.make(), policy=seed.policy)
    assert list_codes(found) == [seed.code]
    is_grave = read_codes()[seed.code].severity == "fault"
    assert found.result == ("faults" if is_grave else "passes")
    post = CheckPost(checks=(found, make_unreachable(ADDRESS, placement=PLACEMENT, now=NOW)))
    assert parse_checks(encode_checks(post)) == post


def test_at_least_31_different_faults_are_seeded_for_the_rules() -> None:
    assert sum(read_codes()[code].severity == "fault" for code in {one.code for one in SEEDS}) >= 31


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["script", "link"])
@pytest.mark.parametrize("size", SIZES)
def test_good_page_has_no_finding(judge: Judge, language: str, form: str, size: int) -> None:
    snippet = make_snippet(ORIGIN, placement=PLACEMENT, language=language, form=form, size=size)
    for lang in LANGUAGES if language == "cy" else ("en",):
        found = judge(make_page(snippet, lang=lang))
        assert (found.result, found.placement, list_codes(found)) == ("passes", PLACEMENT, [])


EARLIER = WITH_SCRIPT.replace(SCRIPT_PATH, SCRIPT_PATH.replace(VERSION, "1.0.0")).replace(
    SCRIPT_INTEGRITY, EARLIER_SCRIPTS["1.0.0"]
)
OWN_SCRIPT = WITH_SCRIPT.replace(f"{ORIGIN}{SCRIPT_PATH}", "/static/report-abuse-button.js").replace(
    ' crossorigin="anonymous"', ""
)
OWN_ICON = PLAIN.replace(f"{ORIGIN}{ICON_PATH}", "/static/button.svg")
WELSH = make_page(make_snippet(ORIGIN, placement=PLACEMENT, language="cy", form="link"), lang="cy")


def test_releases_and_own_copies_are_told_apart(judge: Judge) -> None:
    found = judge(make_page(EARLIER))
    assert [(one.code, one.severity) for one in found.findings] == [("earlier-version", "advice")]
    assert SCRIPT_PATH in found.findings[0].mend
    assert list_codes(judge(make_page(PLAIN.replace(ICON_PATH, ICON_PATH.replace(VERSION, "1.0.0"))))) == []
    assert list_codes(judge(make_page(OWN_SCRIPT))) == []
    assert list_codes(judge(make_page(OWN_SCRIPT.replace(f' integrity="{SCRIPT_INTEGRITY}"', "")))) == ["script-unseen"]
    assert list_codes(judge(make_page(OWN_ICON), copy=ICON)) == []
    assert list_codes(judge(make_page(OWN_ICON), copy=b"<svg/>")) == ["icon-altered"]


def test_welsh_words_without_a_charset_are_found(judge: Judge) -> None:
    assert list_codes(judge(WELSH.replace('<meta charset="utf-8">', ""), charset="")) == ["charset-not-said"]


HARMLESS = (
    ("</report-abuse-button>", "</report-abuse-button>\n<!-- the button -->"),
    ("<p>Has", "<p class='note'>\n   Has"),
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
)
LAYOUTS = (
    ('<div class="grid"><div class="row"><div class="col">', "</div></div></div>"),
    ("<details open><summary>Help</summary>", "</details>"),
    ("<table><tr><td>", "</td></tr></table>"),
    ("<ul><li>One</li><li>", "</li><li>Three</li></ul>"),
    ("<dialog open>", "</dialog>"),
    ('<div data-track="section"><a href="/x">Help</a>', '<a href="/y">More</a></div>'),
    ('<form action="/search"><input name="q">', "</form>"),
    ("<p>Unclosed <b>bold <i>text", ""),
)
IN_NOBODYS_WAY = (
    '<form name="search"></form>',
    '<form id="createElementNS"></form>',
    '<img id="currentScript" src="/x.png" alt="">',
    '<div name="createElementNS"></div>',
)


def test_what_sites_do_to_any_snippet_without_harm_is_no_finding(judge: Judge) -> None:
    pages = {str(change): make_page(WITH_SCRIPT.replace(*change)) for change in HARMLESS}
    assert all(make_page(WITH_SCRIPT) != page for page in pages.values())
    pages |= {
        f"{before} {len(snippet)}": make_page(snippet, before=before, after=after)
        for before, after in LAYOUTS
        for snippet in (WITH_SCRIPT, PLAIN)
    }
    pages |= {named: make_page(WITH_SCRIPT, before=f"<div>{named}</div>") for named in IN_NOBODYS_WAY}
    pages["whole page"] = make_page(PLAIN).replace(
        "<body>", '<body data-track="page" onclick="count()" class="optanon-category-1">'
    )
    found = {name: list_codes(judge(page)) for name, page in pages.items()}
    assert {name: codes for name, codes in found.items() if codes} == {}


@pytest.mark.parametrize("snippet", [WITH_SCRIPT, PLAIN], ids=["script", "link"])
def test_button_on_pages_of_libraries_raises_no_false_alarm(judge: Judge, snippet: str) -> None:
    folder, looked_at = Path(sysconfig.get_path("purelib")), 0
    shipped = [
        path for name in ("django", "playwright", "setuptools") for path in sorted((folder / name).rglob("*.html"))
    ]
    for path in [one for one in shipped if one.stat().st_size > 200]:
        for page in paste(path.read_bytes(), snippet=snippet, places=(*PLACES, *ENDS))[:1]:
            found = judge(page, policy="script-src 'none'")
            # The snippet is English: on a page that says it is in a third language, that is advice for good reason.
            advice = {"language-not-said"} if FOREIGN.search(page) else set()
            assert set(list_codes(found)) - {"policy-blocks-script"} == advice, path
            assert found.placement == PLACEMENT, path
            looked_at += 1
    assert looked_at >= 20, "too few pages lie in this environment"


OWN = {
    "<a href='/report'>Report abuse</a>": True,
    "<input type='submit' value='REPORT ABUSE'>": True,
    "<button onclick='go()'>Report Abuse</button>": True,
    "<a href='#'>Report Abuse</a>": True,
    "<a href='/report'>Report abuse to our team</a>": False,
    "<input type='text' value='Report Abuse'>": False,
    "<p>Report Abuse</p>": False,
}


def test_own_reporting_of_a_site_is_no_button_and_is_told_apart(judge: Judge) -> None:
    for own, is_named in OWN.items():
        codes = ["own-report-link"] if is_named else []
        assert list_codes(judge(make_page(own))) == ["no-button", *codes], own
        found = judge(make_page(PLAIN, before=own))
        assert list_codes(found) == codes, own
    (one,) = judge(make_page(PLAIN, before=next(iter(OWN)))).findings
    assert one.severity == "advice"
    assert "keep it, say whose it is" in one.mend


@pytest.mark.parametrize(
    "markup",
    [
        "<p>Nothing</p>",
        f"<!-- {WITH_SCRIPT} -->",
        f"<template>{PLAIN}</template>",
        f"<noscript>{PLAIN}</noscript>",
        f'<script type="text/plain" data-category="functional">{PLAIN}</script>',
        '<iframe src="/report"></iframe>',
        '<object data="/report"></object>',
    ],
)
def test_button_that_lies_where_nobody_sees_it_is_none(judge: Judge, markup: str) -> None:
    found = judge(make_page(markup))
    assert (list_codes(found), found.placement) == (["no-button"], None)
    is_frame = markup.startswith(("<iframe", "<object"))
    assert ("A button in a frame does not count" in found.findings[0].mend) == is_frame


PLACEMENTS = (
    (Expected(ORIGIN, known=frozenset({"example-chat-room"})), "unknown-placement", ""),
    (Expected(ORIGIN), "placement-not-compared", "--placement"),
    (Expected(ORIGIN, placement="example-chat-room"), "other-placement", ""),
)


def test_placement_is_compared_with_what_was_agreed(judge: Judge) -> None:
    for expected, code, mend in PLACEMENTS:
        (one,) = judge(make_page(PLAIN), expected=expected).findings
        assert one.code == code
        assert mend in one.mend
    assert f"The link names {PLACEMENT}; the agreed placement is example-chat-room." in one.what
    other = PLAIN.replace(PLACEMENT, "example-chat-room")
    assert list_codes(judge(make_page(PLAIN, after=PLAIN), expected=KNOWN)) == ["same-placement-twice"]
    assert list_codes(judge(make_page(PLAIN, after=other), expected=KNOWN)) == []
    assert list_codes(judge(make_page(PLAIN, after=other.replace("noreferrer ", "")), expected=KNOWN)) == [
        "no-noreferrer"
    ]


ALLOWING = (
    f"script-src {ORIGIN}/button/",
    f"script-src '{SCRIPT_INTEGRITY}'",
    "script-src 'nonce-abc' 'strict-dynamic'",
    f"default-src {ORIGIN}",
)
BLOCKING = (
    "script-src 'none'",
    f"script-src {ORIGIN}/other/",
    f"script-src {ORIGIN} 'strict-dynamic'",
    f"script-src {ORIGIN}, script-src 'self'",
)


def test_policy_that_blocks_the_script_is_found_with_the_line_that_is_missing(judge: Judge) -> None:
    page = make_page(WITH_SCRIPT.replace(" defer>", ' defer nonce="abc">'))
    assert [codes for policy in ALLOWING if (codes := list_codes(judge(page, policy=policy)))] == []
    for policy in BLOCKING:
        found = judge(make_page(WITH_SCRIPT), policy=policy)
        assert list_codes(found) == ["policy-blocks-script"], policy
        assert f"script-src {ORIGIN}/button/" in found.findings[0].mend


INSIDE = (
    '<dialog open><button form="away">Report Abuse</button></dialog>',
    '<iframe src="https://evil.example/"></iframe>',
    '<button form="away"></button>',
    '<input type="image" src="/x.png">',
    "<span></span>",
    '<img src="https://count.example/pixel.gif" alt="">',
    '<object data="https://evil.example/"></object>',
    '<svg width="1" height="1"></svg>',
    "<slot></slot>",
    "<template></template>",
    "<x-press></x-press>",
)
CLOBBERS = (
    '<form name="createElementNS"></form>',
    '<form name="createElement"></form>',
    '<img name="currentScript" src="/x.png" alt="">',
    '<img name="x" id="currentScript" src="/x.png" alt="">',
    '<iframe name="createElementNS"></iframe>',
    '<embed name="createElementNS">',
    '<object id="createElementNS"></object>',
)


@pytest.mark.parametrize("snippet", [WITH_SCRIPT, PLAIN], ids=["script", "link"])
def test_what_takes_the_press_or_the_link_away_is_a_fault(judge: Judge, snippet: str) -> None:
    def has_fault(page: str, code: str) -> bool:
        return any((one.code, one.severity) == (code, "fault") for one in judge(page).findings)

    for inside in INSIDE:
        page = make_page(snippet.replace(" Report Abuse</a>", f" Report Abuse{inside}</a>"))
        assert has_fault(page, "added-inside"), inside
    for attribute, code in (('slot="x"', "moved-by-slot"), ("inert", "unreachable")):
        assert has_fault(make_page(snippet.replace("<a ", f"<a {attribute} ")), code), code
    for wrapper, code in (('<div onclick="go()">', "handler"), ('<div data-track="box">', "counted")):
        wrapped = snippet.replace("<a ", f"{wrapper}<a ").replace("</a>", "</a></div>")
        assert list_codes(judge(make_page(wrapped))) == [code]
    inner = '<svg width="44" height="44"><foreignObject><button form="away">x</button></foreignObject></svg>'
    start = snippet.index("<svg" if "<svg" in snippet else "<img")
    swapped = make_page(snippet[:start] + inner + snippet[snippet.index(" Report Abuse</a>") :])
    assert has_fault(swapped, "icon-altered")
    for named in CLOBBERS:
        page = make_page(snippet, before=f"<div>{named}</div>")
        assert has_fault(page, "clobbers-document") == (snippet is WITH_SCRIPT), named


HIDDEN_WORDS = (
    *("zebra4711-tell-them-x", "onzebraispraised", "@click.zebra4711", "data-track-zebra4711", "data-gtm-zebra4711"),
    *("data-cookieconsent-zebra4711", "zebra4711:click", "onclick-zebra4711"),
)


def test_finding_repeats_no_word_of_the_page(judge: Judge) -> None:
    page = make_page(
        WITH_SCRIPT.replace("Report Abuse</a>", "Zebra4711</a>")
        .replace('rel="', 'title="Zebra4711" data-x="Zebra4711" rel="')
        .replace(PLACEMENT, "Zebra4711"),
        before="<p>Zebra4711</p>",
    )
    found = judge(page)
    assert len(found.findings) >= 4
    assert "zebra" not in encode_checks(CheckPost(checks=(found,))).decode().lower()
    attributes = " ".join(f"{name}=1" for name in HIDDEN_WORDS)
    for place in ("<a ", "<report-abuse-button"):
        check = judge(make_page(WITH_SCRIPT.replace(place, f"{place.strip()} class=x onclick=1 {attributes} ")))
        said = {one.code: one.what for one in check.findings}
        assert {"altered", "handler", "counted", "waits-for-consent"} <= set(said)
        assert "zebra" not in encode_checks(CheckPost(checks=(check,))).decode()
        assert said["altered"].endswith("has not (class, data-cookieconsent... and others).")
        assert said["handler"].endswith("(onclick and others).")
        assert said["counted"].endswith("(data-gtm..., data-track...).")
    (one,) = judge(make_page(PLAIN.replace("<a ", "<a zebra4711-tell-them-x=1 "))).findings
    assert (one.code, one.what) == ("altered", "The button has attributes that the snippet has not.")


def test_page_cannot_talk_the_rules_into_another_tree(judge: Judge) -> None:
    lie = "<script>Element.prototype.getAttribute = () => 'noreferrer noopener'; Map = Set = undefined</script>"
    assert list_codes(judge(make_page(PLAIN.replace("noreferrer ", ""), head=lie))) == ["no-noreferrer"]


def test_every_code_of_the_table_is_made_by_the_check_and_gives_its_three_texts() -> None:
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in (*CHECK_FOLDER.glob("*.py"), CHECK_FOLDER.with_name("findings.py"))
    ]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    constants = {node.value for one in functions for node in ast.walk(one) if isinstance(node, ast.Constant)}
    assert set(read_codes()) - constants - {"no-noreferrer", "no-noopener"} == set()
    assert "not-visible" in read_codes()
    for row in read_codes().values():
        assert all(text and len(text) <= 600 for text in (row.what, row.why, row.mend))
