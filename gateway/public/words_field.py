"""The hidden field in which the check page carries what it shows, so that no failure can lose it.

Base64url of JSON, because a browser changes line breaks in a plain hidden field. What comes back is judged like
anything typed: unknown fields and options are dropped, texts that are too long make it worthless.
"""

import msgspec

from gateway.public.forms import is_readable
from gateway.public.journey import FIELD_BY_NAME, Answers
from partner_sdk.canonical import parse_base64url, to_base64url
from partner_sdk.errors import FormatError


def pack_words(answers: Answers) -> str:
    """Return answers as the text of the hidden field."""
    return to_base64url(msgspec.json.encode({name: list(values) for name, values in answers.items()}))


def find_words(packed: str | None) -> dict[str, list[str]] | None:
    """Find the answers in the field; None when there are none or they are not ours."""
    if not packed:
        return None
    try:
        loose = msgspec.json.decode(parse_base64url(packed), type=dict[str, list[str]])
    except (FormatError, msgspec.DecodeError):
        return None
    words = {name: values for name, values in loose.items() if name in FIELD_BY_NAME and values}
    are_readable = all(is_readable(FIELD_BY_NAME[name], values) for name, values in words.items())
    return words if are_readable else None
