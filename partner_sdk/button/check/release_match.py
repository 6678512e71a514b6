"""Whether bytes are those of a released file, by the hash that this SDK carries."""

import base64
import hashlib

from partner_sdk.button.release import ICON_INTEGRITY, SCRIPT_INTEGRITY


def is_released_script(raw: bytes) -> bool:
    """Return whether these are the bytes of the released script."""
    return _hash(raw) == SCRIPT_INTEGRITY


def is_released_icon(raw: bytes) -> bool:
    """Return whether these are the bytes of the released icon."""
    return _hash(raw) == ICON_INTEGRITY


def _hash(raw: bytes) -> str:
    return f"sha384-{base64.b64encode(hashlib.sha384(raw).digest()).decode('ascii')}"
