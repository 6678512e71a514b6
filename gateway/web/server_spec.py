"""The configuration that a command passes to its server processes; contains no secrets and no personal data."""

from typing import Final

import msgspec

SPEC_VARIABLE: Final = "REPORT_ABUSE_SERVER_SPEC"
TRUSTED_PROXIES: Final = "TRUSTED_PROXIES"
"""Key in an app's config: the number of trusted proxies in front of it."""
DEFAULT_BODY_SECONDS: Final = 20.0
DEFAULT_WORKER_MIB: Final = 512  # an idle worker has about 100; bodies may take another 192
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
