"""The hidden field in which the check page carries what it shows, so that no failure can lose it.

Base64url of JSON, because a browser changes line breaks in a plain hidden field. What comes back is judged like
anything typed: an unknown field is dropped; an unknown option, one that stands there twice, two answers where one can
be given, or a text that is too long makes it worthless.
"""

import msgspec

from gateway.public.journey import FIELD_BY_NAME, Answers
from gateway.public.visiting.forms import is_readable
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import parse_base64url, to_base64url


def pack_answers(answers: Answers) -> str:
    """Return answers as the text of the hidden field."""
    return to_base64url(msgspec.json.encode({name: list(values) for name, values in answers.items()}))


def find_packed_answers(packed: str | None) -> dict[str, list[str]] | None:
    """Find the answers in the field; None when there are none, or none that a page of ours can have held."""
    if not packed:
        return None
    try:
        loose = msgspec.json.decode(parse_base64url(packed), type=dict[str, list[str]])
    except (FormatError, msgspec.DecodeError):
        return None
    answers = {name: values for name, values in loose.items() if name in FIELD_BY_NAME and values}
    are_readable = all(is_readable(FIELD_BY_NAME[name], values) for name, values in answers.items())
    return answers if are_readable else None
