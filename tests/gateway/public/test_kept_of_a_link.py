"""Kept from a button's link: no id that the register does not list, and no context that was left out."""

import pytest

from gateway.key_state import KeyState
from gateway.public.door import EXTENSION, PublicDoor
from gateway.public.visit import find_listed, find_state
from gateway.store import StorageUnavailableError
from tests.gateway.public.context_builders import make_closed_token
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person

TOKEN = make_closed_token()


def door_of(public: PublicHouse) -> PublicDoor:
    door = public.app.extensions[EXTENSION]
    assert isinstance(door, PublicDoor)
    return door


def remembered(public: PublicHouse, person: Person) -> str | None:
    box = public.session_of(person)["state"]
    assert isinstance(box, bytes)
    state = find_state(box, key=door_of(public).state_key)
    assert state is not None
    return state.placement


@pytest.mark.parametrize(
    ("link_id", "kept"),
    [("example-chat-profile", "example-chat-profile"), ("example-chatter", None), ("sams-phone-number", None)],
)
def test_link_id_is_kept_for_the_visit_only_if_the_register_lists_it(
    public: PublicHouse, link_id: str, kept: str | None
) -> None:
    person = public.person()
    person.get(f"/?from={link_id}")
    assert remembered(public, person) == kept
    person.press("start", context=TOKEN)
    assert public.drafts_of(person)[0].placement == kept


def test_unlisted_id_does_not_take_the_place_of_the_button_that_led_here(public: PublicHouse) -> None:
    person = public.person()
    person.get("/?from=example-chat")
    person.get("/?from=example-chatter")
    assert remembered(public, person) == "example-chat"


def test_no_link_id_is_kept_while_the_register_cannot_be_read(
    public: PublicHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: KeyState) -> None:
        raise StorageUnavailableError("busy", reason="locked")

    assert find_listed(door_of(public), "example-chat") == "example-chat"
    monkeypatch.setattr(KeyState, "find_keys", fail)
    assert find_listed(door_of(public), "example-chat") is None


def test_context_that_is_left_out_takes_an_older_one_of_the_journey_with_it(public: PublicHouse) -> None:
    person = public.person()
    person.get("/")
    person.press("start", context=TOKEN)
    assert public.drafts_of(person)[0].context == TOKEN
    person.press("back")
    person.press("start", context=make_closed_token(2048), leave_out="yes")
    (draft,) = public.drafts_of(person)
    assert (draft.context, draft.signals) == (None, [])
