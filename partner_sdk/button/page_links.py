"""The button's link: the agency's own start page, the placement behind it, and at most a sealed context.

What this makes holds no character that HTML, a template or a query would have to escape.
"""

import re
from typing import Final

from partner_sdk.client.exchange import check_origin
from partner_sdk.errors import FormatError
from partner_sdk.wire.page_context import FRAGMENT_NAME, MAX_TOKEN_CHARACTERS
from partner_sdk.wire.placement import is_placement

TOKEN_CHARACTERS: Final = re.compile(r"[A-Za-z0-9._-]+")


def make_link(origin: str, *, placement: str, context: str | None = None) -> str:
    """Return the address that the button leads to; raises `FormatError` as the three checks below do.

    `context` is a token of `seal_page_context`; it goes behind `#`, so that it reaches no server's log.
    """
    check_origin(origin)
    check_placement(placement)
    link = f"{origin}/?from={placement}"
    if context is None:
        return link
    check_token(context)
    return f"{link}#{FRAGMENT_NAME}={context}"


def check_placement(placement: str) -> None:
    """Raise `FormatError` (`bad-placement`) unless this is spelled as the agency spells link ids."""
    if not is_placement(placement):
        raise FormatError(
            "A placement is spelled in lower case letters, digits, - and _, at most 40, like example-chat-profile: "
            "take it as the agency gave it to you.",
            reason="bad-placement",
        )


def check_token(context: str) -> None:
    """Raise `FormatError` (`bad-context`) for what can not be a sealed context. Never opens it."""
    if len(context) > MAX_TOKEN_CHARACTERS or TOKEN_CHARACTERS.fullmatch(context) is None:
        raise FormatError(
            "A sealed context is one word of letters, digits, . - and _: take it as it was made.", reason="bad-context"
        )
