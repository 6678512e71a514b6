"""One good request for each call below `/v1`, open ones too, and the state that it needs.

A route that has none here fails the tests that walk over all of them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from werkzeug.test import TestResponse

from gateway.exchange.feed import MAILBOX_MESSAGE
from gateway.store.items import put_invitation, put_item
from gateway.web.rules import find_rule
from partner_sdk.wire.button import AdoptionPost
from partner_sdk.wire.canonical import encode, make_report_id, to_base64url
from partner_sdk.wire.enrolment import AccountPost, EnrolmentPost, secret_sha256
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, CompletePost, evidence_digest
from partner_sdk.wire.mailbox import EntryPost
from partner_sdk.wire.sealing import SealingKey
from partner_sdk.wire.signing import CONTENT_TYPE
from tests.builders import NOW, Door, House, Partner, SealedReport, make_box, seal_report, sign_request

REPORT_ID = make_report_id(NOW, b"report-id-")
MESSAGE_ID = make_report_id(NOW, b"message-id")
EVIDENCE_ID = make_report_id(NOW, b"evidence-i")
CHANGE_ID = make_report_id(NOW, b"change-id-")
ENTRY_ID = make_report_id(NOW, b"entry-id--")
ADOPTION_ID = make_report_id(NOW, b"adoption-i")
UNKNOWN_ID = make_report_id(NOW, b"nobody's--")
SECRET = bytes(range(32))
PART = bytes(LEAST_SEALED_BYTES)
PART_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class PartnerCall:
    """One request: `path` names something of its owner, `body` is None where none is sent."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str = CONTENT_TYPE

    def at(self, other_id: str) -> "PartnerCall":
        """Return the same call about another id."""
        path = self.path
        for own_id in (REPORT_ID, MESSAGE_ID, EVIDENCE_ID):
            path = path.replace(own_id, other_id)
        # An account change is named in its body; the id of a report there is signed.
        body = None if self.body is None else self.body.replace(CHANGE_ID.encode(), other_id.encode())
        return PartnerCall(self.method, path, body, self.content_type)

    def sign(self, *, origin: str, key: Ed25519PrivateKey, now: datetime) -> dict[str, str]:
        """Return the headers of this call, signed with a nonce of its own."""
        return sign_request(
            self.method,
            origin + self.path,
            body=self.body,
            private_key=key,
            created=now,
            content_type=self.content_type,
        )


@lru_cache(maxsize=8)
def _report_of(sender: Partner, key: SealingKey) -> SealedReport:
    return seal_report(sender, key=key, report_id=REPORT_ID)


@lru_cache(maxsize=8)
def _box(key: SealingKey) -> str:
    return to_base64url(make_box(key, size=4096))


def make_calls(key: SealingKey, owner: Partner) -> Mapping[str, PartnerCall]:
    """Return the good request of each endpoint, as `owner` sends it to the agency with this sealing key."""
    box = _box(key)
    digest = evidence_digest([hashlib.sha256(PART).digest()], size_bytes=len(PART)).hex()
    complete = CompletePost(digest=digest, parts=1, size_bytes=len(PART))
    enrolment = EnrolmentPost(envelope=box, secret_sha256=to_base64url(secret_sha256(SECRET)))
    account = AccountPost(change_id=CHANGE_ID, envelope=box)
    entry = EntryPost(entry_id=ENTRY_ID, envelope=box)
    adoption = AdoptionPost(envelope=box, request_id=ADOPTION_ID)
    return MappingProxyType(
        {
            "get_status": PartnerCall("GET", "/v1/status"),
            "get_keys": PartnerCall("GET", "/v1/keys"),
            "get_schema": PartnerCall("GET", "/v1/schema/report.json"),
            "get_mailbox_schema": PartnerCall("GET", "/v1/schema/mailbox.json"),
            "get_openapi": PartnerCall("GET", "/v1/openapi.json"),
            "get_docs": PartnerCall("GET", "/v1/docs"),
            "get_docs_file": PartnerCall("GET", "/v1/docs/style.css"),
            "post_enrol": PartnerCall("POST", "/v1/enrol", encode(enrolment)),
            "post_adoption": PartnerCall("POST", "/v1/adoption", encode(adoption)),
            "post_account": PartnerCall("POST", "/v1/account", encode(account)),
            "post_report": PartnerCall("POST", "/v1/reports", _report_of(owner, key).body),
            "get_report": PartnerCall("GET", f"/v1/reports/{REPORT_ID}"),
            "put_evidence_part": PartnerCall("PUT", f"/v1/evidence/{EVIDENCE_ID}/0", PART, PART_TYPE),
            "get_evidence": PartnerCall("GET", f"/v1/evidence/{EVIDENCE_ID}"),
            "post_evidence_complete": PartnerCall("POST", f"/v1/evidence/{EVIDENCE_ID}/complete", encode(complete)),
            "get_mailbox": PartnerCall("GET", "/v1/mailbox"),
            "post_mailbox_ack": PartnerCall("POST", f"/v1/mailbox/{MESSAGE_ID}/ack", b"{}"),
            "post_mailbox_entry": PartnerCall("POST", f"/v1/mailbox/{MESSAGE_ID}/entries", encode(entry)),
        }
    )


def check_every_route_has_a_call(door: Door, calls: Mapping[str, PartnerCall]) -> None:
    """Fail unless the table and the routes below `/v1` are the same."""
    routes = [route for route in door.app.url_map.iter_rules() if route.rule.startswith("/v1")]
    assert all(find_rule(door.app, route.endpoint) for route in routes)
    told = {
        (route.endpoint.rpartition(".")[2], *sorted((route.methods or set()) - {"HEAD", "OPTIONS"})) for route in routes
    }
    assert told == {(name, call.method) for name, call in calls.items()}


def send_call(door: Door, call: PartnerCall, **headers: str) -> TestResponse:
    """Send a call, signed by the door's key if it has one; `headers` take the place of others."""
    sent = {"Content-Type": call.content_type} if call.body is not None else {}
    if door.key is not None:
        sent = call.sign(origin=door.origin, key=door.key, now=door.clock())
    return door.send(call.method, call.path, body=call.body, headers={**sent, **headers})


def invite_newcomer(house: House) -> None:
    """Let the enrolment of the table be taken."""
    with house.open_gateway().store.write() as connection:
        put_invitation(
            connection,
            secret_sha256=secret_sha256(SECRET),
            partner="new-service",
            expires_at=NOW + timedelta(days=7),
        )


def put_message(house: House, recipient: Partner, *, message_id: str = MESSAGE_ID, envelope: bytes = b"") -> bytes:
    """Put one message into a partner's mailbox; return its envelope."""
    envelope = envelope or make_box(recipient.entry().mailbox_key)
    with house.open_gateway().store.write() as connection:
        put_item(connection, MAILBOX_MESSAGE, address=recipient.partner, item_id=message_id, envelope=envelope, now=NOW)
    return envelope
