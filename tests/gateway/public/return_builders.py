"""People coming back after Send, and a desk that answers them: shared by the tests of the return code."""

import re
from typing import Any

from gateway.exchange.feed import REPLY
from gateway.exchange.public_report import SIGNED_REPLY, PublicReport, ReplyMessage, make_reply_key, reply_context
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.wire.canonical import make_report_id, to_base64url
from partner_sdk.wire.sealing import seal
from tests.builders import NOW
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person, read_title

THANKS = "We have got what you sent"
REFUSED = "Look at both once more."
ASKED, SHOWN = "Come back to what you sent", "What you sent"
ANSWER = "Quiet-Answer-Marker: you did the right thing."
WRONG_WORDS = "lemon kite otter zebra acorn"
UNKNOWN_REFERENCE = "C5H6-6S35C-3"


def send(public: PublicHouse, **changed: dict[str, str | list[str]]) -> tuple[Person, str, str]:
    """Have the shortest report sent; return the person, the number and the five words of the thank-you page."""
    person = public.person_at("/15", **changed)
    assert read_title(person.page) == THANKS
    reference, words = read_numbers(person)
    return person, reference, words


def come_back(public: PublicHouse, reference: str, words: str, *, address: str = "127.0.0.1") -> Person:
    """Type both into a new browser, which is in the network of `address`."""
    person = public.person()
    person.client.environ_base["REMOTE_ADDR"] = address
    person.get("/16")
    assert read_title(person.page) == ASKED
    person.press(reference=reference, words_typed=words)
    return person


def post_reply(public: PublicHouse, report: PublicReport, reference: str, **changes: Any) -> bytes:
    """Sign and seal a message as the desk does, and post it through the feed; return the box."""
    signing_key = changes.pop("signing_key", load_signing_key(public.house.agency.key(KeyRole.MAILBOX_SIGNING)))
    number = len(public.house.items(REPLY))
    message = ReplyMessage(
        **{
            "body": ANSWER,
            "environment": "live",
            "issued_at": "2026-11-25T09:00:00Z",
            "kind": "reply",
            "message_id": make_report_id(NOW, number.to_bytes(10, "big")),
            "reference": reference,
            **changes,
        }
    )
    assert report.reply_key is not None
    context = reply_context(environment="live", reference=reference, message_id=message.message_id)
    signed = SIGNED_REPLY.sign(message, signing_key)
    box = seal(signed, key=make_reply_key(report.reply_key), context=context).to_bytes()
    item = {"address": reference, "envelope": to_base64url(box), "item_id": message.message_id}
    assert public.house.open_feed().post("/feed/items/reply", {"items": [item]}).json == {"results": ["stored"]}
    return box


def shape_of(person: Person) -> str:
    """Return a page without its tokens and without typed text."""
    return re.sub(r'value="[^"]*"', "", person.text())


def read_numbers(person: Person) -> list[str]:
    """Return the number and the five words that the thank-you page shows."""
    return re.findall(r'<p class="reference[^>]*>([^<]+)<', person.text())
