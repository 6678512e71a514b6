"""The gateway's answers to signed questions, beside receipts and messages; read strictly (WIRE.md §10)."""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from partner_sdk.wire.field_types import KeyId, PartnerId
from partner_sdk.wire.keys import Environment
from partner_sdk.wire.mailbox_message import SetAsideReason
from partner_sdk.wire.statements import SignedStatement

Stage = Literal["received", "collected", "set_aside", "opened"]

Outcome = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]


class ServiceCaller(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The partner that the gateway recognises as the signer of a request."""

    environment: Environment
    key_id: KeyId
    partner: PartnerId


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/status`; `caller` is null for an unsigned question."""

    caller: ServiceCaller | None
    environment: Environment
    ready: Annotated[bool, Meta(description="False until the agency has published its keys.")]


class WaitingReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of `POST /v1/enrol` and `POST /v1/account`: the box waits for the desk, which decides."""

    status: Literal["waiting"] = "waiting"


class Progress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `GET /v1/reports/{id}`."""

    outcome: Outcome | None
    receipt: SignedStatement
    set_aside_reason: Annotated[
        SetAsideReason | None,
        Meta(description="With the stage `set_aside`: the reason why the desk could not read the report."),
    ]
    stage: Stage


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """How far an own report is. `outcome` is there once the agency released one.

    At the stage `set_aside` the desk holds the report and could not read it; `set_aside_reason` is the reason.
    """

    report_id: str
    stage: Stage
    outcome: str | None
    set_aside_reason: SetAsideReason | None = None
