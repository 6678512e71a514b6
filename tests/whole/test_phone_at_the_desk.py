"""A report that a phone sealed, from Send to the case, and the desk's answer back to the words."""

import json
from pathlib import Path

from gateway.desk.cases.opening import open_case
from gateway.desk.cases.replies import ReplyDraft, write_reply
from gateway.exchange.public_report import SIGNED_REPLY, place_context, reply_context
from gateway.public.returning import derive_return_keys
from partner_sdk.wire.canonical import to_base64url
from tests.desk.desk_loop import ACTOR
from tests.desk.loop_model import copy_loop
from tests.desk.outbox_builders import send_out
from tests.gateway.public.person import SHORT_STORY, Person
from tests.gateway.public.phone_builders import WORDS, ask_visit, post_json, read_receipt, seal_body, send_body
from tests.gateway.public.test_come_back_sealed import open_in_the_page

ANSWER = "Reply-Marker: you did the right thing."


def test_sealed_report_becomes_a_case_and_its_answer_reaches_the_words(tmp_path: Path) -> None:
    loop = copy_loop(tmp_path, is_enrolled=False)
    person = Person(loop.open_app("public"))
    visit = ask_visit(person)
    found = loop.gateway.key_state.find_active_key()
    assert found is not None
    loop.clock.advance(minutes=2)
    body = seal_body(visit, key=found[1])
    read_receipt(send_body(person, body, csrf_token=visit["csrf_token"]))
    loop.collect()
    reference = visit["reference"]
    assert open_case(loop.desk, reference, actor=ACTOR).content.story == SHORT_STORY
    write_reply(loop.desk, reference, ReplyDraft(ANSWER, is_the_reply=True, reason="the phone is shared"), actor=ACTOR)
    send_out(loop.desk, "reply")
    seed, token = derive_return_keys(WORDS, reference=reference)
    asked = json.dumps({"reference": reference, "token": to_base64url(token)}).encode()
    boxes = post_json(person, "/16/sealed", asked, X_CSRFToken=visit["csrf_token"]).json["found"]
    environment = visit["environment"]
    place = open_in_the_page(boxes["place"], place_context(environment=environment, reference=reference), seed=seed)
    assert json.loads(place)["reference"] == reference
    bodies = [
        SIGNED_REPLY.peek(open_in_the_page(one["envelope"], context, seed=seed)).body
        for one in boxes["replies"]
        for context in (reply_context(environment=environment, reference=reference, message_id=one["message_id"]),)
    ]
    assert bodies.count(ANSWER) == 1
