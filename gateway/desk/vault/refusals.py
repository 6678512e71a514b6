"""Errors of a holder as messages, so that a caller behind the socket gets the same error as one in its process."""

from types import MappingProxyType
from typing import Final, Literal, NoReturn

import msgspec

from gateway.desk.vault import VaultError
from partner_sdk.errors import FormatError, LocalStateError, OpeningError, ReportAbuseError, SignatureProfileError

ErrorName = Literal["format", "opening", "profile", "state", "vault"]
_ERRORS: Final = MappingProxyType[ErrorName, type[ReportAbuseError]](
    {
        "format": FormatError,
        "opening": OpeningError,
        "profile": SignatureProfileError,
        "state": LocalStateError,
        "vault": VaultError,
    }
)


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="refused"):
    """An error: its class, its slug, and its text for a person. It never repeats a box or a statement."""

    error: ErrorName
    reason: str
    text: str


def make_refusal(error: ReportAbuseError) -> Refused:
    """Return an error as a message; one of an unforeseen class is a `VaultError`."""
    names = (name for name, kind in _ERRORS.items() if isinstance(error, kind))
    return Refused(error=next(names, "vault"), reason=error.reason, text=str(error))


def raise_refusal(refused: Refused) -> NoReturn:
    """Raise the error of a message."""
    raise _ERRORS[refused.error](refused.text, reason=refused.reason)
