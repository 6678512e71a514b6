"""Requests to show the button come to the desk: sealed, bounded, from a feed that is not believed."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from gateway.desk.audit import check_chain
from gateway.desk.feed_client import FeedClient
from gateway.desk.partners import adoptions
from gateway.desk.partners.adoption_decisions import decline_adoption
from gateway.desk.partners.adoptions import (
    AdoptionError,
    collect_adoptions,
    get_adoption,
    list_adoptions,
    open_adoption,
)
from gateway.desk.store.placement_tables import ADOPTION_REQUESTS
from partner_sdk.wire.adoption import EXAMPLE, MAX_ADOPTION_BODY_BYTES
from partner_sdk.wire.items import Acknowledgement, ItemKind, ItemPage, ItemRow
from tests.builders import NOW
from tests.desk.adoption_builders import (
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
from tests.gateway.adoption_builders import make_id
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


@pytest.mark.parametrize("envelope", ["", "AQAA", "not base64url!", "\N{SNOWMAN}" * 50])
def test_row_that_does_not_open_is_kept_told_and_can_be_declined(loop: Loop, envelope: str) -> None:
    collect_adoptions(loop.desk, script(loop, (row_of(loop, envelope=envelope),)), actor=ACTOR)

    with pytest.raises(AdoptionError) as caught:
        open_adoption(loop.desk, make_id(1), actor=ACTOR)
    assert caught.value.reason == "does-not-open"
    assert decline_adoption(loop.desk, make_id(1), reason="It cannot be read.", actor=ACTOR) is None
    assert line_of(loop, make_id(1)) == ("declined", None)


def test_box_under_another_id_than_its_own_does_not_open(loop: Loop) -> None:
    swapped = row_of(loop, 2, item_id=make_id(1))
    collect_adoptions(loop.desk, script(loop, (swapped,)), actor=ACTOR)

    with pytest.raises(AdoptionError):
        open_adoption(loop.desk, make_id(1), actor=ACTOR)


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
    monkeypatch.setattr(adoptions, "INTAKE", replace(adoptions.INTAKE, most_items=4))
    feed = script(loop, *((row_of(loop, number, envelope="AQAA"),) for number in range(50)))

    assert collect_adoptions(loop.desk, feed, actor=ACTOR) == 4

    assert len(feed.acknowledged) == 4
    assert [kind for kind, _ in alarms(loop)] == ["adoptions-endless"]


def test_no_more_is_taken_while_too_many_wait_for_a_person(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoptions, "MOST_WAITING", 2)
    for number in (1, 2):
        add_waiting(loop.desk, number)
    feed = script(loop, (row_of(loop, 3),))

    assert collect_adoptions(loop.desk, feed, actor=ACTOR) == 0

    assert feed.acknowledged == []
    assert [kind for kind, _ in alarms(loop)] == ["adoptions-endless"]


def test_row_that_was_altered_at_the_desk_does_not_open(loop: Loop) -> None:
    request_id = add_waiting(loop.desk)
    with loop.desk.store.write() as connection:
        connection.execute(update(ADOPTION_REQUESTS).values(envelope=b"\xff\xfe"))

    with pytest.raises(AdoptionError):
        open_adoption(loop.desk, request_id, actor=ACTOR)


def test_clock_of_the_desk_dates_a_request_and_not_the_feed(loop: Loop) -> None:
    collect_adoptions(loop.desk, script(loop, (row_of(loop, put_at="1999-01-01T00:00:00Z"),)), actor=ACTOR)

    with loop.desk.store.read() as connection:
        assert get_adoption(connection, make_id(1)).received_at[:10] == f"{NOW:%Y-%m-%d}"
