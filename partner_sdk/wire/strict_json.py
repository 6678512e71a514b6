"""JSON that a person wrote in a file: any layout, but no duplicate keys and no invented numbers.

What travels on the wire is stricter: see canonical.py.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NoReturn

from partner_sdk.errors import FormatError

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
        raise FormatError("An escape in the file spells half a character.", reason="malformed") from None
    except ValueError:
        raise FormatError("A number in the file has too many digits.", reason="malformed") from None
    except RecursionError:
        raise FormatError("The JSON is nested too deeply.", reason="malformed") from None
    return value


def check_filled_in(value: object, *, examples: Collection[object]) -> None:
    """Raise `FormatError` (`unchanged-example`) for a file that is still one of our own examples, in any layout."""
    if value in examples:
        raise FormatError(
            "This is an example of this package as it was: fill in what is yours, then send it.",
            reason="unchanged-example",
        )


def spell_unknown(found: Mapping[str, Any], *, known: Collection[str]) -> str:
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
