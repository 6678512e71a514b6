"""Page code that changes the link, or names elements so that the script stumbles, is a fault."""

import pytest

from partner_sdk.wire.button import ButtonCheck
from tests.sdk.button.pages import PLAIN, WITH_SCRIPT, make_page
from tests.sdk.button.test_check import FLAVOURS, check, list_codes

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


def has_fault(found: ButtonCheck, code: str) -> bool:
    return any((one.code, one.severity) == (code, "fault") for one in found.findings)


@FLAVOURS
@pytest.mark.parametrize("inside", INSIDE)
def test_anything_inside_the_link_but_the_icon_and_words_is_a_fault(snippet: str, inside: str) -> None:
    found = check(make_page(snippet.replace(" Report Abuse</a>", f" Report Abuse{inside}</a>")))
    assert has_fault(found, "added-inside")
    assert found.result == "faults"


@pytest.mark.parametrize("form", ["script", "link"])
def test_icon_that_holds_something_that_takes_the_press_is_a_fault(form: str) -> None:
    snippet = WITH_SCRIPT if form == "script" else PLAIN
    inside = '<svg width="44" height="44"><foreignObject><button form="away">x</button></foreignObject></svg>'
    start = snippet.index("<svg" if form == "script" else "<img")
    end = snippet.index(" Report Abuse</a>")
    found = check(make_page(snippet[:start] + inside + snippet[end:]))
    assert found.result == "faults"


@FLAVOURS
@pytest.mark.parametrize(
    ("attribute", "code"), [('slot="x"', "moved-by-slot"), ("hidden", "hidden"), ("inert", "unreachable")]
)
def test_attribute_that_takes_the_link_away_is_a_fault(snippet: str, attribute: str, code: str) -> None:
    found = check(make_page(snippet.replace("<a ", f"<a {attribute} ")))
    assert has_fault(found, code)


CLOBBERS = (
    '<form name="createElementNS"></form>',
    '<form name="createElement"></form>',
    '<img name="currentScript" src="/x.png" alt="">',
    '<img name="x" id="currentScript" src="/x.png" alt="">',
    '<iframe name="createElementNS"></iframe>',
    '<embed name="createElementNS">',
    '<object id="createElementNS"></object>',
)


@pytest.mark.parametrize("named", CLOBBERS)
def test_name_that_stands_for_what_the_script_asks_the_document_for_is_a_fault(named: str) -> None:
    found = check(make_page(WITH_SCRIPT, before=f"<div>{named}</div>"))
    assert has_fault(found, "clobbers-document")
    assert "clobbers-document" not in list_codes(check(make_page(PLAIN, before=f"<div>{named}</div>")))


@pytest.mark.parametrize(
    "named",
    [
        '<form name="search"></form>',
        '<form id="createElementNS"></form>',
        '<img id="currentScript" src="/x.png" alt="">',
        '<div name="createElementNS"></div>',
        "<form></form>",
    ],
)
def test_name_that_stands_in_nobodys_way_is_no_finding(named: str) -> None:
    assert list_codes(check(make_page(WITH_SCRIPT, before=f"<div>{named}</div>"))) == []
