"""The sealed context of a page, as it came with a report (WIRE.md §8.2). Never opens it: the vault of the desk does."""

import re
from collections.abc import Mapping
from typing import Final

from partner_sdk.errors import FormatError, StatementError
from partner_sdk.wire.button import (
    MAX_CONTEXT_ENVELOPE_BYTES,
    MAX_TOKEN_CHARACTERS,
    SIGNED_CONTEXT,
    SPELLING,
    PageContext,
    SealedPageContext,
)
from partner_sdk.wire.canonical import check_report_id, parse_base64url
from partner_sdk.wire.sealing import Envelope

_PARTNER = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_TOKEN_PARTS: Final = 4


def parse_context_token(text: str) -> SealedPageContext:
    """Read a token without opening or believing it; raises `FormatError`, or `EnvelopeError` for the box."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise FormatError(f"A sealed context has at most {MAX_TOKEN_CHARACTERS} characters.", reason="too-large")
    parts = text.split(".")
    if len(parts) != _TOKEN_PARTS or parts[0] != SPELLING or not _PARTNER.fullmatch(parts[1]):
        raise FormatError("A sealed context has the form 1.PARTNER.ID.BOX.", reason="malformed")
    check_report_id(parts[2])
    raw = parse_base64url(parts[3], max_bytes=MAX_CONTEXT_ENVELOPE_BYTES)
    envelope = Envelope.parse(raw, max_bytes=MAX_CONTEXT_ENVELOPE_BYTES)
    return SealedPageContext(partner=parts[1], context_id=parts[2], envelope=envelope)


def verify_page_context(
    raw: bytes, *, keys: Mapping[str, bytes], partner: str, context_id: str, environment: str
) -> PageContext:
    """Return the content of an opened box, signed by one of the partner's context keys (id to 32 raw bytes).

    Raises `FormatError`, or `StatementError`: the errors of `open_statement`, and `wrong-context` for another partner,
    id or environment than the box was bound to. Never judges whether it has expired: the desk does.
    """
    context = SIGNED_CONTEXT.open(raw, keys=keys)
    if (context.partner, context.context_id, context.environment) != (partner, context_id, environment):
        raise StatementError("The context is for a different page from its box.", reason="wrong-context")
    return context
