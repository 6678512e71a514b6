"""A request to a service: its recipient, its law, and no trace of the reporter."""

from datetime import date
from typing import Any

import pytest

from gateway.desk.actions.ledger import open_body
from gateway.desk.actions.model import ActionError, list_actions
from gateway.desk.cases.model import CaseError, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.notices.service_requests import Asking, list_services, read_content
from gateway.desk.store.agency_tables import ADOPTERS
from gateway.desk.store.schema import AUDIT
from partner_sdk.wire.mailbox import AskedAccount
from tests.builders import Partner
from tests.desk.asking_builders import NIGHT_OWL, ask, make_asking, make_preservation, make_stranger
from tests.desk.cases.test_industry_cases import CLOSING
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import file, read, set_partner
from tests.desk.work_builders import assess_and_close
from tests.public_report_builders import make_contact, make_known_person

CONTACT = make_contact(email="sam.brightwell@mail.example", phone="07700 900123")


def read_public(loop: Loop, **changes: Any) -> str:
    """Send a child's report, collect it, read it, and return its reference."""
    values: dict[str, Any] = {"name": "Sam Brightwell", "contact": CONTACT, **changes}
    reference = loop.send_public(under_18="yes", **values).reference
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    return reference


def refuse(loop: Loop, reference: str, asking: Asking) -> str:
    with pytest.raises((CaseError, ActionError)) as caught:
        ask(loop, reference, asking)
    assert loop.count("case_actions") == 0
    return caught.value.reason


def test_question_about_a_partners_own_report_names_it(loop: Loop) -> None:
    case = read(loop)
    action = ask(loop, case.reference)
    assert (action.kind, action.way, action.state, action.recipient) == (
        "information-request",
        "mailbox",
        "released",
        "example-chat",
    )
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert (content.reference, content.accounts) == (case.reference, ())
    assert content.due_at == action.due_at == "2026-12-02T08:30:00Z"  # seven days


def test_any_partner_is_asked_about_an_account_that_a_child_names(loop: Loop) -> None:
    reference = read_public(loop, person=make_known_person(app="Example Chat", handle="night_owl7"))
    action = ask(loop, reference, make_stranger(loop))
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert (content.reference, content.accounts) == ("", (NIGHT_OWL,))
    assert content.legal_basis.startswith("Investigatory Powers Act 2016, Part 3")
    assert content.legal_basis.endswith("; authorisation AUTH-2026-17")


def test_another_service_is_asked_about_a_partners_report_without_its_reference(loop: Loop) -> None:
    loop.enrol(partner=Partner(partner="example-game"))
    case = read(loop)
    assert refuse(loop, case.reference, make_asking(loop, recipient="example-game")) == "no-law"
    action = ask(loop, case.reference, make_stranger(loop, recipient="example-game"))
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert content.reference == ""


def test_preservation_runs_for_ninety_days_or_until_its_day(loop: Loop) -> None:
    case = read(loop)
    usual = ask(loop, case.reference, make_preservation(loop))
    named = ask(loop, case.reference, make_preservation(loop, preserve_until=date(2027, 5, 1), due=date(2026, 11, 27)))
    contents = [read_content(one, open_body(loop.desk, one, actor=ACTOR)) for one in (usual, named)]
    assert [one.preserve_until for one in contents] == ["2027-02-23T08:30:00Z", "2027-05-01T22:59:59Z"]
    assert named.due_at == contents[1].due_at == "2026-11-27T23:59:59Z"


def test_service_without_keys_is_asked_by_letter(loop: Loop) -> None:
    with loop.desk.store.write() as connection:
        values = {"owner": "other-chat", "name": "Other Chat", "added_at": "2026-11-25T08:30:00Z", "added_by": ACTOR}
        connection.execute(ADOPTERS.insert().values(values))
    reference = read_public(loop)
    asking = make_stranger(loop, recipient="other-chat")
    assert refuse(loop, reference, asking) == "no-address"
    action = ask(loop, reference, make_stranger(loop, recipient="other-chat", address="1 Example Street\nLeeds"))
    assert (action.way, action.state) == ("letter", "released")
    content = read_content(action, open_body(loop.desk, action, actor=ACTOR))
    assert (content.name, content.address) == ("Other Chat", "1 Example Street\nLeeds")
    assert loop.count("mailbox_messages") == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": " \n"}, "no-question"),
        ({"purpose": ""}, "no-purpose"),
        ({"necessity": " "}, "no-necessity"),
        ({"law": ""}, "no-law"),
        ({"law": "preservation"}, "no-law"),
        ({"law": "communications_data"}, "no-number"),
        ({"law": "communications_data", "number": "x" * 61}, "bad-number"),
        ({"question": "x" * 2001}, "question-too-long"),
        ({"purpose": "x" * 301}, "purpose-too-long"),
        ({"question": "a\x1b[2J"}, "question-unprintable"),
        ({"accounts": (AskedAccount(kind="colour", value="blue"),)}, "bad-account"),
        ({"accounts": (NIGHT_OWL, NIGHT_OWL)}, "bad-account"),
        ({"accounts": (AskedAccount(kind="email", value="a\nb"),)}, "bad-account"),
        ({"due": date(2026, 11, 25)}, "bad-day"),
        ({"due": date(2027, 11, 25)}, "bad-day"),
        ({"recipient": "public"}, "no-law"),
    ],
)
def test_request_that_misses_something_is_not_made(loop: Loop, changes: dict[str, Any], reason: str) -> None:
    assert refuse(loop, read(loop).reference, make_asking(loop, **changes)) == reason


def test_preservation_needs_an_account_and_an_end_after_its_answer(loop: Loop) -> None:
    case = read(loop)
    assert refuse(loop, case.reference, make_preservation(loop, accounts=())) == "no-account"
    early = make_preservation(loop, preserve_until=date(2026, 11, 28))
    assert refuse(loop, case.reference, early) == "bad-preserve-day"


def test_question_about_another_senders_report_needs_an_account(loop: Loop) -> None:
    assert refuse(loop, read_public(loop), make_stranger(loop, accounts=())) == "no-account"


def test_only_a_read_open_and_assessed_case_is_asked_about(loop: Loop) -> None:
    unread, closed = file(loop), read(loop)
    assess_and_close(loop.desk, closed.reference, CLOSING, actor=ACTOR)
    assert refuse(loop, unread.reference, make_asking(loop)) == "not-opened"
    assert refuse(loop, closed.reference, make_asking(loop)) == "already-closed"
    assert refuse(loop, "K7QF-2M9TX-D", make_asking(loop)) == "unknown-case"


def test_suspended_partner_is_asked_nothing(loop: Loop) -> None:
    case = read(loop)
    set_partner(loop.desk, state="suspended")
    assert refuse(loop, case.reference, make_asking(loop)) == "no-recipient"
    with loop.desk.store.read() as connection:
        assert list_services(connection) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "Who wrote to Sam?"}, "question-shows-reporter"),
        ({"question": "Who wrote to sam.brightwell@mail.example?"}, "question-shows-reporter"),
        ({"purpose": "To reach 07700 900 123"}, "purpose-shows-reporter"),
        ({"accounts": (AskedAccount(kind="email", value="sam.brightwell@mail.example"),)}, "reporters-account"),
        ({"accounts": (NIGHT_OWL, AskedAccount(kind="username", value="Brightwell"))}, "reporters-account"),
    ],
)
def test_text_with_a_trace_of_the_reporter_is_refused(loop: Loop, changes: dict[str, Any], reason: str) -> None:
    assert refuse(loop, read_public(loop), make_stranger(loop, **changes)) == reason


def test_reporters_own_account_is_asked_about_once_they_agreed_and_is_recorded(loop: Loop) -> None:
    reference = read_public(loop)
    own = AskedAccount(kind="email", value="sam.brightwell@mail.example")
    named = make_stranger(loop, accounts=(own,), question="Who wrote to Sam?", is_own_account=True)
    assert refuse(loop, reference, named) == "question-shows-reporter"
    ask(loop, reference, make_stranger(loop, accounts=(own,), is_own_account=True))
    with loop.desk.store.read() as connection:
        entry = connection.execute(AUDIT.select().where(AUDIT.c.action == "ask-service-case")).one()
    assert '"own_account":true' in entry.detail
    assert "brightwell" not in entry.detail


def test_other_service_is_not_told_which_service_reported(loop: Loop) -> None:
    loop.enrol(partner=Partner(partner="example-game"))
    case = read(loop)
    asking = make_stranger(loop, recipient="example-game", question="Example Chat has it too. Who is it?")
    assert refuse(loop, case.reference, asking) == "question-names-service"


def test_same_form_sent_twice_asks_once(loop: Loop) -> None:
    case, asking = read(loop), make_asking(loop)
    first, second = ask(loop, case.reference, asking), ask(loop, case.reference, asking)
    assert first.action_id == second.action_id == asking.request_id
    with loop.desk.store.read() as connection:
        assert len(list_actions(connection, case_id=get_case(connection, case.reference).case_id)) == 1


def test_nothing_typed_is_readable_on_the_disk(loop: Loop) -> None:
    case = read(loop)
    ask(loop, case.reference, make_asking(loop, question="Marmalade?", necessity="Marmalade!"))
    for path in loop.desk.paths.state.rglob("*"):
        if path.is_file():
            assert b"armalade" not in path.read_bytes(), path
