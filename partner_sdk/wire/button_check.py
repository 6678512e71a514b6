"""The findings of a check of a button, as the checker writes them and the desk takes them (WIRE.md §10.2).

Holds nothing of the page but its address, the fault and where on the page it is; never a word that a person wrote.
"""

from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import decode, encode, parse_exact, parse_time
from partner_sdk.wire.placement import PlacementId

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
