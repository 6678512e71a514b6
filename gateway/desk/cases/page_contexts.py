"""Opens and judges the sealed page context from a service: a partner's claim, beside the report.

Never raises for hostile input, and never shows unsigned content as a partner's: a hostile context must not stop an
analyst from reading a report (WIRE.md §8.2).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, func, select

from gateway.desk.cases.model import CaseRow
from gateway.desk.collection.row_checks import SealedContent
from gateway.desk.placements.register import find_placement
from gateway.desk.store.partner_tables import FORMER_PARTNER_KEYS, PARTNERS
from gateway.desk.store.schema import CASES, PAGE_CONTEXTS
from gateway.desk.vault import VaultError
from gateway.desk.wiring import Desk
from gateway.web.logs import format_exception
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.page_context import (
    PageContext,
    SealedPageContext,
    context_seal_context,
    parse_context_token,
    verify_page_context,
)
from partner_sdk.wire.public_codes import CONTEXT_REFUSED_SIGNAL
from partner_sdk.wire.public_report import PublicReport
from partner_sdk.wire.statements import key_id_of, parse_statement

_log = logging.getLogger(__name__)

# The clocks of a service and of the gateway differ by minutes at most.
CLOCK_SKEW: Final = timedelta(minutes=5)

# `holds`; `expired` (signed, but for another time); `elsewhere` (signed, but for another placement than the report's);
# `key-ended` (by a key that had ended or was reported stolen); `forged` (by no key of the partner it names);
# `unreadable` (does not open, or is malformed); `refused` (the form could not attach it).
ContextOutcome = Literal["holds", "expired", "elsewhere", "key-ended", "forged", "unreadable", "refused"]
MOST_REFERENCES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class OtherReports:
    """How many other reports came with the same context, and the first few references."""

    count: int
    references: tuple[str, ...]


NO_OTHERS: Final = OtherReports(0, ())


@dataclass(frozen=True, slots=True)
class JudgedContext:
    """The verdict on a context. `claim` is set only if a valid key of `partner` signed it.

    `partner` is the partner that the token names, or empty. `others` are reports with the same context.
    """

    outcome: ContextOutcome
    partner: str = ""
    claim: PageContext | None = None
    others: OtherReports = NO_OTHERS


@dataclass(frozen=True, slots=True)
class _ContextKey:
    public_key: bytes
    ended_at: datetime | None
    is_revoked: bool

    def covers(self, moment: datetime) -> bool:
        return not self.is_revoked and (self.ended_at is None or moment < self.ended_at)


def find_page_context(desk: Desk, found: CaseRow, content: SealedContent, *, actor: str) -> JudgedContext | None:
    """Open and judge the context of an opened report; None if there is none."""
    if not isinstance(content, PublicReport):
        return None
    if content.context is None:
        return JudgedContext("refused") if CONTEXT_REFUSED_SIGNAL in content.signals else None
    with desk.store.read() as connection:
        others = get_other_reports(connection, found.case_id)
        try:
            token = parse_context_token(content.context)
        except ReportAbuseError:
            return JudgedContext("unreadable", others=others)
        keys = _list_keys(connection, token.partner)
        # The owner of the button, whatever service an analyst has found the report to be about.
        placement = find_placement(connection, found.placement)
    try:
        outcome, claim = _judge(
            desk, found, token, actor=actor, owner=None if placement is None else placement.owner, keys=keys
        )
    except VaultError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a claim holds, the child's report beside it is read
        _log.error("Could not judge the context of a page: %s", format_exception(error))
        outcome, claim = "unreadable", None
    return JudgedContext(outcome, token.partner, claim, others)


def _judge(
    desk: Desk,
    found: CaseRow,
    token: SealedPageContext,
    *,
    actor: str,
    owner: str | None,
    keys: Mapping[str, _ContextKey],
) -> tuple[ContextOutcome, PageContext | None]:
    bound = context_seal_context(environment=found.environment, partner=token.partner, context_id=token.context_id)
    received_at = parse_time(found.received_at)
    try:
        raw = desk.load_vault(actor=actor, reason="read").open_context(token.envelope, context=bound)
        claim = verify_page_context(
            raw,
            keys={key_id: key.public_key for key_id, key in keys.items()},
            partner=token.partner,
            context_id=token.context_id,
            environment=found.environment,
        )
        (signature,) = parse_statement(raw).signatures
    except OpeningError:
        return "unreadable", None
    except VaultError:
        raise
    except ReportAbuseError:
        return "forged", None
    if not keys[signature.keyid].covers(received_at):
        return "key-ended", None
    if owner != claim.partner or found.placement != claim.placement:
        return "elsewhere", claim
    issued_at, expires_at = parse_time(claim.issued_at), parse_time(claim.expires_at)
    # By difference, because a sum can overflow the calendar: the times are unverified.
    if issued_at - received_at > CLOCK_SKEW or received_at - expires_at >= CLOCK_SKEW:
        return "expired", claim
    return "holds", claim


def _list_keys(connection: Connection, partner: str) -> dict[str, _ContextKey]:
    """Return the context keys of a partner by id: the current one and the former ones."""
    found: dict[str, _ContextKey] = {}
    for table, end, revoked in (
        (FORMER_PARTNER_KEYS, FORMER_PARTNER_KEYS.c.ended_at, FORMER_PARTNER_KEYS.c.revoked),
        (PARTNERS, PARTNERS.c.suspended_at, PARTNERS.c.revoked_at.is_not(None)),
    ):
        query = select(table.c.context_key, end.label("end"), revoked.label("revoked"))
        for row in connection.execute(query.where(table.c.partner == partner, table.c.context_key.is_not(None))):
            public_key = bytes(row.context_key)
            ended_at = None if row.end is None else parse_time(row.end)
            found[key_id_of(public_key)] = _ContextKey(public_key, ended_at, bool(row.revoked))
    return found


def get_other_reports(connection: Connection, case_id: str) -> OtherReports:
    """Return the other reports that came with the same context as a case.

    A person with the page open may report twice; no other sender can make the same bytes.
    """
    own = select(PAGE_CONTEXTS.c.token_sha256).where(PAGE_CONTEXTS.c.case_id == case_id).scalar_subquery()
    same = (PAGE_CONTEXTS.c.token_sha256 == own, PAGE_CONTEXTS.c.case_id != case_id)
    count: int = connection.execute(select(func.count()).select_from(PAGE_CONTEXTS).where(*same)).scalar_one()
    references = connection.execute(
        select(CASES.c.reference)
        .join(PAGE_CONTEXTS, PAGE_CONTEXTS.c.case_id == CASES.c.case_id)
        .where(*same)
        .order_by(CASES.c.received_at, CASES.c.case_id)
        .limit(MOST_REFERENCES_SHOWN)
    )
    return OtherReports(count, tuple(references.scalars()))
