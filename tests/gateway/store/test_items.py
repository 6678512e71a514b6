"""Every kind of sealed item: put once, shown to its own side alone, and deleted by the rule of its kind."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.exchange.feed import ADOPTION_REQUEST, ENROLMENT, EVIDENCE, KINDS, MAILBOX_MESSAGE, REPLY, REPORT, ItemKind
from gateway.store import Store
from gateway.store.items import (
    ConflictingInvitationError,
    ConflictingItemError,
    NoRoomError,
    StoredItem,
    StoredPlace,
    acknowledge_item,
    check_room,
    find_invitation,
    is_stored,
    list_items,
    list_own_items,
    put_invitation,
    put_item,
    put_return_place,
)
from gateway.store.reports import delete_collected
from partner_sdk.errors import FormatError
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import format_time, make_report_id, to_base64url
from tests.builders import DAY, FEED_ORIGIN, NOW, Door, House, Partner
from tests.gateway.store_builders import new_store
from tests.problem_shape import check_problem

PLACE = StoredPlace(box=b"place", token_sha256=bytes(32))
STORED = [kind for kind in KINDS.values() if kind not in {REPORT, EVIDENCE}]
TAKEN_BY_DESK = [kind for kind in STORED if kind.taken_by == "desk"]
PUT_BY_DESK = [kind for kind in STORED if kind.put_by == "desk"]
NAMED = {"ids": lambda kind: kind.name}
# Two addresses of each kind, where it has any.
ADDRESSES = {
    "enrolment": (to_base64url(b"\x01" * 32), to_base64url(b"\x02" * 32)),
    "adoption-request": ("", ""),
    "reply": ("C5H6-6S35C-3", "0000-00000-H"),
}


def one(kind: ItemKind) -> str:
    return ADDRESSES.get(kind.name, ("one-chat", "other-chat"))[0]


def other(kind: ItemKind) -> str:
    return ADDRESSES.get(kind.name, ("one-chat", "other-chat"))[1]


def make_id(number: int) -> str:
    return make_report_id(NOW, number.to_bytes(10, "big"))


# On both databases: the tests that write each statement. The rest is a rule in Python.
ON_BOTH = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def store(tmp_path: Path, database_uri: str) -> Iterator[Store]:
    """A store with places for two references."""
    store = new_store(tmp_path, uri=database_uri)
    with store.write() as connection:
        for reference in ADDRESSES["reply"]:
            put_return_place(connection, PLACE, reference=reference, expires_at=NOW + 60 * DAY)
    yield store
    store.close()


def put(store: Store, kind: ItemKind, number: int = 1, *, address: str | None = None, **changes: Any) -> str:
    wanted = {"envelope": b"sealed", "now": NOW, **changes}
    with store.write() as connection:
        address = one(kind) if address is None else address
        return put_item(connection, kind, address=address, item_id=make_id(number), **wanted)


def acknowledge(store: Store, kind: ItemKind, number: int = 1, *, address: str | None = None, days: int = 0) -> bool:
    with store.write() as connection:
        return acknowledge_item(
            connection,
            kind,
            address=one(kind) if address is None else address,
            item_id=make_id(number),
            now=NOW + days * DAY,
        )


def waiting(store: Store, kind: ItemKind, *, after: int = 0, limit: int = 10) -> list[StoredItem]:
    with store.read() as connection:
        return list_items(connection, kind, limit=limit, after=after)


def own(store: Store, kind: ItemKind, address: str, **settings: Any) -> list[str]:
    with store.read() as connection:
        return [item.item_id for item in list_own_items(connection, kind, address=address, limit=10, **settings)]


def kept(store: Store, kind: ItemKind) -> list[tuple[int | None, bytes | None]]:
    with store.read() as connection:
        query = f"SELECT acknowledged_at, envelope FROM items WHERE kind = '{kind.name}' ORDER BY position"  # noqa: S608 - our names
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def test_table_of_kinds_has_them_all() -> None:
    assert list(KINDS) == [kind.name for kind in KINDS.values()]
    assert (len(KINDS), len(STORED), len(TAKEN_BY_DESK), len(PUT_BY_DESK)) == (8, 6, 4, 2)
    assert {kind.put_by == "desk" or kind.taken_by == "desk" for kind in KINDS.values()} == {True}
    assert {kind.name for kind in KINDS.values() if kind.proves_digest} == {"report", "evidence"}


@ON_BOTH
@pytest.mark.parametrize("kind", STORED, **NAMED)
def test_item_is_stored_once_however_often_it_is_put(store: Store, kind: ItemKind) -> None:
    assert [put(store, kind), put(store, kind)] == ["stored", "known"]
    (item,) = waiting(store, kind)
    assert (item.address, item.item_id, item.put_at, item.envelope) == (one(kind), make_id(1), NOW, b"sealed")


@pytest.mark.parametrize("kind", STORED, **NAMED)
def test_other_bytes_in_the_place_of_an_item_conflict_and_the_first_stays(store: Store, kind: ItemKind) -> None:
    put(store, kind)
    with pytest.raises(ConflictingItemError) as caught:
        put(store, kind, envelope=b"other")
    assert caught.value.reason == kind.name
    with store.read() as connection, pytest.raises(ConflictingItemError):
        is_stored(connection, kind, address=one(kind), item_id=make_id(1), envelope=b"other")
    assert [item.envelope for item in waiting(store, kind)] == [b"sealed"]


@pytest.mark.parametrize("kind", PUT_BY_DESK, **NAMED)
def test_id_of_one_address_is_never_taken_by_another(store: Store, kind: ItemKind) -> None:
    put(store, kind)
    with pytest.raises(ConflictingItemError):
        put(store, kind, address=other(kind))
    assert (own(store, kind, one(kind)), own(store, kind, other(kind))) == ([make_id(1)], [])


def test_two_partners_may_choose_one_id_for_their_changes(store: Store) -> None:
    kind = KINDS["account-change"]
    assert [put(store, kind), put(store, kind, address=other(kind), envelope=b"theirs")] == ["stored", "stored"]
    assert [(item.address, item.envelope) for item in waiting(store, kind)] == [
        (one(kind), b"sealed"),
        (other(kind), b"theirs"),
    ]


def test_invitation_is_answered_once_whatever_id_the_answer_has(store: Store) -> None:
    assert [put(store, ENROLMENT, 1), put(store, ENROLMENT, 2)] == ["stored", "known"]
    with pytest.raises(ConflictingItemError):
        put(store, ENROLMENT, 3, envelope=b"other")
    assert [item.item_id for item in waiting(store, ENROLMENT)] == [make_id(1)]


@ON_BOTH
@pytest.mark.parametrize("kind", STORED, **NAMED)
def test_items_of_one_kind_are_listed_in_order_page_by_page(store: Store, kind: ItemKind) -> None:
    put(store, KINDS["account-change"] if kind is ADOPTION_REQUEST else ADOPTION_REQUEST, 8, address="")
    for number, address in ((9, one(kind)), (1, other(kind))):
        put(store, kind, number, address=address)
    first, second = waiting(store, kind)
    assert (first.item_id, second.item_id) == (make_id(9), make_id(1))
    assert waiting(store, kind, limit=1) == [first]
    assert waiting(store, kind, after=first.position) == [second]
    assert waiting(store, kind, after=second.position) == []


@ON_BOTH
@pytest.mark.parametrize("kind", PUT_BY_DESK, **NAMED)
def test_items_wait_for_their_own_address_alone_oldest_or_newest_first(store: Store, kind: ItemKind) -> None:
    for number, address in ((9, one(kind)), (5, other(kind)), (1, one(kind))):
        put(store, kind, number, address=address)
    assert own(store, kind, one(kind)) == [make_id(9), make_id(1)]
    assert own(store, kind, one(kind), is_newest_first=True) == [make_id(1), make_id(9)]
    assert own(store, kind, other(kind)) == [make_id(5)]
    assert own(store, kind, "nobody") == []


@pytest.mark.parametrize("kind", STORED, **NAMED)
def test_nobody_acknowledges_an_item_of_another_address_or_id(store: Store, kind: ItemKind) -> None:
    put(store, kind)
    assert not acknowledge(store, kind, address="third-chat")
    assert not acknowledge(store, kind, 2)
    assert len(waiting(store, kind)) == 1


@ON_BOTH
@pytest.mark.parametrize("kind", STORED, **NAMED)
def test_acknowledged_item_waits_no_more_and_leaves_what_its_kind_says(store: Store, kind: ItemKind) -> None:
    put(store, kind)
    again = kind.leaves != "nothing"
    assert [acknowledge(store, kind), acknowledge(store, kind, days=1)] == [True, again]
    assert waiting(store, kind) == []
    at = int(NOW.timestamp())
    assert kept(store, kind) == {"bytes": [(at, b"sealed")], "digest": [(at, None)], "nothing": []}[kind.leaves]
    if again:
        assert put(store, kind) == "known"  # a reply that was lost
        with pytest.raises(ConflictingItemError):
            put(store, kind, envelope=b"other")
        assert waiting(store, kind) == []


@ON_BOTH
@pytest.mark.parametrize("kind", STORED, **NAMED)
def test_bytes_go_once_they_were_acknowledged_so_long_ago_and_never_before(store: Store, kind: ItemKind) -> None:
    put(store, kind, 1)
    put(store, kind, 2, address=other(kind))
    acknowledge(store, kind, 1)
    for days, gone in ((0, 0), (1, 1), (2, 0)):
        deleted = delete_collected(store, before=NOW + days * DAY)
        assert deleted == (gone if kind.leaves == "bytes" else 0)
    assert [envelope for _, envelope in kept(store, kind)][-1:] == [b"sealed"]
    assert [item.item_id for item in waiting(store, kind)] == [make_id(2)]


def test_only_so_many_wait_of_what_anybody_may_send(store: Store) -> None:
    limit = ADOPTION_REQUEST.max_waiting
    assert limit == 300
    assert [kind.name for kind in KINDS.values() if kind.max_waiting is not None] == ["adoption-request"]
    for number in range(limit):
        put(store, ADOPTION_REQUEST, number)
    with pytest.raises(NoRoomError):
        put(store, ADOPTION_REQUEST, limit)
    assert put(store, ADOPTION_REQUEST, 0) == "known"
    acknowledge(store, ADOPTION_REQUEST, 0)
    with store.read() as connection:
        check_room(connection, ADOPTION_REQUEST)
    assert put(store, ADOPTION_REQUEST, limit) == "stored"


@ON_BOTH
def test_message_that_is_sealed_again_takes_the_place_of_the_one_that_it_names(store: Store) -> None:
    put(store, MAILBOX_MESSAGE)
    (first,) = waiting(store, MAILBOX_MESSAGE)
    acknowledge(store, MAILBOX_MESSAGE)
    (digest,) = [row[0] for row in store.look("SELECT envelope_sha256 FROM items")]
    with pytest.raises(ConflictingItemError):
        put(store, MAILBOX_MESSAGE, envelope=b"again", replaces=[bytes(32)])
    with pytest.raises(ConflictingItemError):
        put(store, MAILBOX_MESSAGE, address=other(MAILBOX_MESSAGE), envelope=b"again", replaces=[digest])
    assert put(store, MAILBOX_MESSAGE, envelope=b"again", replaces=[digest]) == "stored"
    assert put(store, MAILBOX_MESSAGE, envelope=b"again", replaces=[digest]) == "known"
    (second,) = waiting(store, MAILBOX_MESSAGE)
    assert (second.position, second.envelope) == (first.position, b"again")


@ON_BOTH
def test_invitation_holds_until_its_expiry_and_for_one_partner(store: Store) -> None:
    secret = b"\x05" * 32
    with store.write() as connection:
        for expires_at in (NOW, NOW + DAY):
            put_invitation(connection, secret_sha256=secret, partner="one", expires_at=expires_at)
        assert find_invitation(connection, secret_sha256=secret, now=NOW) == "one"
        assert find_invitation(connection, secret_sha256=secret, now=NOW + DAY) is None
        assert find_invitation(connection, secret_sha256=bytes(32), now=NOW) is None
        with pytest.raises(ConflictingInvitationError):
            put_invitation(connection, secret_sha256=secret, partner="two", expires_at=NOW + DAY)


# The feed. What it refuses unread is refused alike on each database.


def row_of(kind: ItemKind, number: int = 1) -> dict[str, str]:
    return {
        "address": one(kind),
        "envelope": to_base64url(b"sealed"),
        "item_id": make_id(number),
        "put_at": format_time(NOW),
    }


@pytest.mark.parametrize("kind", TAKEN_BY_DESK, **NAMED)
def test_desk_gets_an_item_until_it_says_that_it_holds_it(house: House, feed: Door, kind: ItemKind) -> None:
    put(house.open_gateway().store, kind)
    path = f"/feed/items/{kind.name}"
    assert feed.get(path).json == {"items": [row_of(kind)], "last": 1, "more": False, "unreadable": []}
    ack = {"address": one(kind), "item_id": make_id(1)}
    wrong = [{**ack, "item_id": make_id(2)}, {**ack, "address": "third-chat"}]

    for known in (1, 0 if kind.leaves == "nothing" else 1):
        post = {"items": [*wrong, ack], "kind": kind.name}
        assert feed.post("/feed/acknowledgements", post).json == {"acknowledged": known}

    assert feed.get(path).json["items"] == []


@pytest.mark.parametrize("kind", TAKEN_BY_DESK, **NAMED)
def test_page_of_the_feed_is_no_longer_than_its_kind_allows(house: House, feed: Door, kind: ItemKind) -> None:
    with house.open_gateway().store.write() as connection:
        for number in range(kind.max_items + 1):
            address = to_base64url(number.to_bytes(32, "big")) if kind is ENROLMENT else one(kind)
            put_item(connection, kind, address=address, item_id=make_id(number), envelope=b"box", now=NOW)
    path = f"/feed/items/{kind.name}"

    page = feed.get(path).json
    rest = feed.get(f"{path}?after={page['last']}").json

    assert (len(page["items"]), page["more"]) == (kind.max_items, True)
    assert ([row["item_id"] for row in rest["items"]], rest["more"]) == ([make_id(kind.max_items)], False)
    for query in (f"limit={kind.max_items + 1}", "limit=0", "after=-1", "after=x"):
        check_problem(feed.get(f"{path}?{query}"), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


@pytest.mark.parametrize("name", [*(kind.name for kind in PUT_BY_DESK), "nothing", "REPORT"])
def test_feed_lists_no_kind_that_the_desk_does_not_take(feed: Door, name: str) -> None:
    check_problem(feed.get(f"/feed/items/{name}"), problems.NOT_FOUND, origin=FEED_ORIGIN)
    post = {"items": [], "kind": name}
    check_problem(feed.post("/feed/acknowledgements", post), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.put_by != "desk"], **NAMED)
def test_desk_puts_no_kind_of_the_other_side(house: House, feed: Door, kind: ItemKind) -> None:
    answer = feed.post(f"/feed/items/{kind.name}", {"items": []})
    check_problem(answer, problems.NOT_FOUND, origin=FEED_ORIGIN)


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.taken_by == "desk"], **NAMED)
def test_misspelled_acknowledgement_is_refused_and_so_is_a_digest_too_many_or_too_few(
    feed: Door, kind: ItemKind
) -> None:
    ack = {"address": "example-chat", "item_id": make_id(1)}
    proven = {**ack, "sha256": "0" * 64}
    right, wrong = (proven, ack) if kind.proves_digest else (ack, proven)
    whole = {"items": [right], "kind": kind.name}
    assert feed.post("/feed/acknowledgements", whole).json == {"acknowledged": 0}
    for body in (
        {"items": [wrong], "kind": kind.name},
        {"items": [{"item_id": make_id(1)}], "kind": kind.name},
        {"items": "x", "kind": kind.name},
        {"items": [right]},
        {**whole, "more": 1},
        {"items": [right] * 1001, "kind": kind.name},
        *([] if kind is REPORT else [{**whole, "is_withdrawn": True}]),
    ):
        check_problem(feed.post("/feed/acknowledgements", body), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


@pytest.mark.parametrize("kind", TAKEN_BY_DESK, **NAMED)
def test_feed_gives_items_to_nobody_but_the_desk(house: House, partner: Partner, kind: ItemKind) -> None:
    put(house.open_gateway().store, kind)
    app = house.open_app("feed")
    ack = {"items": [{"address": one(kind), "item_id": make_id(1)}], "kind": kind.name}
    for key in (None, partner.submission_key):
        door = Door(app, FEED_ORIGIN, house.clock, key)
        check_problem(door.get(f"/feed/items/{kind.name}"), problems.NOT_AUTHORISED, origin=FEED_ORIGIN)
        check_problem(door.post("/feed/acknowledgements", ack), problems.NOT_AUTHORISED, origin=FEED_ORIGIN)
    assert len(house.items(kind)) == 1


@pytest.mark.parametrize("kind", KINDS.values(), **NAMED)
def test_address_of_a_kind_has_one_spelling(kind: ItemKind) -> None:
    kind.check_address(one(kind))
    for wrong in ("Not A Partner", "../x", "public", " "):
        with pytest.raises(FormatError):
            kind.check_address(wrong)


@ON_BOTH
def test_reply_waits_only_where_somebody_can_return(store: Store) -> None:
    assert put(store, REPLY, address="C5H6-6S35C-4") == "no-place"
    assert put(store, REPLY, now=NOW + timedelta(days=60)) == "no-place"
    assert kept(store, REPLY) == []


@ON_BOTH
@pytest.mark.parametrize("moment", ["1000000000000000", "-1000000000000000"])
def test_altered_time_keeps_no_item_back(store: Store, moment: str) -> None:
    put(store, ENROLMENT)
    with store.write() as connection:
        connection.exec_driver_sql(f"UPDATE items SET put_at = {moment}")  # noqa: S608 - our own numbers
    assert [item.item_id for item in waiting(store, ENROLMENT)] == [make_id(1)]


def test_altered_time_of_another_type_keeps_no_item_back(store: Store) -> None:
    """On SQLite alone: PostgreSQL's columns have a type."""
    put(store, ENROLMENT)
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE items SET put_at = 'soon'")
    assert [item.item_id for item in waiting(store, ENROLMENT)] == [make_id(1)]
