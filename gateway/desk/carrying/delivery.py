"""What can go wrong when a message is handed over, as codes of ours. Never holds what the other side said."""

from typing import Final

from partner_sdk.errors import ReportAbuseError

# What fails for every message of a run, not for one address.
CARRIER_FAULTS: Final = frozenset(
    {"no-connection", "timeout", "tls", "no-tls", "login-refused", "sender-refused", "server-error", "folder"}
)


class DeliveryError(ReportAbuseError):
    """A message was not taken. `is_final`: not by this address, however often it is tried."""

    def __init__(self, *, reason: str, is_final: bool = False) -> None:
        super().__init__(f"A message was not taken: {reason}.", reason=reason)
        self.is_final = is_final
