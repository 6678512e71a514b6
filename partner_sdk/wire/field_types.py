"""The spellings of WIRE.md §2 as types with a description, an example and a pattern, for readers of the calls.

Only `Sha256Hex` checks its value; the others are checked by the functions that parse them, whose errors name the fault.
"""

from typing import Annotated, Any, Final

from msgspec import Meta

_BYTES_IN_4_CHARACTERS: Final = 3
_UUID7 = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_EXAMPLE_ID = "019aba5e-8c40-7a3e-9d41-5f0c2b7e6a18"


def _text(words: str, example: str, **schema: Any) -> Meta:
    return Meta(description=words, examples=[example], extra_json_schema=schema)


def base64url_of(words: str, example: str, *, most_bytes: int | None = None, exact_bytes: int | None = None) -> Meta:
    """Return the description of a field with bytes in base64url, of at most or exactly the given length."""
    schema: dict[str, Any] = {"contentEncoding": "base64url", "pattern": "^[A-Za-z0-9_-]*$"}
    most = exact_bytes or most_bytes
    if most is not None:
        schema["maxLength"] = _count_characters(most)
    if exact_bytes is not None:
        schema["minLength"] = _count_characters(exact_bytes)
    return Meta(description=words, examples=[example], extra_json_schema=schema)


def _count_characters(count: int) -> int:
    return (count * 4 + _BYTES_IN_4_CHARACTERS - 1) // _BYTES_IN_4_CHARACTERS


ReportId = Annotated[str, _text("The id of a report: a UUIDv7 in lower case.", _EXAMPLE_ID, pattern=_UUID7)]
MessageId = Annotated[str, _text("The id of a message: a UUIDv7 in lower case.", _EXAMPLE_ID, pattern=_UUID7)]
EvidenceId = Annotated[str, _text("The id of one piece of evidence: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7)]
EntryId = Annotated[str, _text("The id of one entry of a thread: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7)]
ChangeId = Annotated[str, _text("The id of one change of an account: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7)]
AdoptionId = Annotated[str, _text("The id of one request to show the button: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7)]
PartnerId = Annotated[
    str,
    _text(
        "A partner's id: 1 to 64 of a-z, 0-9 and inner hyphens.",
        "example-chat",
        pattern="^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$",
        maxLength=64,
    ),
]
KeyId = Annotated[
    str,
    _text(
        "The id of a key: the first 8 bytes of the SHA-256 of the public key, in base64url.",
        "q3Hn0Lm7mZc",
        pattern="^[A-Za-z0-9_-]{11}$",
    ),
]
WireTime = Annotated[
    str,
    _text(
        "A time in UTC and whole seconds (RFC 3339).",
        "2026-11-25T08:30:00Z",
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
    ),
]
# Decoding itself holds this one. `$` would take a newline behind the digits.
Sha256Hex = Annotated[
    str,
    Meta(
        pattern=r"^[0-9a-f]{64}\Z",
        description="A SHA-256 in 64 lower-case hexadecimal digits.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]
Reference = Annotated[str, _text("The short reference of a report, made for reading aloud.", "K7QF-2M9TX-D")]


def format_patterns(schema: Any) -> Any:
    """Return a JSON Schema with ECMA-262's end of the text in its patterns: `$`, which is Python's `\\Z`."""
    if isinstance(schema, dict):
        return {
            name: one.removesuffix(r"\Z") + "$"
            if name == "pattern" and isinstance(one, str) and one.endswith(r"\Z")
            else format_patterns(one)
            for name, one in schema.items()
        }
    return [format_patterns(one) for one in schema] if isinstance(schema, list) else schema
