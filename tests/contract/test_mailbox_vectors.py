"""The vectors of the mailbox: a message of every kind is kept with its body, and nothing else is."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from gateway.industry import mailbox_schema
from partner_sdk.client.mailbox import Delivery, Mailbox
from partner_sdk.wire.canonical import parse_exact, parse_time
from partner_sdk.wire.mailbox import BODIES, MAX_MESSAGE_BYTES, MailboxItem, MessageKind
from tests.builders import Agency
from tests.contract.vector_files import FILES, mailbox_keys_of
from tests.sdk.sdk_builders import make_state

FILE = FILES["mailbox"]
# The vectors name the cause of a closed box in the words of WIRE.md; an alarm names it for a partner.
NAMES_OF_OPENING = {"wrong-key": "altered-header", "does-not-open": "wrong-key"}


@pytest.fixture
def deliveries(tmp_path: Path) -> list[Delivery]:
    """The result of each case, received in the order of the file."""
    key_set = Agency().key_set(mailbox_keys=mailbox_keys_of(FILE))
    mailbox = Mailbox(make_state(tmp_path / "partner"), key_set=key_set, now=parse_time(FILE["now"]))
    items = [MailboxItem(envelope=case["envelope"], message_id=case["message_id"]) for case in FILE["cases"]]
    return [mailbox.receive([item], acknowledge=lambda _id: None) for item in items]


def test_messages_give_their_expected_results(deliveries: list[Delivery]) -> None:
    found = [
        NAMES_OF_OPENING.get(alarm.reason, alarm.reason) if alarm else "success"
        for delivery in deliveries
        for alarm in delivery.alarms or (None,)
        if alarm is None or alarm.reason != "gap"
    ]
    assert found == [case["expect"] for case in FILE["cases"]]


def test_bodies_are_those_of_the_file_and_of_their_models(deliveries: list[Delivery]) -> None:
    kept = [message for delivery in deliveries for message in delivery.messages]
    cases = [case for case in FILE["cases"] if case["expect"] == "success"]
    assert [(one.message.kind, json.loads(one.body)) for one in kept] == [
        (case["kind"], case["body"]) for case in cases
    ]
    for one in kept:
        parse_exact(one.body, kind=BODIES[one.message.kind], max_bytes=MAX_MESSAGE_BYTES)


def test_every_kind_has_a_vector_a_schema_and_a_row_in_the_document() -> None:
    kinds = set(get_args(MessageKind))
    text = (Path(__file__).resolve().parents[2] / "partner_sdk" / "WIRE.md").read_text(encoding="utf-8")
    section = text[text.index("## 9 Mailbox") : text.index("### 9.1")]
    rows: dict[str, Any] = dict(
        line.removeprefix("| `").split("` | ", 1) for line in section.splitlines() if line.startswith("| `")
    )
    assert kinds == set(BODIES) == set(mailbox_schema()["properties"]) == set(rows)
    assert kinds == {case["kind"] for case in FILE["cases"] if case["expect"] == "success"}
    for kind, model in BODIES.items():
        assert all(f"`{field.name}`" in rows[kind] for field in msgspec.structs.fields(model)), kind
