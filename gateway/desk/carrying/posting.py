"""Posts JSON to an address outside (a provider of text messages, a pager), within a deadline.

Never follows a redirect, never reads more than the status, and never repeats what the other side said.
"""

import time
from typing import Final

import requests
import urllib3

from gateway.desk.carrying.delivery import DeliveryError
from gateway.desk.carrying.post_settings import is_safe_url
from partner_sdk.client.http import deadline_at

TOTAL_SECONDS: Final = 30.0
USER_AGENT: Final = "report-abuse-desk"

# Not for this message alone: somebody has to look at the address, or at the token.
_REFUSED: Final = frozenset({401, 403})
_SAYS_NEVER: Final = frozenset({400, 422})


def post_json(
    session: requests.Session, *, url: str, body: bytes, token: str | None = None, message_id: str | None = None
) -> None:
    """Post `body`; any 2xx takes it. Raises `DeliveryError` with a code of ours."""
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


def _no_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # `requests` would else put a login of ~/.netrc in the place of our token.
    return request
