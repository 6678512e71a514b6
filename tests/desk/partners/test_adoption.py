"""Requests for the button at the desk: sealed, bounded, opened by a person, then invited or declined.

A stranger gets no id, no invitation and no keys of a service that the desk knows already.
"""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import Table, func, select

from gateway.desk.office.feed_client import FeedClient
from gateway.desk.office.organisations import PartnerError, find_owner_name
from gateway.desk.partners import adoption
from gateway.desk.partners.adoption import (
    AdoptionError,
    collect_adoptions,
    count_unreadable,
    decline_adoption,
    get_adoption,
    invite_adopter,
    list_adoptions,
    open_adoption,
)
from gateway.desk.partners.enrolments import invite_partner
from gateway.desk.partners.placement_register import PlacementError
from gateway.desk.store.agency_tables import ADOPTION_REQUESTS, INVITATIONS
from gateway.desk.store.audit import check_chain
from gateway.desk.store.schema import AUDIT
from gateway.desk.vault.key_folder import SEALING_KEY_FILES
from gateway.exchange.feed import MAX_ADOPTION_BODY_BYTES, Acknowledgement, ItemKind, ItemPage, ItemRow
from partner_sdk.wire.button import EXAMPLE, adoption_context
from partner_sdk.wire.canonical import encode, parse_base64url, to_base64url
from partner_sdk.wire.sealing import seal
from tests.builders import NOW, PUBLIC_ORIGIN
from tests.desk.adoption_builders import (
    CALLED,
    MARKED,
    MARKER,
    add_waiting,
    ask,
    collect,
    list_actions,
    make_row,
)
from tests.desk.desk_loop import ACTOR, Loop, page_of
from tests.desk.forgery import alarms
from tests.desk.placement_builders import agree
from tests.gateway.adoption_builders import make_id, make_request
from tests.gateway.public.person import list_files


class Scripted(FeedClient):
    """A gateway that gives these rows, page after page, regardless of acknowledgements."""

    pages: list[tuple[ItemRow, ...]]
    acknowledged: list[str]

    def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
        return page_of(*self.pages.pop(0), last=after + 1, more=bool(self.pages)) if self.pages else page_of()

    def acknowledge(self, kind: ItemKind, items: tuple[Acknowledgement, ...], **_: Any) -> int:
        self.acknowledged.extend(item.item_id for item in items)
        return len(items)


def script(loop: Loop, *pages: tuple[ItemRow, ...]) -> Scripted:
    feed = loop.make_feed(Scripted)
    assert isinstance(feed, Scripted)
    feed.pages, feed.acknowledged = list(pages), []
    return feed


def row_of(loop: Loop, number: int = 1, **changes: Any) -> ItemRow:
    post = make_row(loop.sealing_key(), number)
    row = ItemRow(address="", envelope=post.envelope, item_id=post.request_id, put_at="")
    return msgspec.structs.replace(row, **changes)


def line_of(loop: Loop, request_id: str) -> tuple[str, str | None]:
    with loop.desk.store.read() as connection:
        line = get_adoption(connection, request_id)
    return line.state, line.owner


def test_request_is_collected_once_kept_sealed_and_let_go_of_by_the_gateway(loop: Loop) -> None:
    request_id = ask(loop)

    assert [collect(loop), collect(loop)] == [1, 0]

    with loop.gateway.store.read() as connection:
        assert (
            connection.exec_driver_sql("SELECT count(*) FROM items WHERE kind = 'adoption-request'").scalar_one() == 0
        )
    with loop.desk.store.read() as connection:
        (line,) = list_adoptions(connection)
        assert check_chain(connection) > 0
    assert (line.request_id, line.state, line.owner) == (request_id, "waiting", None)
    assert list_actions(loop.desk, request_id) == [(ACTOR, "take-adoption")]
    files = list_files(loop.folder)
    texts = (MARKER, EXAMPLE.organisation, EXAMPLE.contact_email)
    assert [path for path in files for text in texts if text.encode() in path.read_bytes()] == []


def test_request_opens_for_a_person_and_that_is_noted(loop: Loop) -> None:
    request_id = ask(loop)
    collect(loop)

    assert open_adoption(loop.desk, request_id, actor="reader") == MARKED

    assert list_actions(loop.desk, request_id)[1:] == [("reader", "open-adoption")]
    assert [path for path in list_files(loop.folder) if MARKER.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("request_id", ["", "../../x", "x" * 5_000, "019ab3c5-7340-1ff3-b7d7-b412be473e63"])
def test_row_whose_id_is_none_is_not_stored(loop: Loop, request_id: str) -> None:
    feed = script(loop, (row_of(loop, item_id=request_id),))

    assert collect_adoptions(loop.desk, feed, actor=ACTOR) == 0

    with loop.desk.store.read() as connection:
        assert list_adoptions(connection, with_decided=True) == []


def seal_raw(loop: Loop, raw: bytes, number: int = 1) -> ItemRow:
    """Return a correctly sealed row with any content."""
    context = adoption_context(environment="live", request_id=make_id(number))
    return row_of(loop, number, envelope=to_base64url(seal(raw, key=loop.sealing_key(), context=context).to_bytes()))


def make_unreadable(loop: Loop, kind: str) -> ItemRow:
    """Return a row that this desk cannot read, of a kind."""
    genuine = row_of(loop)
    if kind == "foreign-key":  # the key id stands behind the first byte of an envelope: another one is nobody's
        return msgspec.structs.replace(genuine, envelope=genuine.envelope[:4] + "AAAA" + genuine.envelope[8:])
    if kind == "other-id":
        return row_of(loop, 2, item_id=make_id(1))
    if kind == "names-another":
        return seal_raw(loop, encode(make_request(2)))
    return row_of(loop, envelope=kind)


@pytest.mark.parametrize(
    "kind", ["foreign-key", "other-id", "names-another", "", "AQAA", "not base64url!", "\N{SNOWMAN}" * 50]
)
def test_row_that_does_not_open_waits_apart_and_can_be_declined(loop: Loop, kind: str) -> None:
    honest = row_of(loop, 3)
    assert collect_adoptions(loop.desk, script(loop, (make_unreadable(loop, kind), honest)), actor=ACTOR) == 1

    assert line_of(loop, make_id(1)) == ("unreadable", None)
    with loop.desk.store.read() as connection:
        assert [line.request_id for line in list_adoptions(connection)] == [honest.item_id]
        assert count_unreadable(connection) == 1
    with pytest.raises(AdoptionError) as caught:
        open_adoption(loop.desk, make_id(1), actor=ACTOR)
    assert caught.value.reason == "does-not-open"
    assert decline_adoption(loop.desk, make_id(1), reason="It cannot be read.", actor=ACTOR) is None
    assert line_of(loop, make_id(1)) == ("declined", None)


def test_request_of_a_newer_release_waits_says_what_to_do_and_can_be_declined(loop: Loop) -> None:
    raw = encode(make_request(1, service=MARKED)).replace(b'"many_children"', b'"schools_only"')
    assert collect_adoptions(loop.desk, script(loop, (seal_raw(loop, raw),)), actor=ACTOR) == 1
    assert line_of(loop, make_id(1)) == ("waiting", None)
    with pytest.raises(AdoptionError, match="Update this desk, or decline it") as caught:
        open_adoption(loop.desk, make_id(1), actor=ACTOR)
    assert caught.value.reason == "not-understood"
    assert decline_adoption(loop.desk, make_id(1), reason="Not now.", actor=ACTOR) is None


def test_request_whose_key_file_was_away_opens_once_it_is_back(loop: Loop) -> None:
    row = row_of(loop)
    files = list(loop.desk.paths.keys.glob(SEALING_KEY_FILES))
    for path in files:
        path.rename(path.with_suffix(".away"))
    assert collect_adoptions(loop.desk, script(loop, (row,)), actor=ACTOR) == 0
    for path in files:
        path.with_suffix(".away").rename(path)

    assert open_adoption(loop.desk, make_id(1), actor=ACTOR) == MARKED
    invite_adopter(loop.desk, make_id(1), owner=CALLED, actor=ACTOR, with_keys=False)
    assert line_of(loop, make_id(1)) == ("invited", CALLED)


def test_flood_that_does_not_open_fills_no_disk_and_holds_nothing_back(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "MOST_WAITING", 2)
    rows = tuple(row_of(loop, number, envelope="AQAA") for number in range(1, 5))
    assert collect_adoptions(loop.desk, script(loop, (*rows, row_of(loop, 9))), actor=ACTOR) == 1
    with loop.desk.store.read() as connection:
        kept = connection.execute(
            select(ADOPTION_REQUESTS.c.envelope).where(ADOPTION_REQUESTS.c.state == "unreadable")
        ).scalars()
        assert sorted(map(len, kept)) == [0, 0, 4, 4]


def test_envelope_over_its_bound_is_kept_as_its_hash_and_raises_an_alarm(loop: Loop) -> None:
    row = row_of(loop, envelope="A" * MAX_ADOPTION_BODY_BYTES)

    collect_adoptions(loop.desk, script(loop, (row,)), actor=ACTOR)

    with loop.desk.store.read() as connection:
        kept = connection.execute(select(ADOPTION_REQUESTS.c.envelope)).scalar_one()
    assert len(kept) < 200
    assert [kind for kind, _ in alarms(loop)] == ["adoption-too-large"]


def test_repeated_row_changes_nothing_with_any_content(loop: Loop) -> None:
    first = row_of(loop)
    feed = script(loop, (first, row_of(loop, envelope="AQAA")), (row_of(loop, envelope="AQAA"),))

    assert collect_adoptions(loop.desk, feed, actor=ACTOR) == 1

    assert open_adoption(loop.desk, make_id(1), actor=ACTOR) == MARKED


def test_feed_without_end_is_left_after_so_many_with_an_alarm(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "INTAKE", replace(adoption.INTAKE, most_items=4))
    feed = script(loop, *((row_of(loop, number, envelope="AQAA"),) for number in range(50)))

    assert collect_adoptions(loop.desk, feed, actor=ACTOR) == 0  # none of them opens

    assert len(feed.acknowledged) == 4
    assert [kind for kind, _ in alarms(loop)] == ["adoptions-endless"]


def test_no_more_is_taken_while_too_many_wait_for_a_person(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "MOST_WAITING", 2)
    for number in (1, 2):
        add_waiting(loop.desk, number)
    feed = script(loop, (row_of(loop, 3),))

    assert collect_adoptions(loop.desk, feed, actor=ACTOR) == 0

    assert feed.acknowledged == []
    assert [kind for kind, _ in alarms(loop)] == ["adoptions-endless"]


def test_clock_of_the_desk_dates_a_request_and_not_the_feed(loop: Loop) -> None:
    collect_adoptions(loop.desk, script(loop, (row_of(loop, put_at="1999-01-01T00:00:00Z"),)), actor=ACTOR)

    with loop.desk.store.read() as connection:
        assert get_adoption(connection, make_id(1)).received_at[:10] == f"{NOW:%Y-%m-%d}"


def test_service_is_entered_and_its_places_can_be_agreed(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    assert invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR, with_keys=False) == (None, None)
    with loop.desk.store.read() as connection:
        assert find_owner_name(connection, CALLED) == MARKED.organisation
    assert line_of(loop, request_id) == ("invited", CALLED)
    assert agree(loop.desk, owner=CALLED, new_owner=None).owner == CALLED


@pytest.mark.parametrize("language", ["en", "cy"])
def test_service_that_wants_to_report_is_invited_and_the_secret_is_not_in_the_mail(loop: Loop, language: Any) -> None:
    request_id = add_waiting(loop.desk, service=msgspec.structs.replace(MARKED, language=language))

    invitation, mail = invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR, with_keys=True)

    assert invitation is not None
    assert mail is not None
    assert (invitation.partner, invitation.name, mail.to) == (CALLED, "Example Chat Ltd", "safety@chat.example")
    assert parse_base64url(invitation.secret)
    assert invitation.secret not in mail.text
    assert invitation.root_fingerprint in mail.text
    assert mail.text.startswith({"en": "Hello S. ", "cy": "Helo S. "}[language])


@pytest.mark.parametrize("with_keys", [True, False])
@pytest.mark.parametrize("known_by", ["place", "request", "invitation", "keys"])
def test_id_of_a_known_owner_is_refused_to_a_stranger(loop: Loop, known_by: str, with_keys: bool) -> None:
    owner = "example-chat" if known_by == "keys" else CALLED
    if known_by == "place":
        agree(loop.desk, owner=CALLED, new_owner="Example Show")
    elif known_by == "request":
        invite_adopter(loop.desk, add_waiting(loop.desk, 1), owner=CALLED, actor=ACTOR, with_keys=True)
    elif known_by == "invitation":
        invite_partner(loop.desk, partner=CALLED, name="Example Show", origin=PUBLIC_ORIGIN, actor=ACTOR)
    before = count_rows(loop, INVITATIONS)
    request_id = add_waiting(loop.desk, 2, service=msgspec.structs.replace(MARKED, organisation="A Stranger"))

    with pytest.raises(AdoptionError) as caught:
        invite_adopter(loop.desk, request_id, owner=owner, actor=ACTOR, with_keys=with_keys)

    assert caught.value.reason == ("known-partner" if known_by == "keys" and with_keys else "known-owner")
    assert (count_rows(loop, INVITATIONS), line_of(loop, request_id)) == (before, ("waiting", None))
    assert list_actions(loop.desk, request_id) == []
    if known_by == "keys" and with_keys:  # not even a confirmation replaces the keys of a partner
        with pytest.raises(AdoptionError):
            invite_adopter(loop.desk, request_id, owner=owner, actor=ACTOR, with_keys=True, is_known_owner=True)
        return
    invite_adopter(loop.desk, request_id, owner=owner, actor=ACTOR, with_keys=with_keys, is_known_owner=True)
    with loop.desk.store.read() as connection:
        detail = connection.execute(select(AUDIT.c.detail).where(AUDIT.c.subject == request_id)).scalar_one()
    assert json.loads(detail) == {"is_known_owner": True, "owner": owner}


@pytest.mark.parametrize(("owner", "with_keys"), [("Chat 1", True), ("Chat 1", False), ("", True), ("", False)])
def test_bad_id_decides_nothing(loop: Loop, owner: str, with_keys: bool) -> None:
    request_id, before = add_waiting(loop.desk), count_rows(loop, INVITATIONS)
    with pytest.raises((PartnerError, PlacementError)):
        invite_adopter(loop.desk, request_id, owner=owner, actor=ACTOR, with_keys=with_keys)
    assert (count_rows(loop, INVITATIONS), line_of(loop, request_id)) == (before, ("waiting", None))


def test_invitation_is_not_made_when_its_request_cannot_be_decided(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction: no secret is left for an id that no request holds."""

    def fail(*_args: object, **_named: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(adoption, "_decide", fail)
    before = count_rows(loop, INVITATIONS)
    with pytest.raises(OSError, match="full"):
        invite_adopter(loop.desk, add_waiting(loop.desk), owner=CALLED, actor=ACTOR, with_keys=True)
    assert count_rows(loop, INVITATIONS) == before


def test_request_is_declined_with_a_reason_and_decided_once(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)

    mail = decline_adoption(loop.desk, request_id, reason=" We could not\n reach you. {agency}", actor=ACTOR)

    assert mail is not None
    assert "We could not reach you. {agency}" in mail.text  # braces are no format
    with loop.desk.store.read() as connection:
        line = get_adoption(connection, request_id)
    assert (line.state, line.reason, line.decided_by) == ("declined", "We could not reach you. {agency}", ACTOR)
    said = rf"declined on {NOW:%Y-%m-%d} by {ACTOR} \(We could not"
    with pytest.raises(AdoptionError, match=said):
        decline_adoption(loop.desk, request_id, reason="Again.", actor=ACTOR)
    with pytest.raises(AdoptionError, match="That is final"):
        invite_adopter(loop.desk, request_id, owner=CALLED, actor=ACTOR, with_keys=True)


@pytest.mark.parametrize("reason", ["", "  ", "…", "x" * 501, "a bell \x07"])
def test_reason_of_a_decline_is_one_line_of_words(loop: Loop, reason: str) -> None:
    request_id = add_waiting(loop.desk)
    with pytest.raises(AdoptionError):
        decline_adoption(loop.desk, request_id, reason=reason, actor=ACTOR)
    assert line_of(loop, request_id) == ("waiting", None)


def count_rows(loop: Loop, table: Table) -> int:
    with loop.desk.store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()
