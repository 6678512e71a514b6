"""How the address of a gateway is spelled.

Apart from transport.py: who only writes an address down loads nothing that sends.
"""

import re
from collections.abc import Mapping
from typing import Final

from partner_sdk.errors import FormatError

DEFAULT_PORTS: Final[Mapping[str, str]] = {"http": "80", "https": "443"}
# One spelling, as the gateway's own: it signs over the address that it is configured with.
_ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[::1\])(?::([1-9][0-9]{0,4}))?")
_LOOPBACK = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|\[::1\]")


def check_origin(origin: str) -> None:
    """Raise `FormatError` (`bad-origin`) unless `origin` is `https://host[:port]`, or http on loopback."""
    found = _ORIGIN.fullmatch(origin)
    if found is None or found[3] == DEFAULT_PORTS[found[1]]:
        raise FormatError(
            "An address is spelled like https://report.example: in lower case, without a path or a / at the end.",
            reason="bad-origin",
        )
    if found[1] == "http" and not _LOOPBACK.fullmatch(found[2]):
        raise FormatError(
            "Write https:// in place of http://: without it only this very machine is spoken to.", reason="bad-origin"
        )
