"""Findings: each `Notice` in the words of one table (`codes.toml`), and a whole check as text or as JUnit XML.

A row of the table gives the gravity of a finding, the fact, why it matters and how to fix it. JSON is the check itself
(WIRE.md §10.2): it holds nothing of the page but its address, the fault and where on the page it is. A page that did
not come is a finding too (`unseen`).

An attribute's name is free text of the page and may be a word about a person: a finding repeats the names that are
known here (`names.toml`) and counts the others.
"""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from partner_sdk import __version__
from partner_sdk.button.snippet import ICON_PATH, SCRIPT_INTEGRITY, SCRIPT_PATH, SIZES
from partner_sdk.errors import FormatError, TransportError
from partner_sdk.wire.button import PlacementId, is_placement
from partner_sdk.wire.canonical import convert, decode, encode, format_time, parse_exact, parse_time

T = TypeVar("T")
MAX_FINDINGS: Final = 100
MAX_CHECKS: Final = 200
MAX_CHECKS_BODY_BYTES: Final = 512 * 1024
# Why a runner never asked for a page at all: this says nothing new of a page that was looked at before.
NEVER_ASKED: Final = frozenset({"not-https", "not-public", "no-address"})
FindingCode = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=40)]
# `fault`: the button is not as agreed. `advice`: it works and could be better. `unseen`: this method cannot tell.
Severity = Literal["fault", "advice", "unseen"]
Method = Literal["static", "browser"]
# `unreachable` is no verdict on the button: the page did not come. A finding, `unseen`, gives the reason.
CheckResult = Literal["passes", "faults", "unreachable"]


class CheckFinding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One finding: the fact, why it matters, how to fix it, and its place (`line 12`, or empty)."""

    code: FindingCode
    mend: Annotated[str, Meta(max_length=600)]
    severity: Severity
    what: Annotated[str, Meta(max_length=600)]
    where: Annotated[str, Meta(max_length=200)]
    why: Annotated[str, Meta(max_length=600)]


class ButtonCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One check of one page. `placement` is the link id that the page's button names, null where none can be read."""

    address: Annotated[str, Meta(min_length=1, max_length=2000)]
    checked_at: str
    checker: Annotated[str, Meta(max_length=40)]
    findings: Annotated[tuple[CheckFinding, ...], Meta(max_length=MAX_FINDINGS)]
    method: Method
    placement: PlacementId | None
    result: CheckResult


class CheckPost(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A runner's results for the desk."""

    checks: Annotated[tuple[ButtonCheck, ...], Meta(max_length=MAX_CHECKS)]


class CheckTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One page that a runner visits: the placement and its address."""

    address: Annotated[str, Meta(min_length=1, max_length=2000)]
    placement: PlacementId


class CheckList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The desk's list for a runner: the agency's public address, and the pages. Holds no key and no secret."""

    agency_origin: str
    made_at: str
    targets: Annotated[tuple[CheckTarget, ...], Meta(max_length=20_000)]


def encode_checks(post: CheckPost) -> bytes:
    """Return the canonical bytes that are handed over."""
    return encode(post)


def parse_checks(raw: bytes) -> CheckPost:
    """Read the checks of a runner; raises `FormatError`."""
    post = parse_exact(raw, kind=CheckPost, max_bytes=MAX_CHECKS_BODY_BYTES)
    for check in post.checks:
        parse_time(check.checked_at)
        if check.result == "passes" and any(one.severity == "fault" for one in check.findings):
            raise FormatError("A check that passes has no faults.", reason="malformed")
    return post


def parse_check_file(raw: bytes) -> CheckPost:
    """Read a file of checks, or the one check that `button check --json` writes, however that is laid out.

    Raises `FormatError`.
    """
    if len(raw) <= MAX_CHECKS_BODY_BYTES:
        one = _find(raw, kind=ButtonCheck)
        if one is not None:
            return parse_checks(encode_checks(CheckPost(checks=(one,))))
        if _find(raw, kind=CheckPost) is None:
            raise FormatError(
                "This is not a file of checks. Use a file that `report-abuse-checker run --out` or "
                "`report-abuse-partner button check --json` writes.",
                reason="malformed",
            )
    return parse_checks(raw)


def _find(raw: bytes, *, kind: type[T]) -> T | None:
    try:
        return decode(raw, kind=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


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


class Names(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The names of `names.toml`."""

    tracker_hosts: frozenset[str]
    tracking_attributes: tuple[str, ...]
    tracking_classes: tuple[str, ...]
    consent_attributes: tuple[str, ...]
    consent_classes: tuple[str, ...]
    of_html: frozenset[str]
    handlers: frozenset[str]


@cache
def read_names() -> Names:
    """Return the names of makers, of HTML and of handlers that are known here."""
    text = files("partner_sdk.console.check").joinpath("names.toml").read_text("utf-8")
    return convert(tomllib.loads(text), kind=Names)


def is_tracker(host: str) -> bool:
    """Return whether a host is on the list, or below one that is."""
    parts, hosts = host.split("."), read_names().tracker_hosts
    return any(".".join(parts[start:]) in hosts for start in range(len(parts)))


MOST_NAMES: Final = 4


def format_names(names: tuple[str, ...]) -> str:
    """Return the names that are known, at most `MOST_NAMES`, and that there are others; empty where none is known.

    For a name that only begins like a tracker's or a consent manager's, return that beginning.
    """
    known = list(dict.fromkeys(one for one in map(_format_known, names) if one))
    has_more = len(known) > MOST_NAMES or any(not _format_known(name) for name in names)
    return ", ".join(known[:MOST_NAMES]) + (" and others" if has_more else "") if known else ""


def _format_known(name: str) -> str:
    known = read_names()
    if name in known.of_html | known.handlers:
        return name
    beginnings = (*known.tracking_attributes, *known.consent_attributes)
    beginning = max((one for one in beginnings if name.startswith(one)), key=len, default="")
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
