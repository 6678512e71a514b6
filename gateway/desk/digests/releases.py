"""The rules of a release, for digests of any kind: finished bytes, and a second person.

The rule of two compares the given names: it protects an honest person from a slip, not against a false name.
"""

import unicodedata

from gateway.desk.digests.drawing import DigestError
from gateway.desk.digests.records import DigestRecord


def get_body(record: DigestRecord) -> bytes:
    """Return the published bytes, or raise `DigestError` with the reason for their absence."""
    if record.body is not None:
        return record.body
    if record.state == "not-eligible":
        raise DigestError(
            (
                "The partner is not eligible: it has not adopted the button and has too few incidents. "
                "No digest was made; the budget already used stays spent."
            ),
            reason="not-eligible",
        )
    raise DigestError("This digest is not finished. Run `digest make` again.", reason="not-made")


def check_release(record: DigestRecord, *, by: str) -> None:
    """Raise `DigestError` unless this person may release this digest now."""
    if record.state != "made":
        raise DigestError(
            f"This digest is {record.state.replace('-', ' ')}; it cannot be released.", reason="not-waiting"
        )
    if not by.strip():
        raise DigestError("Give the name of the person who releases the digest.", reason="no-name")
    if is_same_person(by, record.made_by):
        raise DigestError(
            f"{record.made_by} made this digest. A second person must read it and release it.", reason="same-person"
        )


def is_same_person(one: str, other: str) -> bool:
    """Return whether two names differ only in case, spacing and compatible spellings (NFKC).

    Similar letters of other alphabets stay different.
    """
    return _squeeze_name(one) == _squeeze_name(other)


def _squeeze_name(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
