"""Findings: each `Notice` in the words of one table (`codes.toml`), and a whole check as text or as JUnit XML.

A row of the table gives the gravity of a finding, the fact, why it matters and how to fix it. JSON is the check itself
(WIRE.md §10.2). A page that did not come is a finding too (`unseen`).

An attribute's name is free text of the page and may be a word about a person: a finding repeats the names that are
known here and counts the others. The makers' names were looked up in their own documentation on 2026-11-25. The list is
not complete and never will be: it holds what sites commonly use.
"""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final, Literal

import msgspec

from partner_sdk import __version__
from partner_sdk.button.snippet import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH, SIZES
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.button import (
    MAX_FINDINGS,
    ButtonCheck,
    CheckFinding,
    CheckList,
    CheckResult,
    CheckTarget,
    Method,
    Severity,
    is_placement,
)
from partner_sdk.wire.canonical import convert, decode, format_time

MAX_KNOWN_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Expected:
    """`origin` is the agency's; `placement` the one of this page; `known` all agreed ones (None: unknown)."""

    origin: str
    placement: str | None = None
    known: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A list of agreed placements: `origin` and `targets` only where it is the desk's list for a runner."""

    placements: frozenset[str]
    origin: str | None = None
    targets: tuple[CheckTarget, ...] = ()

    def find_placement(self, address: str) -> str | None:
        """Return the placement that was agreed for an address, or None where none or several are."""
        found = {one.placement for one in self.targets if one.address == address}
        return found.pop() if len(found) == 1 else None


def parse_known(raw: bytes) -> Known:
    """Read the desk's list for a runner, or a JSON list of link ids; raises `FormatError`."""
    if len(raw) > MAX_KNOWN_BYTES:
        raise FormatError("The list of placements is too large.", reason="too-large")
    try:
        told = decode(raw, kind=CheckList | list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FormatError(
            'This is not a list of placements: a JSON list such as ["example-chat-profile"], or the file that the '
            "agency's desk writes for a runner.",
            reason="malformed",
        ) from None
    if isinstance(told, CheckList):
        placements = frozenset(one.placement for one in told.targets)
        return Known(placements=placements, origin=told.agency_origin, targets=told.targets)
    if not all(is_placement(one) for one in told):
        raise FormatError("The list holds an entry that is not a placement id.", reason="bad-placement")
    return Known(placements=frozenset(told))


@dataclass(frozen=True, slots=True)
class Notice:
    """`line` is None where the source has none; `names` are of attributes, as the page writes them; `add` is a line
    that is missing; `screens` are the sizes of those on which it is so.
    """

    code: str
    line: int | None = None
    names: tuple[str, ...] = ()
    add: str = ""
    screens: tuple[str, ...] = ()


# Hosts that serve analytics, tag managers, session recording and heat maps. A name stands for its subdomains too.
TRACKER_HOSTS: Final = frozenset(
    {
        "googletagmanager.com",
        "google-analytics.com",
        "doubleclick.net",
        "connect.facebook.net",
        "bat.bing.com",
        "clarity.ms",
        "hotjar.com",
        "hotjar.io",
        "fullstory.com",
        "mixpanel.com",
        "mxpnl.com",
        "cdn.segment.com",
        "amplitude.com",
        "heap-analytics.com",
        "heapanalytics.com",
        "mouseflow.com",
        "crazyegg.com",
        "analytics.tiktok.com",
        "static.ads-twitter.com",
        "snap.licdn.com",
        "mc.yandex.ru",
        "plausible.io",
        "static.cloudflareinsights.com",
        "cdn.matomo.cloud",
        "script.crazyegg.com",
        "js.hs-analytics.net",
        "nr-data.net",
        "posthog.com",
        "sc-static.net",
        "scorecardresearch.com",
        "quantserve.com",
    }
)
# Attributes by which such scripts are told what to count; the beginning of a name counts.
TRACKING_ATTRIBUTES: Final = (
    "data-track",
    "data-ga",
    "data-gtm",
    "data-analytics",
    "data-event",
    "data-ev-",
    "data-click",
    "data-mixpanel",
    "data-segment",
    "data-amplitude",
    "data-ph-",
    "data-attr-ph",
    "data-heap",
    "data-matomo",
    "data-piwik",
    "data-plausible",
    "data-umami",
    "data-fathom",
    "data-hj",
    "data-vars-",
    "data-layer",
    "data-dl-",
    "data-ylk",
    "data-ved",
    "data-beacon",
    "data-metrics",
    "jsaction",
    "jslog",
)
# Classes by which the same scripts take a link: Plausible's, PostHog's and Matomo's documented spellings.
TRACKING_CLASSES: Final = ("plausible-event-name", "umami--", "piwik_link", "matomo_link", "ph-track")
# Consent managers hold back what carries these: Cookiebot, OneTrust, Usercentrics, Complianz, CookieYes, Borlabs.
CONSENT_ATTRIBUTES: Final = (
    "data-cookieconsent",
    "data-cookieblock",
    "data-cookiecategory",
    "data-cookie-consent",
    "data-consent",
    "data-usercentrics",
    "data-uc-",
    "data-cmplz",
    "data-cookieyes",
    "data-borlabs",
    "data-cmp-",
    "data-cli-",
    "data-category-consent",
)
CONSENT_CLASSES: Final = (
    "cookieconsent-optin",
    "optanon-category",
    "cmplz-blocked",
    "_brlbs-content-blocker",
    "iubenda",
)


def is_tracker(host: str) -> bool:
    """Return whether a host is on the list, or below one that is."""
    parts = host.split(".")
    return any(".".join(parts[start:]) in TRACKER_HOSTS for start in range(len(parts)))


MOST_NAMES: Final = 4

# HTML Standard, 3.2.6 "Global attributes", and 4.6.2, 4.12.1 and 4.8.3 for links, scripts and images (2026-11-25).
_OF_HTML: Final = frozenset(
    (
        *("accesskey", "autofocus", "class", "contenteditable", "dir", "draggable", "enterkeyhint", "hidden", "id"),
        *("inert", "inputmode", "is", "itemid", "itemprop", "itemref", "itemscope", "itemtype", "lang", "nonce"),
        *("part", "popover", "role", "slot", "spellcheck", "style", "tabindex", "title", "translate", "xml:lang"),
        *("alt", "crossorigin", "defer", "download", "height", "href", "hreflang", "integrity", "loading", "name"),
        *("ping", "referrerpolicy", "rel", "src", "srcset", "target", "text", "theme", "type", "value", "width"),
        *("aria-controls", "aria-describedby", "aria-description", "aria-disabled", "aria-expanded", "aria-haspopup"),
        *("aria-hidden", "aria-label", "aria-labelledby", "aria-live", "aria-pressed", "aria-roledescription"),
        *("data-id", "data-testid", "data-toggle", "data-bs-toggle"),
    )
)
# Handlers of a press: HTML Standard, 8.1.8.2; Pointer Events; Touch Events; and how Vue and Angular write a click.
_HANDLERS: Final = frozenset(
    (
        *("onauxclick", "onbeforeinput", "onblur", "onchange", "onclick", "oncontextmenu", "ondblclick", "onfocus"),
        *("ongotpointercapture", "oninput", "onkeydown", "onkeypress", "onkeyup", "onload", "onmousedown"),
        *("onmouseenter", "onmouseleave", "onmousemove", "onmouseout", "onmouseover", "onmouseup", "onpointercancel"),
        *("onpointerdown", "onpointerenter", "onpointerleave", "onpointermove", "onpointerout", "onpointerover"),
        *("onpointerup", "onsubmit", "ontouchcancel", "ontouchend", "ontouchmove", "ontouchstart", "onwheel"),
        *("@click", "@click.prevent", "@click.stop", "@click.capture", "(click)"),
    )
)
_KNOWN: Final = _OF_HTML | _HANDLERS
_BEGINNINGS: Final = (*TRACKING_ATTRIBUTES, *CONSENT_ATTRIBUTES)


def format_names(names: tuple[str, ...]) -> str:
    """Return the names that are known, at most `MOST_NAMES`, and that there are others; empty where none is known.

    For a name that only begins like a tracker's or a consent manager's, return that beginning.
    """
    known = list(dict.fromkeys(one for one in map(_format_known, names) if one))
    has_more = len(known) > MOST_NAMES or any(not _format_known(name) for name in names)
    return ", ".join(known[:MOST_NAMES]) + (" and others" if has_more else "") if known else ""


def _format_known(name: str) -> str:
    if name in _KNOWN:
        return name
    beginning = max((one for one in _BEGINNINGS if name.startswith(one)), key=len, default="")
    return beginning if name == beginning else f"{beginning}..." if beginning else ""


Group = Literal["page", "link", "press", "words", "icon", "script", "place", "browser"]
GROUPS: Final[dict[Group, str]] = {
    "page": "The page",
    "link": "The link",
    "press": "A press on it",
    "words": "The words",
    "icon": "The icon",
    "script": "The script",
    "place": "Where it stands",
    "browser": "As a browser shows it",
}


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table."""

    group: Group
    severity: Severity
    what: str
    why: str
    mend: str


@cache
def read_codes() -> dict[str, Code]:
    """Return the table, in its order."""
    text = files("partner_sdk.console.check").joinpath("codes.toml").read_text("utf-8")
    return convert(tomllib.loads(text), kind=dict[str, Code])


def format_notice(notice: Notice, *, expected: Expected) -> CheckFinding:
    """Return the finding of a notice, in the words of the table."""
    row = read_codes()[notice.code]
    values = {
        "origin": expected.origin,
        "script": SCRIPT_PATH,
        "icon": ICON_PATH,
        "hash": SCRIPT_INTEGRITY,
        "least": str(min(SIZES)),
        "sizes": ", ".join(map(str, SIZES)),
        "add": notice.add,
        "placement": "" if expected.placement is None else f" --placement {expected.placement}",
        "names": format_names(notice.names),
        "screens": ", ".join(notice.screens),
    }
    return CheckFinding(
        code=notice.code,
        mend=row.mend.format_map(values)[:600],
        severity=row.severity,
        what=row.what.format_map(values).replace(" ()", ""),
        where="" if notice.line is None else f"line {notice.line}",
        why=row.why.format_map(values),
    )


def explain_no_page(error: TransportError | FormatError, *, expected: Expected) -> CheckFinding:
    """Return why there is nothing to judge."""
    return format_notice(Notice(_pick_code(error.reason), add=str(error)), expected=expected)


def _pick_code(reason: str) -> str:
    """Return the code for a reason of `fetch_page`, of the parser or of a runner."""
    return {
        "bad-address": "no-address",
        "not-https": "not-https",
        "not-public": "not-public",
        "connection": "no-connection",
        "tls": "not-trusted",
        "timeout": "too-slow",
        "status": "other-answer",
        "redirect": "sent-elsewhere",
        "sign-in": "asks-to-sign-in",
        "no-page": "no-html",
    }.get(reason, "not-judged")


_MARKS: Final[dict[Severity, str]] = {"fault": "FAULT", "advice": "advice", "unseen": "not seen"}
_NOT_COMPARED: Final = "placement-not-compared"
_LINK_ALONE: Final = "only its link was looked for (--browser checks the whole button)."
_NOT_JUDGED: Final = frozenset({"not-judged", "no-rest"})


def format_check(check: ButtonCheck) -> list[str]:
    """Return the lines of a check for a terminal: the findings by subject, then the result and its limit."""
    lines = []
    for group, title in GROUPS.items():
        found = [one for one in check.findings if read_codes()[one.code].group == group]
        if found:
            lines += [title, *(line for one in found for line in _format_finding(one)), ""]
    return [*lines, _format_result(check)]


def _format_finding(finding: CheckFinding) -> list[str]:
    where = f" ({finding.where})" if finding.where else ""
    return [
        f"  {_MARKS[finding.severity]}: {finding.what}{where}",
        f"    Why it matters: {finding.why}",
        f"    How to fix it: {finding.mend}",
    ]


def _format_result(check: ButtonCheck) -> str:
    if check.result == "unreachable":
        is_here = any(one.code in _NOT_JUDGED for one in check.findings)
        what = "could not be judged" if is_here else "did not load"
        return f"{check.address}: the page {what}, so its button was not checked."
    faults = sum(one.severity == "fault" for one in check.findings)
    others = len(check.findings) - faults
    said = f"{faults} {'fault' if faults == 1 else 'faults'}."
    if not faults:
        is_compared = all(one.code != _NOT_COMPARED for one in check.findings)
        said = "the button is as agreed." if is_compared else "no fault seen; the placement was not compared."
    if check.method == "static":
        said = f"{'the link is right' if said == 'the button is as agreed.' else said.rstrip('.')}; {_LINK_ALONE}"
    return f"{check.address}: {said}" + (f" {others} more to read above." if others and not faults else "")


CHECKER: Final = f"report-abuse-partner {__version__}"
MAX_ADDRESS: Final = 2000


def make_check(
    notices: list[Notice], *, address: str, expected: Expected, method: Method, now: datetime, placement: str | None
) -> ButtonCheck:
    """Return the check as it is written down; the gravest first, at most `MAX_FINDINGS`."""
    order = list(read_codes())
    findings = sorted(
        (format_notice(one, expected=expected) for one in notices),
        key=lambda one: (("fault", "advice", "unseen").index(one.severity), order.index(one.code)),
    )
    if len(findings) > MAX_FINDINGS:
        findings = [*findings[: MAX_FINDINGS - 1], format_notice(Notice("too-many"), expected=expected)]
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
    """Return the check of a page that did not load or could not be checked: it makes no statement about the button."""
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
