"""The one spelling of JSON, base64url, times, ids and references (WIRE.md §2, §6.3), and strict JSON from files.

Never lenient: msgspec keeps the last of two equal keys, so every value is encoded again after decoding and compared.
Python's usual base64 decoder skips junk, so the strict one reads. A file that a person wrote may have any layout, but
no duplicate keys and no invented numbers.

Faults are described in our own words: msgspec repeats names and values of the sender. A place is made of numbers and of
names that the model itself has.

msgspec 0.22 builds the reader of a `Struct` at its first use, and two threads that do so at once end the process (a
segmentation fault, seen on CPython 3.11). So every type is read through `get_decoder`, `decode` or `convert`, which
build it once, under a lock; a house test holds it.

The types of ids, times and digests describe a field to readers of the calls. Only `Sha256Hex` checks its value; the
others are checked by the functions that parse them, whose errors name the fault.
"""

import base64
import binascii
import json
import re
import threading
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Final, NoReturn, TypeVar, get_args, get_type_hints, overload

import msgspec
from msgspec import Meta

from partner_sdk.errors import FieldFault, FormatError

# The form that `list_mismatch_faults` reads: "Object missing required field `name` - at `$.list[0]`".
_PLACE = re.compile(r" - at `\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`\Z")
_STEP = re.compile(r"\.(\w+)")
_NAME_OR_PLACE = re.compile(r"\.(\w+)|\[(\d+)\]")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
# The beginnings of msgspec's texts, and ours.
_SAYINGS = (
    ("Object contains unknown field", "Object contains an unknown field"),
    ("Invalid enum value", "A value is not one of the allowed values"),
    ("Expected", "A value has the wrong type, length or pattern"),
)


def describe_mismatch(error: Exception, *, kind: Any) -> str:
    """Return the reason in one line, with the place where msgspec names one."""
    if not isinstance(error, msgspec.ValidationError):
        return "it is cut off, nested too deeply, or not JSON in UTF-8"
    text = str(error)
    names = _names_of(kind)
    missing = _MISSING.match(text)
    if missing and missing[1] in names:
        said = missing[0]
    else:
        said = next((ours for theirs, ours in _SAYINGS if text.startswith(theirs)), "A value does not match")
    place = _PLACE.search(text)
    if place and names.issuperset(_STEP.findall(place[1])):
        said += f" - at `${place[1]}`"
    return said


def list_mismatch_faults(said: str) -> Iterator[FieldFault]:
    """Yield the fault that a reason of `describe_mismatch` names a place for: the `errors` of a refusal."""
    place = _PLACE.search(said)
    pointer = "#" + "".join(f"/{name or index}" for name, index in _NAME_OR_PLACE.findall(place[1] if place else ""))
    missing = _MISSING.search(said)
    if missing:
        yield FieldFault(f"{pointer}/{missing[1]}", "Add this field: it is required.")
    elif place:
        yield FieldFault(pointer, "This does not match the description of the call.")


@cache
def _names_of(kind: Any) -> frozenset[str]:
    """Return the names of all fields of a model and of the models inside."""
    names: set[str] = set()
    waiting, seen = [kind], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        waiting += get_args(one)
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            names.update(one.__struct_encode_fields__)
            waiting += get_type_hints(one).values()
    return frozenset(names)


_MOST_NAMED: Final = 5


def parse_json_file(raw: bytes, *, max_bytes: int) -> Any:
    """Return the value, or raise `FormatError` (`too-large`, `not-utf8`, `malformed`, `duplicate-key`)."""
    if len(raw) > max_bytes:
        raise FormatError(f"The file is larger than {max_bytes} bytes.", reason="too-large")
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
        if b"\\u" in raw:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise FormatError("The file is not UTF-8 text.", reason="not-utf8") from None
    except json.JSONDecodeError as error:
        raise FormatError(
            f"The file is not JSON: look at line {error.lineno}, column {error.colno}.", reason="malformed"
        ) from None
    except UnicodeEncodeError:
        # Half of a surrogate pair, which only an escape can spell, is no character: it has no UTF-8 to seal.
        raise FormatError("An escape in the file stands for half a character.", reason="malformed") from None
    except ValueError:
        raise FormatError("A number in the file has too many digits.", reason="malformed") from None
    except RecursionError:
        raise FormatError("The JSON is nested too deeply.", reason="malformed") from None
    return value


def check_filled_in(value: object, *, examples: Collection[object], yours: str = "its values") -> None:
    """Raise `FormatError` (`unchanged-example`) for a file that is still one of our own examples, in any layout."""
    if value in examples:
        raise FormatError(
            f"This is the unchanged example from this package: replace {yours} with your own, then send it.",
            reason="unchanged-example",
        )


def format_unknown(found: Mapping[str, Any], *, known: Collection[str]) -> str:
    """Return which fields of an object none of `known` are, by their place: a name from outside is never repeated."""
    places = [str(place) for place, name in enumerate(found, start=1) if name not in known]
    more = " and more" if len(places) > _MOST_NAMED else ""
    return f"number {', '.join(places[:_MOST_NAMED])}{more}, counted from the top"


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FormatError("A field appears twice in one object of the file.", reason="duplicate-key")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise FormatError("NaN and Infinity are not JSON.", reason="malformed")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)


T = TypeVar("T")

REPORT_ID_RANDOM_BYTES = 10

_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}
_BUILDING = threading.Lock()
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def encode(value: object) -> bytes:
    """Return `value` as canonical JSON: RFC 8785 without floats, which no model of the wire has."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise FormatError(
            "A text holds half of a surrogate pair, which UTF-8 cannot encode.", reason="malformed"
        ) from None


def get_decoder(kind: Any) -> "msgspec.json.Decoder[Any]":
    """Return the one JSON decoder of a type; once it is there, any number of threads may read the type."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        with _BUILDING:
            # A type holds the readers of its parts: all of them are built before another thread sees this one.
            decoder = _DECODERS[kind] = _DECODERS.get(kind) or msgspec.json.Decoder(kind)
    return decoder


@overload
def decode(raw: bytes | str, *, kind: type[T]) -> T: ...
@overload
def decode(raw: bytes | str, *, kind: Any = Any) -> Any: ...
def decode(raw: bytes | str, *, kind: Any = Any) -> Any:
    """Decode JSON in any spelling into `kind`, with msgspec's errors; for bytes from outside see `parse_exact`."""
    return get_decoder(kind).decode(raw)


@overload
def decode_msgpack(raw: bytes, *, kind: type[T]) -> T: ...
@overload
def decode_msgpack(raw: bytes, *, kind: Any) -> Any: ...
def decode_msgpack(raw: bytes, *, kind: Any) -> Any:
    """Decode bytes that this program packed itself, with msgspec's errors."""
    get_decoder(kind)
    return msgspec.msgpack.decode(raw, type=kind)


@overload
def convert(value: object, *, kind: type[T]) -> T: ...
@overload
def convert(value: object, *, kind: Any) -> Any: ...
def convert(value: object, *, kind: Any) -> Any:
    """Convert decoded JSON or TOML into `kind`, strictly, with msgspec's errors."""
    get_decoder(kind)
    return msgspec.convert(value, kind)


def parse_exact(raw: bytes, *, kind: type[T], max_bytes: int) -> T:
    """Decode canonical JSON into `kind`, or raise `FormatError` (`too-large`, `malformed`, `not-canonical`).

    Unknown fields are refused by the models themselves; duplicate keys, white space, key order and escapes by
    comparing with the canonical spelling.
    """
    if len(raw) > max_bytes:
        raise FormatError(f"The JSON is larger than {max_bytes} bytes.", reason="too-large")
    try:
        value = decode(raw, kind=kind)
        again = _ENCODER.encode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        said = describe_mismatch(error, kind=kind)
        raise FormatError(f"The JSON does not match its model: {said}", reason="malformed") from None
    if again != raw:
        raise FormatError(
            "The JSON is not canonical (RFC 8785: sorted keys, no white space, no duplicate keys).",
            reason="not-canonical",
        )
    return value


def to_base64url(raw: bytes) -> str:
    """Return unpadded base64url (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


# Padding and the other alphabet's characters become zero bytes, which the strict decoder refuses.
_TO_STANDARD: Final = bytes.maketrans(b"-_+/=", b"+/\0\0\0")


def parse_base64url(text: str, *, length: int | None = None, max_bytes: int | None = None) -> bytes:
    """Return the bytes of canonical unpadded base64url, or raise `FormatError`.

    `length` is the exact number of bytes, `max_bytes` the largest.
    """
    if max_bytes is not None and len(text) > (max_bytes * 4 + 2) // 3:
        raise FormatError(f"A base64url value is larger than {max_bytes} bytes.", reason="too-large")
    rest = len(text) % 4
    try:
        standard = text.encode("ascii").translate(_TO_STANDARD) + b"=" * (-rest % 4)
        raw = binascii.a2b_base64(standard, strict_mode=True)
    except ValueError:
        raise _make_spelling_error(text) from None
    # Even the strict decoder ignores stray low bits. Only the last two or three characters can have them, so the rest
    # of an envelope is not encoded again.
    if rest and to_base64url(raw[1 - rest :]) != text[-rest:]:
        raise _make_spelling_error(text)
    if length is not None and len(raw) != length:
        raise FormatError(f"A value must have {length} bytes.", reason="wrong-length")
    return raw


def _make_spelling_error(text: str) -> FormatError:
    try:
        base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return FormatError("A value is not base64url.", reason="malformed")
    return FormatError("A base64url value is not in unpadded canonical form.", reason="not-canonical")


def format_time(moment: datetime) -> str:
    """Return an aware time as RFC 3339 UTC in whole seconds, e.g. `2026-11-25T08:30:00Z`: its one spelling."""
    if moment.tzinfo is None:
        raise FormatError("A time on the wire needs a time zone.", reason="malformed")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """Return the aware UTC time of `2026-11-25T08:30:00Z`, or raise `FormatError`."""
    if not _TIME.fullmatch(text):
        raise FormatError("A time must look like 2026-11-25T08:30:00Z.", reason="malformed")
    try:
        # The pattern holds the spelling: strptime would take ten times as long, seven times for each report of a feed.
        return datetime(
            int(text[:4]),
            int(text[5:7]),
            int(text[8:10]),
            int(text[11:13]),
            int(text[14:16]),
            int(text[17:19]),
            tzinfo=UTC,
        )
    except ValueError:
        raise FormatError("A time names a day or an hour that does not exist.", reason="malformed") from None


def make_report_id(moment: datetime, random: bytes) -> str:
    """Return a UUIDv7 (RFC 9562 §5.7) from a time and 10 random bytes: sorts by time, guesses nothing."""
    if len(random) != REPORT_ID_RANDOM_BYTES:
        raise FormatError(f"A report id takes {REPORT_ID_RANDOM_BYTES} random bytes.", reason="wrong-length")
    milliseconds = int(moment.timestamp() * 1000)
    number = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(random, "big")
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    digits = f"{number:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def get_id_time(report_id: str) -> datetime:
    """Return the time in a report id; raises `FormatError` for no id, or an impossible time."""
    check_report_id(report_id)
    milliseconds = int(report_id.replace("-", "")[:12], 16)  # RFC 9562 §5.7
    try:
        return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    except (OverflowError, ValueError, OSError):
        raise FormatError("An id contains an impossible time.", reason="malformed") from None


def check_report_id(text: str) -> None:
    """Raise `FormatError` unless `text` is a UUIDv7 in lower case."""
    if not _UUID7.fullmatch(text):
        raise FormatError("An id must be a UUIDv7 in lower case with hyphens.", reason="malformed")


_BYTES_IN_4_CHARACTERS: Final = 3
_UUID7_SCHEMA = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
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


ReportId = Annotated[str, _text("The id of a report: a UUIDv7 in lower case.", _EXAMPLE_ID, pattern=_UUID7_SCHEMA)]
MessageId = Annotated[str, _text("The id of a message: a UUIDv7 in lower case.", _EXAMPLE_ID, pattern=_UUID7_SCHEMA)]
EvidenceId = Annotated[str, _text("The id of one piece of evidence: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7_SCHEMA)]
EntryId = Annotated[str, _text("The id of one entry of a thread: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7_SCHEMA)]
ChangeId = Annotated[str, _text("The id of one change of an account: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7_SCHEMA)]
AdoptionId = Annotated[
    str, _text("The id of one request to show the button: a UUIDv7.", _EXAMPLE_ID, pattern=_UUID7_SCHEMA)
]
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
# In a statement that may be genuine though misspelled: readers compare the value, and tell the two faults apart.
StatedSha256 = Annotated[
    str,
    _text(
        "A SHA-256 in 64 lower-case hexadecimal digits.",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        pattern="^[0-9a-f]{64}$",
    ),
]
Reference = Annotated[str, _text("The short reference of a report, made for reading aloud.", "K7QF-2M9TX-D")]
# Crockford's base 32: no I, L, O, U, so nothing is misread or spells a word.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1"})
REFERENCE_RANDOM_BYTES = 6
_SYMBOLS = 9
_SANDBOX_PREFIX = "TEST"


def make_reference(environment: str, *, random: bytes) -> str:
    """Return a reference like `K7QF-2M9TX-D` from 6 random bytes (45 bits are used)."""
    if len(random) != REFERENCE_RANDOM_BYTES:
        raise FormatError("A reference takes 6 random bytes.", reason="wrong-length")
    number = int.from_bytes(random, "big") >> 3
    symbols = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_SYMBOLS)))
    return _format_reference(environment, symbols)


def parse_reference(text: str) -> str:
    """Return the one spelling of a reference that a person typed, or raise `FormatError` (`bad-reference`).

    E.g. `k7qf 2m9txd` gives `K7QF-2M9TX-D`. Case, spaces and hyphens do not matter; O reads as 0, I and L as 1. One
    wrong symbol is always noticed, two exchanged neighbours almost always.
    """
    squeezed = "".join(text.upper().split()).replace("-", "")
    environment = "sandbox" if squeezed.startswith(_SANDBOX_PREFIX) and len(squeezed) > _SYMBOLS + 1 else "live"
    body = squeezed.removeprefix(_SANDBOX_PREFIX) if environment == "sandbox" else squeezed
    body = body.translate(_MISREAD)
    if len(body) != _SYMBOLS + 1 or any(symbol not in _ALPHABET for symbol in body):
        raise FormatError("A reference has ten letters and digits, like K7QF-2M9TX-D.", reason="bad-reference")
    spelled = _format_reference(environment, body[:_SYMBOLS])
    if spelled[-1] != body[-1]:
        raise FormatError("This reference has a typing error: check it again.", reason="bad-reference")
    return spelled


def check_reference(reference: str) -> None:
    """Raise `FormatError` (`bad-reference`) unless a reference is in its one spelling."""
    if parse_reference(reference) != reference:
        raise FormatError("A reference is not in its canonical form.", reason="bad-reference")


def get_reference_environment(reference: str) -> str:
    """Return the environment that a reference in its one spelling names."""
    # A live one may begin with the letters TEST too: it has one part less.
    return "sandbox" if reference.count("-") > _format_reference("live", "0" * _SYMBOLS).count("-") else "live"


def _format_reference(environment: str, symbols: str) -> str:
    spelled = f"{symbols[:4]}-{symbols[4:]}-{_make_check_symbol(symbols)}"
    return f"{_SANDBOX_PREFIX}-{spelled}" if environment == "sandbox" else spelled


def _make_check_symbol(symbols: str) -> str:
    # ISO/IEC 7064 hybrid system MOD 33,32: catches every single slip and almost every exchange of neighbours.
    base = len(_ALPHABET)
    carry = base
    for symbol in symbols:
        carry = (carry + _ALPHABET.index(symbol)) % base or base
        carry = carry * 2 % (base + 1)
    return _ALPHABET[(base + 1 - carry) % base]
