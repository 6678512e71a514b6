"""The wire's vector files as the tests read them: each with the number of its cases, so that none is lost unseen."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.signing import VerifyKey, verify_keys

FOLDER = Path(__file__).resolve().parents[2] / "partner_sdk" / "vectors"
EXPECTED_COUNTS = {
    "calls": 11,
    "envelope": 20,
    "evidence": 26,
    "forget": 13,
    "key-set": 15,
    "mailbox": 22,
    "other-client": 20,
    "page": 33,
    "page-context": 48,
    "place": 24,
    "public-log": 9,
    "reply": 48,
    "request": 21,
    "return-code": 17,
    "staffing": 24,
    "statement": 15,
    "thread-entry": 41,
}
FILES: dict[str, Any] = {name: json.loads((FOLDER / f"{name}.json").read_bytes()) for name in EXPECTED_COUNTS}
# An opener cannot tell why a box does not open; the vectors say it in the words of WIRE.md.
NAMES_OF_OPENING = {"does-not-open": "wrong-key", "unknown-key": "altered-header"}


def cases_of(name: str, *, having: str = "name") -> list[Any]:
    """Return the cases of one file that have a field, each under its name; there is at least one."""
    found = [pytest.param(case, id=case["name"]) for case in FILES[name]["cases"] if having in case]
    if not found:
        raise AssertionError(f"{name}.json has no case with {having!r}")
    return found


def result_of(read: Callable[[], object]) -> str:
    """Return `success`, or the reason of the error that reading ended in."""
    try:
        read()
    except OpeningError as error:
        return NAMES_OF_OPENING.get(error.reason, error.reason)
    except ReportAbuseError as error:
        return error.reason
    return "success"


def mailbox_keys_of(file: dict[str, Any]) -> tuple[VerifyKey, ...]:
    """Return the mailbox-signing keys of a file, as a key set has them."""
    return tuple(VerifyKey(**key) for key in file["mailbox_keys"])


def known_keys_of(file: dict[str, Any], *, issued_at: str, now: str) -> dict[str, bytes]:
    """Return the keys that were in use at `issued_at` and are believed `now` (WIRE.md §5.4)."""
    return verify_keys(mailbox_keys_of(file), signed_at=parse_time(issued_at), now=parse_time(now))


def bytes_of(case: dict[str, Any], name: str) -> bytes:
    """Return the bytes of a field."""
    return parse_base64url(case[name])
