"""What the gateway answers to signed questions, beside receipts and messages; read strictly (WIRE.md §10)."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from partner_sdk.wire.feed_messages import Outcome
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.statements import SignedStatement

Stage = Literal["received", "collected", "opened"]


class ServiceCaller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom the gateway takes the signer of a request for."""

    environment: Environment
    key_id: str
    partner: str


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/status`; `caller` is null for an unsigned question."""

    caller: ServiceCaller | None
    environment: Environment
    ready: bool


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/reports/{id}`."""

    outcome: Outcome | None
    receipt: SignedStatement
    stage: Stage


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """How far an own report is. `outcome` is there once the agency released one."""

    report_id: str
    stage: Stage
    outcome: str | None
