"""What `serve` tells the workers of a listener through their environment: which state folder, which roles."""

from typing import Final

from gateway.config import ROLES, Role
from gateway.web.settings import SettingsError

STATE_VARIABLE: Final = "REPORT_ABUSE_GATEWAY_STATE"
ROLES_VARIABLE: Final = "REPORT_ABUSE_GATEWAY_ROLES"


def parse_roles(text: str) -> tuple[Role, ...]:
    """Return the roles of a text like `public,industry`, or raise `SettingsError`."""
    by_name: dict[str, Role] = {role: role for role in ROLES}
    try:
        return tuple(by_name[name] for name in text.split(","))
    except KeyError:
        raise SettingsError(f"Roles are some of {', '.join(ROLES)}, with commas between.", reason="bad-roles") from None
