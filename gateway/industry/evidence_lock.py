"""Locks the evidence that a report names, in the transaction of the report: both are stored, or neither."""

from sqlalchemy import Connection

from gateway.industry.caller import Caller
from gateway.intake import Accepted, ExtraWrite
from gateway.store.evidence import reference_evidence
from partner_sdk.wire.submission import SubmissionStatement


def make_evidence_lock(caller: Caller, *, statement: SubmissionStatement) -> ExtraWrite | None:
    """Return what locks the evidence that the report names, also what has not come yet; None if it names none."""
    if not statement.evidence_ids:
        return None

    def lock(connection: Connection, _accepted: Accepted) -> None:
        reference_evidence(
            connection, partner=caller.partner, evidence_ids=statement.evidence_ids, now=caller.gateway.clock()
        )

    return lock
