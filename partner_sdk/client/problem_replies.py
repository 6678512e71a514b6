"""Reads a refusal of the gateway (RFC 9457) into the error that the caller catches.

The document comes from outside: what is printed of it is cut and freed of control characters, and an unknown or
damaged document still becomes the right class, by its status.
"""

import re
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from partner_sdk.errors import (
    ConflictError,
    FieldFault,
    NotAuthorisedError,
    ProblemError,
    RateLimitedError,
    RefusedError,
    UnavailableError,
)
from partner_sdk.wire.problems import MEDIA_TYPE, find_problem

MAX_TEXT = 500
MAX_FAULTS = 100
MAX_RETRY_AFTER_SECONDS = 24 * 3600

_SECONDS = re.compile(r"[0-9]{1,9}")
_REQUEST_ID = re.compile(r"urn:uuid:([0-9a-f-]{36})")
_UNKNOWN_TYPE = "about:blank"  # RFC 9457 §4.2.1: no more is known than the status


def make_problem_error(
    status: int, raw: bytes, *, media_type: str, retry_after: str | None, date: str | None = None
) -> ProblemError:
    """Return the error for a reply that is not 2xx; never fails, whatever the body holds. `date` is its `Date`."""
    document = _read_document(raw) if media_type.split(";")[0].strip().lower() == MEDIA_TYPE else {}
    uri = _text(document.get("type")) or _UNKNOWN_TYPE
    known = find_problem(uri)
    if known is not None and known.status == status:
        title, detail = known.title, _text(document.get("detail")) or known.advice
    else:
        title, detail, uri = _plain_title(status), _text(document.get("detail")), _UNKNOWN_TYPE
    return _class_of(status)(
        type=uri,
        title=title,
        status=status,
        detail=detail,
        request_id=_request_id(document.get("instance")),
        faults=_faults(document.get("errors")),
        retry_after_seconds=_retry_after(retry_after, date=date),
    )


def _class_of(status: int) -> type[ProblemError]:
    named: dict[int, type[ProblemError]] = {401: NotAuthorisedError, 409: ConflictError, 429: RateLimitedError}
    if status >= 500:
        return UnavailableError
    return named.get(status, RefusedError)


def _plain_title(status: int) -> str:
    if 300 <= status < 400:
        return "The address answers with a redirect, which is not followed"
    return "The gateway, or something before it, refused"


def _read_document(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(character if character.isprintable() else " " for character in value[:MAX_TEXT])


def _request_id(value: object) -> str | None:
    found = _REQUEST_ID.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


def _faults(value: object) -> list[FieldFault]:
    if not isinstance(value, list):
        return []
    rows = [row for row in value[:MAX_FAULTS] if isinstance(row, dict)]
    return [FieldFault(pointer=_text(row.get("pointer")), detail=_text(row.get("detail"))) for row in rows]


def _retry_after(value: str | None, *, date: str | None) -> int | None:
    # RFC 9110 §10.2.3 allows seconds and a date. The date is compared with that of the reply: this machine's own clock
    # may be wrong.
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return min(int(value.strip()), MAX_RETRY_AFTER_SECONDS)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(date or "")
    except (TypeError, ValueError, OverflowError):  # not a date, or only one of the two has a time zone
        return None
    return min(max(0, round(wait.total_seconds())), MAX_RETRY_AFTER_SECONDS)
