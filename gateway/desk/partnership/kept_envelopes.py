"""What is kept of an envelope that the feed brought: its bytes, or only their hash and size where they are too many.

Never stores more than the wire allows: the feed is not believed, and the desk's disk is for reports.
"""

import hashlib
from dataclasses import dataclass

from partner_sdk.wire.canonical import encode


@dataclass(frozen=True, slots=True)
class KeptEnvelope:
    """What goes into the table; `is_cut` where it is only hash and size."""

    kept: bytes
    is_cut: bool


def keep_envelope(text: str, *, most_bytes: int) -> KeptEnvelope:
    """Return what to keep of an envelope in base64url that may have so many bytes."""
    # ASCII alone is base64url; what is not grows by this, and is over its bound the sooner.
    spelled = text.encode("ascii", "backslashreplace")
    if len(spelled) <= (most_bytes * 4 + 2) // 3:
        return KeptEnvelope(spelled, is_cut=False)
    summary = {"sha256": hashlib.sha256(spelled).hexdigest(), "size": len(spelled)}
    return KeptEnvelope(encode(summary), is_cut=True)
