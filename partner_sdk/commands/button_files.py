"""What the commands of `button` share: where the agency's address comes from, and how a file is written."""

from pathlib import Path

from partner_sdk.client.partner_state import PartnerState
from partner_sdk.errors import LocalStateError, ReportAbuseError


def find_origin(given: str | None, *, state: Path) -> str | None:
    """Return the agency's address as given, else that of the partner's folder, or None without one."""
    if given is not None:
        return given
    try:
        return PartnerState.open(state).profile.origin
    except ReportAbuseError:
        return None


def get_origin(given: str | None, *, state: Path) -> str:
    """Return the agency's address as `find_origin`, or raise `LocalStateError` (`no-origin`)."""
    origin = find_origin(given, state=state)
    if origin is None:
        raise LocalStateError(
            f"{state} is no folder of an enrolled partner: give the agency's address, --origin https://report.example.",
            reason="no-origin",
        )
    return origin


def write_out(file: Path, text: str) -> None:
    """Write a file of the service's own tree, or raise `LocalStateError` (`can-not-write`)."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LocalStateError(f"{file} can not be written: {error.strerror}.", reason="can-not-write") from None
