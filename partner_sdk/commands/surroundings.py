"""What the command line uses of the machine around it: time, connections, environment variables."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import requests

from partner_sdk.client.partner import DEFAULT_POLICY
from partner_sdk.client.requests_auth import read_clock
from partner_sdk.client.retrying import RetryPolicy
from partner_sdk.client.transport import make_session


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The defaults are this machine's own."""

    clock: Callable[[], datetime] = read_clock
    open_session: Callable[[], requests.Session] = make_session
    sleep: Callable[[float], None] = time.sleep
    policy: RetryPolicy = DEFAULT_POLICY
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
