"""One listener of a command: its address, its app, its bounds. As JSON, what its server process is told: no secret."""

from typing import Final

import msgspec

SPEC_VARIABLE: Final = "REPORT_ABUSE_SERVER_SPEC"
TRUSTED_PROXIES: Final = "TRUSTED_PROXIES"
"""In the config of an app: how many proxies stand before it, whose word on the caller's address is taken."""
DEFAULT_BODY_SECONDS: Final = 20.0


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An address and the app factory (`module:function`) behind it. `environment` is added to the process's own.

    A body has `body_seconds` to come whole.
    """

    name: str
    target: str
    host: str
    port: int
    workers: int = 1
    threads: int = 4
    body_seconds: float = DEFAULT_BODY_SECONDS
    environment: dict[str, str] = {}
    worker_memory_mib: int = 512  # a quiet worker has about 100; bodies may take 192 more
    memory_look_seconds: int = 30

    @property
    def address(self) -> str:
        """The address as it stands in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
