"""Mailbox messages as the desk makes them, good ones and bad ones."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.exchange.feed import MAILBOX_MESSAGE
from gateway.store.items import put_item
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import format_time, make_report_id, parse_base64url, to_base64url
from partner_sdk.wire.mailbox import (
    FIRST_PREVIOUS,
    SIGNED_MESSAGE,
    AskedAccount,
    InformationRequest,
    MailboxItem,
    MailboxMessage,
    ReferralFacts,
    TermsReferral,
    encode_body,
    mailbox_context,
    message_sha256,
)
from partner_sdk.wire.sealing import seal
from tests.builders import DAY, NOW, Agency, House, Partner, sealing_key_of


@dataclass(frozen=True)
class Post:
    """A message: its signed bytes, and its row of `GET /v1/mailbox`."""

    signed: bytes
    item: MailboxItem


def make_post(
    place: int,
    previous: str = FIRST_PREVIOUS,
    *,
    agency: Agency | None = None,
    posted_as: str | None = None,
    **changes: Any,
) -> Post:
    """Make message number `place`, under the id `posted_as` if it is given.

    `changes` are its signed fields; `signed_by` and `sealed_to` replace the keys, `context` the sealed context.
    """
    agency = agency or Agency()
    partner = Partner(environment=agency.environment)
    outer_id = posted_as or make_report_id(NOW, place.to_bytes(10, "big"))
    settings: dict[str, Any] = {
        "body": to_base64url(b'{"text":"hello"}'),
        "environment": agency.environment,
        "issued_at": format_time(NOW),
        "kind": "welcome",
        "message_id": outer_id,
        "number": place,
        "previous": previous,
        "recipient": partner.partner,
    }
    key = changes.pop("signed_by", None) or load_signing_key(agency.key(KeyRole.MAILBOX_SIGNING))
    sealed_to: Partner = changes.pop("sealed_to", partner)
    outer = {"environment": agency.environment, "partner": partner.partner, "message_id": outer_id}
    context = mailbox_context(**{**outer, **changes.pop("context", {})})
    signed = SIGNED_MESSAGE.sign(MailboxMessage(**{**settings, **changes}), key)
    box = seal(signed, key=sealing_key_of(sealed_to.key(KeyRole.MAILBOX)), context=context)
    return Post(signed=signed, item=MailboxItem(envelope=to_base64url(box.to_bytes()), message_id=outer_id))


def make_chain(count: int, **changes: Any) -> list[Post]:
    """Make messages 1 to `count`, each over the hash of the one before."""
    posts: list[Post] = []
    for number in range(1, count + 1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        posts.append(make_post(number, previous, **changes))
    return posts


def post_to(house: House, *posts: Post) -> None:
    """Put messages for the example partner into a gateway's mailbox, as the feed does."""
    with house.open_gateway().store.write() as connection:
        for post in posts:
            put_item(
                connection,
                MAILBOX_MESSAGE,
                address=Partner().partner,
                item_id=post.item.message_id,
                envelope=parse_base64url(post.item.envelope),
                now=NOW,
            )


REFERENCE = "K7QF-2M9TX-D"
REPORT_ID = make_report_id(NOW, bytes(10))
REQUEST = InformationRequest(
    due_at=format_time(NOW + 7 * DAY),
    legal_basis="Online Safety Act 2023, section 66",
    purpose="To find the child.",
    question="From which IP address did the account log in on 24 November?\nAnd from which port?",
    reference=REFERENCE,
    report_id=REPORT_ID,
    request_id=make_report_id(NOW, b"\1" * 10),
)
REFERRAL = TermsReferral(
    account=AskedAccount(kind="username", value="mild_example"),
    facts=ReferralFacts(explanation="It is said.", good_faith=True, locations=("https://chat.example/u/1",)),
    rule="Minimum age",
)


def make_request(place: int, **changes: str) -> InformationRequest:
    """Return another question of the agency."""
    return msgspec.structs.replace(REQUEST, request_id=make_report_id(NOW, bytes([place]) * 10), **changes)


def make_asked(request: InformationRequest) -> Post:
    """Return the first message of a mailbox: this question."""
    body = to_base64url(encode_body(request))
    return make_post(1, posted_as=request.request_id, body=body, kind="information-request")


def post_bodies(house: House, *bodies: bytes, kind: str = "information-request") -> None:
    """Put a chain of messages with these bodies into the gateway's mailbox."""
    posts: list[Post] = []
    for place, body in enumerate(bodies, start=1):
        previous = message_sha256(posts[-1].signed) if posts else FIRST_PREVIOUS
        named = json.loads(body).get("request_id")
        posts.append(make_post(place, previous, posted_as=named, body=to_base64url(body), kind=kind))
    post_to(house, *posts)
