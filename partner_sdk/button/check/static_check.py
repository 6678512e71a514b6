"""Checks a page by its source alone: runs every rule over every button and says what was found. Never runs a script."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from partner_sdk import __version__
from partner_sdk.button.check.absence import explain_absence
from partner_sdk.button.check.buttons import Button, Subject, list_buttons, list_documents
from partner_sdk.button.check.codes import read_codes, spell_notice
from partner_sdk.button.check.expected import Expected
from partner_sdk.button.check.icon_rules import ReadResource, see_icon
from partner_sdk.button.check.inner_rules import INNER_RULES
from partner_sdk.button.check.link_rules import LINK_RULES, find_given_placement, see_link
from partner_sdk.button.check.notices import Notice, Rule
from partner_sdk.button.check.page import Page, parse_page
from partner_sdk.button.check.page_headers import find_charset, guess_charset, list_policy_headers
from partner_sdk.button.check.place_rules import PLACE_RULES
from partner_sdk.button.check.press_rules import PRESS_RULES
from partner_sdk.button.check.script_rules import SCRIPT_RULES, see_scripts
from partner_sdk.button.check.words_rules import WORDS_RULES
from partner_sdk.wire.button_check import MAX_FINDINGS, ButtonCheck, CheckFinding, CheckResult, Method
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.placement import is_placement

CHECKER: Final = f"report-abuse-partner {__version__}"
MAX_ADDRESS: Final = 2000


def read_nothing(_address: str) -> bytes | None:
    """Return None: a page that came from a file has no host to ask."""
    return None


def check_page(
    raw: bytes,
    *,
    address: str,
    expected: Expected,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    read_resource: ReadResource = read_nothing,
) -> ButtonCheck:
    """Return what is found on a page of at most 5 MiB and `MAX_MARKS` tags; raises `FormatError` for a larger one.

    `headers` are those of the answer that brought it; `read_resource` fetches a copy of icon or script from the page's
    own host.
    """
    told = {} if headers is None else headers
    page = parse_page(
        raw,
        address=address,
        charset=find_charset(told) or (guess_charset(raw) if headers is None else None),
        policies=tuple(list_policy_headers(told)),
    )
    seen = judge_page(page, expected=expected, read_resource=read_resource)
    return make_check(
        list(seen.notices), address=address, expected=expected, method="static", now=now, placement=seen.placement
    )


@dataclass(frozen=True, slots=True)
class PageSeen:
    """What the source of a page shows. `placement` is the one that the first button names, if it is spelled as one."""

    notices: tuple[Notice, ...]
    placement: str | None


def judge_page(page: Page, *, expected: Expected, read_resource: ReadResource = read_nothing) -> PageSeen:
    """Return what every rule says of every button of the page, each thing once; raises `FormatError` for its frames.

    The page is gone through once: a large one takes seconds.
    """
    documents = tuple(list_documents(page))
    buttons = tuple(list_buttons(documents, expected=expected))
    if not buttons:
        return PageSeen((explain_absence(documents, expected=expected),), placement=None)
    found: dict[Notice, None] = {}
    for button in buttons:
        subject = Subject(button, expected=expected, all_buttons=buttons)
        found.update(dict.fromkeys(_judge(subject, read_resource=read_resource)))
    return PageSeen(tuple(found), placement=_find_placement(buttons))


def _judge(subject: Subject, *, read_resource: ReadResource) -> Iterator[Notice]:
    if not subject.button.is_link:
        yield from see_link(subject)
        return
    rules: tuple[Rule, ...] = (
        *LINK_RULES,
        *PRESS_RULES,
        *INNER_RULES,
        *WORDS_RULES,
        partial(see_icon, read_resource=read_resource),
        partial(see_scripts, read_resource=read_resource),
        *SCRIPT_RULES,
        *PLACE_RULES,
    )
    for rule in rules:
        yield from rule(subject)


def _find_placement(buttons: tuple[Button, ...]) -> str | None:
    given = (find_given_placement(one.address) for one in buttons)
    return next((one for one in given if one is not None and is_placement(one)), None)


def make_check(
    notices: list[Notice],
    *,
    address: str,
    expected: Expected,
    method: Method,
    now: datetime,
    placement: str | None,
) -> ButtonCheck:
    """Return the check as it is written down; the gravest first, at most `MAX_FINDINGS`."""
    order = list(read_codes())
    findings = sorted(
        (spell_notice(one, expected=expected) for one in notices),
        key=lambda one: (("fault", "advice", "unseen").index(one.severity), order.index(one.code)),
    )
    if len(findings) > MAX_FINDINGS:
        findings = [*findings[: MAX_FINDINGS - 1], spell_notice(Notice("too-many"), expected=expected)]
    result: CheckResult = "faults" if any(one.severity == "fault" for one in findings) else "passes"
    return _write(findings, address=address, method=method, now=now, placement=placement, result=result)


def make_unreachable(
    address: str,
    *,
    placement: str | None,
    now: datetime,
    method: Method = "static",
    findings: tuple[CheckFinding, ...] = (),
) -> ButtonCheck:
    """Return the check of a page that did not come, or could not be judged: it says nothing of the button."""
    return _write(list(findings), address=address, method=method, now=now, placement=placement, result="unreachable")


def _write(
    findings: list[CheckFinding],
    *,
    address: str,
    method: Method,
    now: datetime,
    placement: str | None,
    result: CheckResult,
) -> ButtonCheck:
    return ButtonCheck(
        address=address[:MAX_ADDRESS] or "-",
        checked_at=format_time(now),
        checker=CHECKER,
        findings=tuple(findings),
        method=method,
        placement=placement,
        result=result,
    )
