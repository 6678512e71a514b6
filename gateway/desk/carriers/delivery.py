"""Delivers messages: by a post to an outside address, or into a folder; and reads the logins for this.

Never repeats the other side's answer: it may quote an address. A failure is a code of ours.
"""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.desk.addresses import is_safe_url
from partner_sdk.durable_files import is_open_to_others
from partner_sdk.errors import LocalStateError, ReportAbuseError

if TYPE_CHECKING:
    import requests

# Failures that affect every message of a run, not one address.
CARRIER_FAULTS: Final = frozenset(
    {"no-connection", "timeout", "tls", "no-tls", "login-refused", "sender-refused", "server-error", "folder"}
)
TOTAL_SECONDS: Final = 30.0
USER_AGENT: Final = "report-abuse-desk"
MAX_SECRET_BYTES: Final = 4096

# Not this message's fault: a person must check the address or the token.
_REFUSED: Final = frozenset({401, 403})
_SAYS_NEVER: Final = frozenset({400, 422})


class DeliveryError(ReportAbuseError):
    """A message was not delivered. `is_final`: no further try to this address can succeed."""

    def __init__(self, *, reason: str, is_final: bool = False) -> None:
        super().__init__(f"The message was not delivered: {reason}.", reason=reason)
        self.is_final = is_final


def post_json(
    session: "requests.Session", *, url: str, body: bytes, token: str | None = None, message_id: str | None = None
) -> None:
    """Post JSON within a deadline; any 2xx means accepted. Raises `DeliveryError` with a code of ours.

    Never follows a redirect and never reads more than the status.
    """
    # Imported here: a command that sends nothing does not need them.
    import requests
    import urllib3

    from partner_sdk.client.http import deadline_at

    if not is_safe_url(url):
        raise DeliveryError(reason="no-tls")
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if message_id is not None:
        headers["Idempotency-Key"] = message_id
    try:
        with (
            deadline_at(time.monotonic() + TOTAL_SECONDS),
            session.post(
                url,
                data=body,
                headers=headers,
                timeout=(5.0, TOTAL_SECONDS),
                allow_redirects=False,
                stream=True,
                auth=_no_login,
            ) as answer,
        ):
            status = answer.status_code
    except requests.Timeout:
        raise DeliveryError(reason="timeout") from None
    except requests.exceptions.SSLError:
        raise DeliveryError(reason="tls") from None
    except (OSError, ValueError, urllib3.exceptions.HTTPError):  # RequestException is an OSError
        raise DeliveryError(reason="no-connection") from None
    if status in _REFUSED:
        raise DeliveryError(reason="login-refused")
    if status in _SAYS_NEVER:
        raise DeliveryError(reason="address-refused", is_final=True)
    if not 200 <= status < 300:
        raise DeliveryError(reason="server-error")


def _no_login(request: "requests.PreparedRequest") -> "requests.PreparedRequest":
    # `requests` would otherwise replace our token with a login from ~/.netrc.
    return request


def write_message(folder: Path, *, name: str, content: bytes) -> None:
    """Write one message into a folder instead of sending it. Raises `DeliveryError` (`folder`).

    For a demonstration only: the file holds an address in the clear, readable by its owner.
    """
    make_folder(folder)
    try:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
    except OSError:
        raise DeliveryError(reason="folder") from None


def make_folder(folder: Path) -> None:
    """Make the folder, or raise `DeliveryError` (`folder`) if it is not writable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise DeliveryError(reason="folder") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DeliveryError(reason="folder")


def read_secret_lines(path: Path, *, count: int) -> list[str]:
    """Return the lines of a file that only its owner may read. Raises `LocalStateError`."""
    try:
        found, raw = path.stat(), path.read_bytes()
    except OSError:
        raise LocalStateError(f"The file {path} is missing or unreadable.", reason="no-secret-file") from None
    if is_open_to_others(found):
        raise LocalStateError(f"Other users can read {path}: run chmod 600 on it.", reason="open-to-others")
    lines = raw.decode("utf-8", errors="replace").splitlines() if len(raw) <= MAX_SECRET_BYTES else []
    if len(lines) != count or not all(line.isprintable() and line for line in lines):
        raise LocalStateError(f"{path} must contain exactly {count} line(s).", reason="bad-secret-file")
    return lines
