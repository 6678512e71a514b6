"""What a command tells the server process that it starts: no secret, and no word of anybody."""

from typing import Final

import msgspec

SPEC_VARIABLE: Final = "REPORT_ABUSE_SERVER_SPEC"
DEFAULT_BODY_SECONDS: Final = 20.0


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One listener, as JSON in the environment of its process."""

    name: str
    target: str
    host: str
    port: int
    workers: int
    threads: int
    body_seconds: float
    parent_pid: int
