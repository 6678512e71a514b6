"""Makes calls.json: bodies for the calls of the industry door that take JSON, all by one partner of the sandbox.

The description of the door shows those that succeed as its examples. The parties are those of `tests.builders`, whose
keys are the same in every run.
"""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire import button, enrolment
from partner_sdk.wire.button import AdoptionPost, AdoptionRequest, seal_adoption
from partner_sdk.wire.canonical import encode, format_time, to_base64url
from partner_sdk.wire.enrolment import (
    SIGNED_CHANGE,
    AccountChange,
    AccountPost,
    EnrolmentPost,
    Invitation,
    seal_account_change,
    seal_enrolment,
)
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, CompletePost, evidence_digest
from partner_sdk.wire.mailbox import EntryPost, ThreadEntry, seal_entry
from partner_sdk.wire.sealing import SealingKey
from tests.builders import NOW, PUBLIC_ORIGIN, Agency, Partner, raw_public_key, seal_report
from tests.contract.vector_makers.seeds import REPORT_ID, seed_for

ENVIRONMENT: Final = "sandbox"
# The sealed file that `post_evidence_complete` is about: one part of zeros, too long to be written out.
PART: Final = bytes(LEAST_SEALED_BYTES)


def make_calls() -> dict[str, Any]:
    """Return the file: one body that is taken for each call, and a few that are refused."""
    agency, partner = Agency(environment=ENVIRONMENT), Partner(environment=ENVIRONMENT)
    key, other = agency.sealing_key, Partner(partner="another-service", environment=ENVIRONMENT)
    root = agency.pin().root_fingerprint
    report, unlike = (seal_report(partner, key=key, report_id=REPORT_ID) for _ in range(2))
    digest = evidence_digest([hashlib.sha256(PART).digest()], size_bytes=len(PART)).hex()
    cases: list[tuple[str, str, str, bytes]] = [
        ("a report", "post_report", "success", report.body),
        ("answer to an invitation", "post_enrol", "success", encode(_make_enrolment(partner, key=key, root=root))),
        ("a registration", "post_account", "success", encode(_make_registration(partner, key=key))),
        ("a request for the button", "post_adoption", "success", encode(_make_adoption(key=key))),
        ("all parts are sent", "post_evidence_complete", "success", encode(_make_complete(digest))),
        ("a message is saved", "post_mailbox_ack", "success", b"{}"),
        ("a person took a message on", "post_mailbox_entry", "success", encode(_make_entry(partner, key=key))),
        ("a report that another partner signed", "post_report", "statement-refused", seal_report(other, key=key).body),
        ("a report in the envelope of another", "post_report", "envelope-mismatch", replace(report, envelope=unlike.envelope).body),
        ("answer to no invitation", "post_enrol", "unknown-invitation", encode(_make_enrolment(other, key=key, root=root))),
        ("parts under another digest", "post_evidence_complete", "incomplete-evidence", encode(_make_complete("0" * 64))),
    ]  # fmt: skip
    return {
        "about": (
            "Bodies of calls of /v1, each under its call's operationId. A gateway of this sealing key and this partner takes "
            f"those that succeed; the evidence is one part of {LEAST_SEALED_BYTES} zero bytes."
        ),
        "environment": ENVIRONMENT,
        "partner": partner.partner,
        "now": format_time(NOW),
        "agency_key": json.loads(encode(key)),
        "submission_key": partner.key(KeyRole.SUBMISSION).public_key,
        "cases": [
            {"name": name, "expect": expect, "operation": operation, "body": json.loads(raw)}
            for name, operation, expect, raw in cases
        ],
    }


def _make_entry(partner: Partner, *, key: SealingKey) -> EntryPost:
    entry = ThreadEntry(
        about=REPORT_ID,
        by="Sergeant Anna Example",
        created_at=format_time(NOW),
        entry_id=REPORT_ID,
        environment=ENVIRONMENT,
        kind="acknowledge",
        partner=partner.partner,
        text="",
    )
    return seal_entry(entry, submission_key=partner.submission_key, agency_key=key)


def _make_complete(digest: str) -> CompletePost:
    return CompletePost(digest=digest, parts=1, size_bytes=len(PART))


def _make_enrolment(partner: Partner, *, key: SealingKey, root: str) -> EnrolmentPost:
    invitation = Invitation(
        environment=ENVIRONMENT,
        expires_at=format_time(NOW + timedelta(days=14)),
        name="Example Chat",
        next_root_fingerprint=None,
        origin=PUBLIC_ORIGIN,
        partner=partner.partner,
        root_fingerprint=root,
        secret=to_base64url(seed_for(f"secret of the invitation of {partner.partner}")),
    )
    return seal_enrolment(
        invitation,
        submission_key=partner.submission_key,
        context_key=load_signing_key(partner.key(KeyRole.CONTEXT)),
        mailbox_key=raw_public_key(partner.key(KeyRole.MAILBOX)),
        agency_key=key,
    )


def _make_registration(partner: Partner, *, key: SealingKey) -> AccountPost:
    change = AccountChange(
        change_id=REPORT_ID,
        created_at=format_time(NOW),
        environment=ENVIRONMENT,
        keys=None,
        partner=partner.partner,
        registration=enrolment.TEMPLATE,
    )
    signed = SIGNED_CHANGE.sign(change, partner.submission_key)
    return seal_account_change(signed, change=change, agency_key=key)


def _make_adoption(*, key: SealingKey) -> AdoptionPost:
    request = AdoptionRequest(environment=ENVIRONMENT, request_id=REPORT_ID, service=button.EXAMPLE)
    envelope = seal_adoption(request, sealing_key=key)
    return AdoptionPost(envelope=to_base64url(envelope.to_bytes()), request_id=REPORT_ID)
