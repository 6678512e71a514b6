"""Sealing a service's context of one page: from its own folder, in many threads, never in the way of the button."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.exchange.page_contexts import parse_context_token, verify_page_context
from partner_sdk.button.page_contexts import DEFAULT_LIFETIME_SECONDS, PageContexts, PageFacts, parse_page_facts
from partner_sdk.errors import FormatError, KeySetError, LocalStateError, ReportError, SealingError
from partner_sdk.key_files import KeyRole, new_key, write_key_file
from partner_sdk.wire.button import (
    MAX_LIFETIME_SECONDS,
    MAX_TOKEN_CHARACTERS,
    ContextAccount,
    ContextMessage,
    PageContext,
    context_seal_context,
)
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.signing import key_id_of
from tests.builders import DAY, NOW, PUBLIC_ORIGIN, Agency, Partner, sealing_key_of
from tests.builders.vault import make_vault
from tests.sdk.sdk_builders import ScriptedGateway, make_state, session_for

EXAMPLE = Path(__file__).parents[3] / "partner_sdk" / "examples" / "page-context.json"
AGENCY = Agency()
PLACEMENT = "example-chat-dm"
FACTS = parse_page_facts(EXAMPLE.read_bytes())
LONG = PageFacts(
    placement=PLACEMENT,
    surface="chat",
    about=(ContextAccount(account_id="a" * 120, display_name="n" * 80), ContextAccount(account_id="b")),
    messages=tuple(ContextMessage(message_id=f"{place:0120d}") for place in range(20)),
)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now


def make_folder(folder: Path, **key_set: Any) -> Path:
    """Make a partner's folder that has fetched a key set."""
    state = make_state(folder, agency=AGENCY)
    state.accept_key_set(AGENCY.bundle(**key_set), now=NOW)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "state")


def open_token(token: str, *, context_key: bytes | None = None) -> PageContext:
    """Open a token as the desk does."""
    sealed = parse_context_token(token)
    bound = context_seal_context(environment="live", partner=sealed.partner, context_id=sealed.context_id)
    raw = make_vault(AGENCY.key(KeyRole.SEALING)).open_context(sealed.envelope, context=bound)
    public_key = context_key or parse_base64url(Partner().key(KeyRole.CONTEXT).public_key)
    return verify_page_context(
        raw,
        keys={key_id_of(public_key): public_key},
        partner=sealed.partner,
        context_id=sealed.context_id,
        environment="live",
    )


def open_contexts(folder: Path, clock: Clock | None = None, said: list[str] | None = None) -> PageContexts:
    return PageContexts.open(folder, clock=clock or Clock(), notify=(said if said is not None else []).append)


def test_token_opens_at_the_desk_with_all_that_was_said_of_the_page(folder: Path) -> None:
    context = open_token(open_contexts(folder).make_token(FACTS))
    assert context.viewer == ContextAccount(account_id="acc-20417", display_name="sam.example")
    assert (context.about, context.messages) == (FACTS.about, FACTS.messages)
    assert (context.conversation_id, context.surface, context.placement) == ("conv-5531", "direct_message", PLACEMENT)
    assert (context.partner, context.environment) == (Partner().partner, "live")
    assert parse_time(context.issued_at) == NOW
    assert parse_time(context.expires_at) == NOW + timedelta(seconds=DEFAULT_LIFETIME_SECONDS)


def test_each_rendering_of_a_page_gets_an_id_of_its_own(folder: Path) -> None:
    contexts = open_contexts(folder)
    ids = {parse_context_token(contexts.make_token(FACTS)).context_id for _ in range(20)}
    assert len(ids) == 20


def test_link_names_the_placement_before_the_mark_and_the_context_behind_it(folder: Path) -> None:
    said: list[str] = []
    href = open_contexts(folder, said=said).make_href(FACTS)
    plain, token = href.split("#context=")
    assert plain == f"{PUBLIC_ORIGIN}/?from={PLACEMENT}"
    assert open_token(token).placement == PLACEMENT
    assert len(token) <= MAX_TOKEN_CHARACTERS
    assert said == []


@pytest.mark.parametrize(
    ("days", "key_set", "kind", "reason"),
    [
        (91, {}, KeySetError, "expired"),
        (0, {"sealing_keys": "none-active"}, SealingError, "no-active-key"),
    ],
)
def test_without_a_key_in_force_a_token_is_refused_and_the_link_is_plain(
    tmp_path: Path, days: int, key_set: dict[str, Any], kind: type[Exception], reason: str
) -> None:
    if key_set:
        retired = sealing_key_of(AGENCY.key(KeyRole.SEALING), seal_until=NOW - DAY / 2, open_until=NOW + 3 * DAY)
        key_set = {"sealing_keys": (retired,)}
    clock, said = Clock(), []
    contexts = open_contexts(make_folder(tmp_path / "state", **key_set), clock, said)
    clock.now += days * DAY
    with pytest.raises(kind) as refused:
        contexts.make_token(FACTS)
    assert refused.value.reason == reason
    assert contexts.make_href(FACTS) == contexts.make_plain_href(PLACEMENT) == f"{PUBLIC_ORIGIN}/?from={PLACEMENT}"
    assert len(said) == 1
    assert reason in said[0]


def test_folder_whose_key_set_is_old_opens_all_the_same(folder: Path) -> None:
    clock = Clock()
    clock.now += 91 * DAY
    assert open_contexts(folder, clock).make_href(FACTS).endswith(PLACEMENT)


def test_folder_that_never_fetched_a_key_set_is_refused(tmp_path: Path) -> None:
    make_state(tmp_path / "state", agency=AGENCY)
    with pytest.raises(LocalStateError) as refused:
        open_contexts(tmp_path / "state")
    assert refused.value.reason == "no-key-set"


@pytest.mark.parametrize("seconds", [0, -1, MAX_LIFETIME_SECONDS + 1])
def test_life_that_is_none_or_longer_than_a_day_is_refused(folder: Path, seconds: int) -> None:
    with pytest.raises(FormatError):
        open_contexts(folder).make_token(FACTS, lifetime_seconds=seconds)
    open_contexts(folder).make_token(FACTS, lifetime_seconds=MAX_LIFETIME_SECONDS)


def test_page_that_says_too_much_is_told_what_to_leave_out_and_then_fits(folder: Path) -> None:
    contexts = open_contexts(folder)
    with pytest.raises(ReportError) as refused:
        contexts.make_token(LONG)
    assert refused.value.reason == "too-large"
    pointers = [fault.pointer for fault in refused.value.faults]
    assert 1 <= len(pointers) < 20
    assert pointers == [f"#/messages/{place}" for place in range(19, 19 - len(pointers), -1)]
    shorter = PageFacts(
        placement=LONG.placement,
        surface=LONG.surface,
        about=LONG.about,
        messages=LONG.messages[: -len(pointers)],
    )
    assert open_token(contexts.make_token(shorter)).messages == shorter.messages
    # No more is asked for than is needed.
    one_more = PageFacts(
        placement=LONG.placement,
        surface=LONG.surface,
        about=LONG.about,
        messages=LONG.messages[: 1 - len(pointers) or None],
    )
    with pytest.raises(ReportError):
        contexts.make_token(one_more)


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        (PageFacts(placement="Example", surface="chat"), "#/placement"),
        (PageFacts(placement=PLACEMENT, surface="forum"), "#/surface"),  # type: ignore[arg-type] # wrong on purpose
        (
            PageFacts(placement=PLACEMENT, surface="chat", viewer=ContextAccount(account_id="a" * 121)),
            "#/viewer/account_id",
        ),
        (
            PageFacts(placement=PLACEMENT, surface="chat", about=(ContextAccount(account_id=""),)),
            "#/about/0/account_id",
        ),
        (
            PageFacts(
                placement=PLACEMENT, surface="chat", messages=(ContextMessage(message_id="m", sent_at="yesterday"),)
            ),
            "#/messages/0/sent_at",
        ),
        (
            PageFacts(placement=PLACEMENT, surface="chat", messages=(ContextMessage(message_id="m"),) * 21),
            "#/messages",
        ),
    ],
)
def test_fact_that_no_context_can_hold_is_refused_with_its_place(folder: Path, facts: PageFacts, pointer: str) -> None:
    with pytest.raises(ReportError) as refused:
        open_contexts(folder).make_token(facts)
    assert [fault.pointer for fault in refused.value.faults] == [pointer]


def test_many_threads_make_tokens_while_the_keys_are_renewed(folder: Path) -> None:
    contexts = open_contexts(folder)
    tokens: list[str] = []
    gateway = ScriptedGateway(*[(200, {}, AGENCY.bundle())] * 5)

    def make_some() -> None:
        tokens.extend(contexts.make_token(FACTS) for _ in range(10))

    threads = [threading.Thread(target=make_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    renewed = [contexts.renew(session=session_for(gateway)) for _ in range(5)]
    for thread in threads:
        thread.join()
    assert renewed == [True] * 5
    gateway.check_used(5)
    assert len({open_token(token).context_id for token in tokens}) == 40


def test_nothing_is_asked_of_the_network_while_pages_are_rendered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    contexts = open_contexts(folder)
    monkeypatch.setattr(requests.Session, "send", refuse)
    assert contexts.make_href(FACTS)


def test_renewal_that_fails_is_told_and_the_keys_before_go_on(folder: Path) -> None:
    said: list[str] = []
    contexts = open_contexts(folder, said=said)
    gateway = ScriptedGateway(requests.ConnectionError("gone"))
    assert contexts.renew(session=session_for(gateway)) is False
    assert len(said) == 1
    assert open_token(contexts.make_token(FACTS))


def test_renewal_takes_up_a_context_key_that_was_rotated_in(folder: Path) -> None:
    contexts = open_contexts(folder)
    new = new_key(KeyRole.CONTEXT, environment="live", created_at="2026-11-25T08:30:00Z")
    (folder / "keys" / "context.key").unlink()
    write_key_file(folder / "keys" / "context.key", new)
    contexts.renew(session=session_for(ScriptedGateway((200, {}, AGENCY.bundle()))))
    assert open_token(contexts.make_token(FACTS), context_key=parse_base64url(new.public_key))


def test_renewal_goes_on_in_a_thread_until_the_block_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contexts, times = open_contexts(folder), threading.Semaphore(0)
    monkeypatch.setattr(PageContexts, "renew", lambda *_, **__: times.release())
    with contexts.renewing(every_seconds=0.001):
        assert all(times.acquire(timeout=5) for _ in range(3))
        (thread,) = (one for one in threading.enumerate() if one.name == "report-abuse-key-set")
    thread.join(timeout=5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("changed", "pointer", "name"),
    [
        ({"synthetic_marker": 1}, "#", "conversation_id"),
        ({"viewer": {"account_id": "a", "synthetic_marker": 1}}, "#/viewer", "display_name"),
        ({"messages": [{"message_id": "m", "synthetic_marker": 1}]}, "#/messages/0", "sent_at"),
    ],
)
def test_field_too_many_is_told_by_the_names_that_may_stand_there(
    changed: dict[str, Any], pointer: str, name: str
) -> None:
    raw = json.dumps({**json.loads(EXAMPLE.read_bytes()), **changed}).encode()
    with pytest.raises(ReportError) as caught:
        parse_page_facts(raw)
    (fault,) = caught.value.faults
    assert fault.pointer == pointer
    assert name in fault.detail
    assert "synthetic_marker" not in f"{caught.value} {fault.detail}"
