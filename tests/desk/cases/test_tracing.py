"""Texts to services are checked against every report of the person; in doubt they stay here."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from gateway.desk.cases.actions.model import ActionError, list_actions
from gateway.desk.cases.model import CaseError, get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.search import check_outgoing, list_case_reports
from gateway.desk.outgoing.referrals import Referral, draft_referral
from gateway.desk.outgoing.service_alerts import AlertDraft, draft_alert
from gateway.desk.store.schema import IMPORTED_REPORTS, REPORTS
from tests.builders import Partner, make_clear_fields
from tests.desk.asking_builders import ask, make_stranger
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import find, read
from tests.desk.notice_builders import make_reachable
from tests.desk.outbox_builders import send_out
from tests.desk.outgoing.notices.test_asking import read_public
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess, refused
from tests.public_report_builders import make_contact

WORDS = "Someone asks for a dance on video."
MORE_THAN_ANY_PAGE_OPENS = 22


def add(loop: Loop, reference: str, **changes: Any) -> str:
    """Add to a report as its person, collect, and return the reference of the addition."""
    clear = make_clear_fields("public", kind="supplement", earlier_reference=reference)
    values: dict[str, Any] = {"name": "", "contact": make_contact(), "danger": "", "age_band": "", **changes}
    return loop.send_public(clear=clear, **values).reference


def damage(loop: Loop, reference: str) -> None:
    """Leave a report whose envelope does not open."""
    with loop.desk.store.write() as connection:
        changed = [
            connection.execute(update(table).where(table.c.reference == reference).values(envelope=b"x")).rowcount
            for table in (REPORTS, IMPORTED_REPORTS)
        ]
    assert sum(changed) == 1


def request(loop: Loop, reference: str, text: str) -> None:
    ask(loop, reference, make_stranger(loop, question=text))


def alert(loop: Loop, reference: str, text: str) -> None:
    words = {"pattern": text, "advice": "Warn people.", "audience": "all", "lasts": "7"}
    draft_alert(loop.desk, AlertDraft(**words, services=("example-chat",), case=reference), actor=ACTOR)


def refer(loop: Loop, reference: str, text: str) -> None:
    assess(loop.desk, find(loop, reference).case_id)
    # An account is one word.
    account = "".join(text.split())
    draft_referral(make_reachable(loop.desk), reference, Referral("username", account, "pressure"), actor=ACTOR)


def refuse(act: Callable[[Loop, str, str], None], loop: Loop, reference: str, text: str) -> str:
    with pytest.raises((CaseError, ActionError)) as caught:
        act(loop, reference, text)
    return caught.value.reason.removeprefix("question-")


@pytest.mark.parametrize("act", [request, alert, refer])
def test_report_that_does_not_open_keeps_every_text_here(loop: Loop, act: Callable[[Loop, str, str], None]) -> None:
    reference = read_public(loop)
    added = add(loop, reference)
    loop.collect()
    damage(loop, added)
    with refused("not-checked") as caught:
        act(loop, reference, WORDS)
    assert added in str(caught.value)


def test_thread_of_a_request_waits_too_while_a_report_does_not_open(loop: Loop) -> None:
    reference = read_public(loop)
    action = ask(loop, reference, make_stranger(loop))
    send_out(loop.desk, "message")
    added = add(loop, reference)
    loop.collect()
    damage(loop, added)
    browser = Browser(loop.desk).sign_in(ACTOR)
    place = f"/actions/{action.action_id}"
    browser.get(place)
    refused = browser.post(f"{place}/write", entry_kind="note", entry_text=WORDS)
    assert (refused.status_code, f"Report {added} belongs to this case" in refused.text) == (409, True)


@pytest.mark.parametrize("act", [request, alert])
def test_name_in_the_earlier_report_of_the_same_person_is_refused(
    loop: Loop, act: Callable[[Loop, str, str], None]
) -> None:
    first = read_public(loop)
    added = add(loop, first)
    beside = add(loop, first, name="Zebedee")
    loop.collect()
    open_case(loop.desk, added, actor=ACTOR)
    assert refuse(act, loop, added, "Who wrote to Brightwell?") == "shows-reporter"
    assert refuse(act, loop, added, "Who wrote to Zebedee?") == "shows-reporter"
    assert refuse(act, loop, added, f"Who wrote before {first}?") == "shows-reporter"
    assert refuse(act, loop, added, f"Who wrote before {beside}?") == "shows-reporter"


def test_report_after_very_many_others_counts_too(loop: Loop) -> None:
    reference = read_public(loop)
    for _ in range(MORE_THAN_ANY_PAGE_OPENS):
        add(loop, reference)
    loop.collect()
    loop.clock.now = loop.clock.now.replace(hour=23)
    add(loop, reference, name="Zebedee")
    loop.collect()
    with loop.desk.store.read() as connection:
        assert len(list_case_reports(connection, get_case(connection, reference))) == MORE_THAN_ANY_PAGE_OPENS + 2
    assert refuse(request, loop, reference, "Who wrote to Zebedee?") == "shows-reporter"


@pytest.mark.parametrize("act", [request, alert])
def test_no_text_names_another_service_although_it_reported_nothing(
    loop: Loop, act: Callable[[Loop, str, str], None]
) -> None:
    loop.enrol(partner=Partner(partner="example-game"))
    assert refuse(act, loop, read_public(loop), "They met on example-game.") == "names-service"


def test_thread_of_a_request_names_no_other_service(loop: Loop) -> None:
    loop.enrol(partner=Partner(partner="example-game"))
    action = ask(loop, read_public(loop), make_stranger(loop))
    send_out(loop.desk, "message")
    browser = Browser(loop.desk).sign_in(ACTOR)
    place = f"/actions/{action.action_id}"
    browser.get(place)
    refused = browser.post(f"{place}/write", entry_kind="note", entry_text="They met on example-game.")
    assert (refused.status_code, 'href="#entry_text"' in refused.text) == (409, True)
    # Its own name is no news to the recipient.
    assert browser.post(f"{place}/write", entry_kind="note", entry_text="For Example Chat.").status_code == 303


def test_own_report_of_the_recipient_is_not_hidden_from_it(loop: Loop) -> None:
    case = read(loop)
    damage(loop, case.reference)
    text = {"Text": f"About {case.reference} from Example Chat."}
    check_outgoing(loop.desk, text, about=case, actor=ACTOR, recipient="example-chat")
    with refused("not-checked"):
        check_outgoing(loop.desk, {"Text": WORDS}, about=case, actor=ACTOR)
    with loop.desk.store.read() as connection:
        assert list_actions(connection, case_id=case.case_id) == []
