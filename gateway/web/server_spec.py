"""What a command tells the server process that it starts: no secret, and no word of anybody."""

from typing import Final

import msgspec

SPEC_VARIABLE: Final = "REPORT_ABUSE_SERVER_SPEC"
TRUSTED_PROXIES: Final = "TRUSTED_PROXIES"
"""In the config of an app: how many proxies stand before it, whose word on the caller's address is taken."""
DEFAULT_BODY_SECONDS: Final = 20.0
DEFAULT_WORKER_MIB: Final = 512  # a quiet worker has about 100; bodies may take 192 more
DEFAULT_LOOK_SECONDS: Final = 30


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
    worker_memory_mib: int = DEFAULT_WORKER_MIB
    memory_look_seconds: int = DEFAULT_LOOK_SECONDS
