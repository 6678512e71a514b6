"""What the command line uses of the machine around it: time, connections, environment variables."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from partner_sdk.client.retrying import DEFAULT_POLICY, RetryPolicy

if TYPE_CHECKING:
    import requests


def _read_clock() -> datetime:
    # Imported here, as below: with it comes all that sends, which a command that runs alone does not need.
    from partner_sdk.client.requests_auth import read_clock

    return read_clock()


def _open_session() -> "requests.Session":
    from partner_sdk.client.transport import make_session

    return make_session()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The defaults are this machine's own."""

    clock: Callable[[], datetime] = _read_clock
    open_session: "Callable[[], requests.Session]" = _open_session
    sleep: Callable[[float], None] = time.sleep
    policy: RetryPolicy = DEFAULT_POLICY
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
