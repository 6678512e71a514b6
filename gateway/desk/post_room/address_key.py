"""The key under which addresses are hashed, so that one gets at most one note a day: a typed key file of its own.

Losing it costs no more than one second note on that day.
"""

from gateway.desk.wiring import Desk
from partner_sdk.key_files import SEED_BYTES, KeyRole, new_key, read_key_file, write_key_file
from partner_sdk.wire.canonical import format_time, parse_base64url


def load_address_key(desk: Desk) -> bytes:
    """Return the key; a desk from before the post room makes it at its first note. Raises `LocalStateError`."""
    role = KeyRole.ADDRESS_MAC
    path = desk.paths.keys / f"{role.value}.key"
    if not path.exists():
        made_at = format_time(desk.clock())
        write_key_file(
            path, new_key(role, environment=desk.config.environment, created_at=made_at, seed=desk.random(SEED_BYTES))
        )
    return parse_base64url(read_key_file(path, role=role).secret, length=SEED_BYTES)
