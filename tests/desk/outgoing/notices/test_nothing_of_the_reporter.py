"""Nothing of a person who reported is in anything that a service or partner gets, whatever its kind.

Packages and redirected reports to police and other bodies are the exception: they carry the story, and the name too
unless it is left out. Every kind of message has a row here, so that a new one fails until it is looked at.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.actions.ledger import open_body
from gateway.desk.cases.closing import schedule_outcome
from gateway.desk.cases.model import CaseError, get_case
from gateway.desk.digests.invitations import draft_invitation, parse_invitation, print_invitation
from gateway.desk.digests.ledger import list_records
from gateway.desk.digests.making import DigestOrder, make_all
from gateway.desk.digests.overview import OverviewOrder, make_overview
from gateway.desk.keyring.key_set import Year, parse_period
from gateway.desk.office.people.permissions import Role
from gateway.desk.outgoing.referrals import LONGEST_WAIT, Referral, draft_referral
from gateway.desk.outgoing.service_alerts import AlertDraft, draft_alert, post_entry, release_alone
from gateway.desk.store.agency_tables import MAILBOX_MESSAGES, STAGES
from gateway.desk.store.schema import CASES
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.mailbox import MessageKind
from tests.desk.asking_builders import ask, make_preservation, make_stranger
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.digests.digest_builders import QUARTER, add_cases, seed_noise
from tests.desk.industry_builders import read, read_mailbox
from tests.desk.notice_builders import CONTACT, add_referable, make_reachable
from tests.desk.outbox_builders import send_out
from tests.desk.outgoing.notices.test_referrals import release
from tests.desk.outgoing.packages.package_forms import draft as draft_package
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess
from tests.public_report_builders import make_child_details, make_contact, make_known_person

MANY = "many-reports"
# The person, the child and the ways to reach them; then their own words.
PERSON = {
    "name": "Zorblatt Quimby",
    "child": "Wilhelmina",
    "email": "zorblatt@quimby.example",
    "phone": "07700 900456",
    "safe word": "Periwinkle",
    "school": "Thistlewood",
    "not to know": "Great-uncle Ambrose",
}
STORY = "Yesterday after supper he wrote that I should dance for him in the garden."
REPORT = {
    "name": PERSON["name"],
    "child": make_child_details(name=PERSON["child"], school=PERSON["school"]),
    "contact": make_contact(
        email=PERSON["email"],
        phone=PERSON["phone"],
        safe_word=PERSON["safe word"],
        who_must_not_know=PERSON["not to know"],
        may_say_who_we_are="yes",
        ways=("email",),
    ),
    "person": make_known_person(app="Example Chat", handle="Night_Owl7"),
    "reply_key": "A" * 1622,
    "story": STORY,
}
WORDS = AlertDraft(
    pattern="Adults ask for a dance on video.",
    advice="Warn before a video call with a stranger.",
    audience="all",
    lasts="30",
    services=(),
)
# The kinds that this test sends, and those that hold nothing of any case but the recipient's own reports: a notice of a
# report that was set aside, a line to try a key, and that a period has no digest.
SENT: frozenset[MessageKind] = frozenset(
    {
        *("alert", "information-request", "outcome", "preservation-request"),
        *("terms-referral", "thread-message"),
    }
)
FIGURES: frozenset[MessageKind] = frozenset({"digest", "overview"})
OWN: frozenset[MessageKind] = frozenset({"digest-not-published", "set-aside", "welcome"})
TO_POLICE: frozenset[MessageKind] = frozenset({"package"})


@pytest.fixture
def reachable(loop: Loop) -> Loop:
    loop.desk = make_reachable(loop.desk)
    return loop


@pytest.fixture
def seeded_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    seed_noise(monkeypatch)


@pytest.fixture
def case_id(reachable: Loop) -> str:
    return add_referable(reachable.desk, about=reachable.partner.partner, report=REPORT)


def list_marks(loop: Loop, case_id: str) -> list[str]:
    """Return everything that points to the person: also the words of the story, and the references."""
    with loop.desk.store.read() as connection:
        case = get_case(connection, case_id)
    words = STORY.split()
    runs = [" ".join(words[place : place + 4]) for place in range(len(words) - 3)]
    return [*PERSON.values(), *PERSON["name"].split(), *runs, case.reference, case.report_id, case_id, "A" * 40]


def find_marks(raw: bytes, marks: list[str]) -> set[str]:
    text = unicodedata.normalize("NFC", raw.decode("utf-8", "replace")).casefold()
    return {one for one in marks if one.casefold() in text}


def list_bodies(loop: Loop) -> Iterator[tuple[MessageKind, bytes]]:
    for message in read_mailbox(loop):
        yield message.kind, parse_base64url(message.body)


def test_every_kind_of_message_is_looked_at_here() -> None:
    kinds = [*SENT, *FIGURES, *OWN, *TO_POLICE]
    assert sorted(kinds) == sorted(get_args(MessageKind))


def test_marks_are_found_where_they_are(reachable: Loop, case_id: str) -> None:
    marks = list_marks(reachable, case_id)
    assert len(marks) >= 20
    assert all(find_marks(f"x {one.upper()} y".encode(), marks) for one in marks)


def test_messages_to_services_hold_nothing_of_the_person(reachable: Loop, case_id: str) -> None:
    desk, partner = reachable.desk, reachable.partner.partner
    marks = list_marks(reachable, case_id)
    own = read(reachable)  # the partner's own report
    assess(desk, own.case_id)
    # About the child's own report: by the single point of contact, who names an account and neither case nor person.
    ask(reachable, case_id, make_stranger(reachable))
    ask(reachable, case_id, make_preservation(reachable))
    schedule_outcome(desk, own.case_id, outcome="used", hold_until=None, actor=ACTOR)
    release(desk, draft_referral(desk, case_id, Referral("username", "Night_Owl7", "pressure"), actor=ACTOR))
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(crisis=True))
    alert_id = draft_alert(desk, replace(WORDS, services=(partner,), case=case_id), actor=ACTOR)
    release_alone(desk, alert_id, actor=ACTOR)
    send_out(desk, "stage")
    send_out(desk, "message")
    post_entry(desk, alert_id, services=(partner,), text="Look at new accounts.", actor=ACTOR)
    reachable.clock.now += LONGEST_WAIT
    reachable.publish()
    send_out(desk, "message")
    bodies = list(list_bodies(reachable))
    assert {kind for kind, _ in bodies} == SENT
    for kind, raw in bodies:
        assert find_marks(raw, marks) == set(), kind
    with desk.store.read() as connection:
        stages = connection.execute(select(STAGES)).all()
        lists = connection.execute(select(MAILBOX_MESSAGES.c.message_id, MAILBOX_MESSAGES.c.kind)).all()
    assert stages
    assert find_marks(str([*stages, *lists]).encode(), marks) == set()


@pytest.mark.parametrize("mark", [*PERSON.values(), "Zorblatt", "he wrote that I should dance for", "reference"])
def test_typed_words_that_point_to_the_person_are_refused(reachable: Loop, case_id: str, mark: str) -> None:
    with reachable.desk.store.read() as connection:
        mark = get_case(connection, case_id).reference if mark == "reference" else mark
    services = (reachable.partner.partner,)
    for changes in ({"pattern": f"A child wrote: {mark}."}, {"advice": f"Look for {mark} first."}):
        texts = {"pattern": WORDS.pattern, "advice": WORDS.advice, **changes}
        alert = AlertDraft(**texts, audience="all", lasts="7", services=services, case=case_id)
        with pytest.raises(CaseError) as caught:
            draft_alert(reachable.desk, alert, actor=ACTOR)
        assert caught.value.reason == "shows-reporter"


@pytest.mark.usefixtures("seeded_noise")
def test_figures_and_letters_hold_nothing_of_the_person(reachable: Loop, case_id: str) -> None:
    desk = reachable.desk
    marks = list_marks(reachable, case_id)
    counted = {"kind": "grooming", "outcome": "used", "age_band": "13_15"}
    times = {"received_at": "2026-08-01T08:00:00Z", "closed_at": "2026-08-02T08:00:00Z"}
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(about=MANY, **counted, **times))
    add_cases(desk.store, 150, about=MANY)
    add_cases(desk.store, 150, about=reachable.partner.partner)
    make_all(desk.store, DigestOrder(quarter=QUARTER, environment="live", made_by=ACTOR), clock=desk.clock)
    with desk.store.read() as connection:
        bodies = [one.body for one in list_records(connection) if one.body is not None]
    assert len(bodies) == 2
    for raw in bodies:
        assert find_marks(raw, marks) == set()
    letter = parse_invitation(
        open_body(desk, draft_invitation(desk, MANY, channel="letter", to="1 Road", actor=ACTOR), actor=ACTOR)
    )
    assert CONTACT in letter.text
    for raw in (letter.text.encode(), print_invitation(letter, agency="The agency")):
        assert find_marks(raw, marks) == set()


@pytest.mark.usefixtures("seeded_noise")
def test_overview_holds_nothing_of_the_person(reachable: Loop, case_id: str) -> None:
    desk, year = reachable.desk, parse_period("2025")
    assert isinstance(year, Year)
    marks = list_marks(reachable, case_id)
    times = {"received_at": "2025-02-01T08:00:00Z", "closed_at": "2025-02-02T08:00:00Z"}
    counted = {"kind": "grooming", "outcome": "used", "age_band": "13_15"}
    with desk.store.write() as connection:
        connection.execute(update(CASES).where(CASES.c.case_id == case_id).values(about=MANY, **counted, **times))
    for service in (MANY, "others", "third"):
        add_cases(desk.store, 100, about=service, **times)
    for period in (*year.quarters, year):
        make_all(desk.store, DigestOrder(quarter=period, environment="live", made_by=ACTOR), clock=desk.clock)
    record = make_overview(desk.store, OverviewOrder(year=year, environment="live", made_by=ACTOR), clock=desk.clock)
    assert record.body is not None
    assert find_marks(record.body, marks) == set()


@pytest.mark.parametrize(("kind", "reporter"), [("package", "named"), ("redirect", "left_out")])
def test_package_to_police_is_the_exception_and_says_so(reachable: Loop, kind: str, reporter: str) -> None:
    desk = reachable.desk
    maker = Browser(desk).sign_in(ACTOR, list(Role))
    case_id = add_referable(desk, report=REPORT, region="england", assessed={"urgent_dissemination": "yes"})
    chosen = {"destination": "iwf", "legal": ["agreed"]} if kind == "redirect" else {}
    action = draft_package(desk, maker, case_id, kind=kind, reporter=reporter, officer=ACTOR, **chosen)
    raw = open_body(desk, action, actor=ACTOR)
    person = [PERSON["name"], PERSON["email"], PERSON["phone"], PERSON["safe word"]]
    story = "dance for him in the garden"
    assert find_marks(raw, [story]) == {story}
    assert find_marks(raw, person) == (set(person) if reporter == "named" else set())
