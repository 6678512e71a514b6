"""The vault destroys nothing on another process's word: it verifies two people's signatures of the list itself."""

import hashlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_report
from gateway.desk.keyring.publication import share_passkeys
from gateway.desk.office.people.passkeys import end_passkey, list_passkeys
from gateway.desk.office.wiring import Desk
from gateway.desk.retention.destruction import finish_due, stop_destruction
from gateway.desk.retention.lists import DUE, draft_destruction
from gateway.desk.vault import BeginDestruction, ChangeDestruction, SignedStepUp, destructions
from gateway.desk.vault.case_keys import CASE_KEYS_FILE
from gateway.desk.vault.destructions import DESTRUCTIONS_FILE, KNOWN_FOR, STOP_WITHIN, read_destructions
from gateway.desk.vault.process import VaultClient, encode_message, listen, receive_frame, send_frame, serve_connections
from gateway.desk.vault.record import RecordError
from gateway.exchange.desk_statements import DestructionList, ForgetList, ForgottenEvidence, ForgottenReport
from partner_sdk.errors import OpeningError, ReportAbuseError
from partner_sdk.wire.canonical import encode, format_time, parse_exact, to_base64url
from partner_sdk.wire.signing import MAX_LIST_BYTES
from tests.desk.office.people.step_up_builders import register, state_release, step_up
from tests.desk.retention_builders import (
    A_YEAR,
    FIRST,
    SECOND,
    begin,
    close_all,
    list_step_ups,
    read_signatures,
    sign_list,
)
from tests.desk.view_builders import ORIGIN, PASSKEYS, Clock, add_sealed_case


@pytest.fixture
def client(desk: Desk) -> Iterator[VaultClient]:
    """The vault's own socket, with the desk's clock."""
    answer = desk.find_holder()
    with listen(desk.paths.vault) as listener:
        thread = threading.Thread(target=serve_connections, args=(listener,), kwargs={"answer": answer}, daemon=True)
        thread.start()
        client = VaultClient(desk.paths.vault)
        yield client
        client.close()


@pytest.fixture
def signed(desk: Desk, clock: Clock) -> BeginDestruction:
    """A list with two signatures, not yet begun."""
    add_sealed_case(desk, marker="Quetzalcoatlus")
    (case_id,) = close_all(desk)
    clock.now += A_YEAR
    release = sign_list(desk, draft_destruction(desk, [case_id], reason=DUE, actor=FIRST))
    body = bytes(read_signatures(desk, release.subject).row.body)
    return BeginDestruction(listed=body, step_ups=list_step_ups(desk, release.subject))


def refuse(ask: Any, request: Any, reason: str = "not-signed") -> str:
    with pytest.raises(ReportAbuseError) as caught:
        ask(request)
    assert caught.value.reason == reason
    return str(caught.value)


def is_readable(desk: Desk, signed: BeginDestruction) -> bool:
    listed = parse_exact(signed.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    with desk.store.read() as connection:
        case = get_case(connection, listed.cases[0].case_id)
    try:
        return bool(open_report(desk, case, actor=FIRST))
    except OpeningError:
        return False


def step_up_for(desk: Desk, signed: BeginDestruction, person: str) -> SignedStepUp:
    """Return a person's touch as the second one, as taken pages let them give it."""
    listed = parse_exact(signed.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    second, passkey = read_signatures(desk, listed.destruction_id).second, PASSKEYS[desk.paths.state, person]
    statement = state_release(second, person=person, now=desk.clock(), origin=ORIGIN)
    answer = step_up(passkey, statement)
    return SignedStepUp(
        authenticator_data=answer.authenticator_data,
        client_data=answer.client_data,
        credential_id=passkey.credential_id,
        signature=answer.signature,
        statement=statement.encode(),
    )


def forge(signed: BeginDestruction, **changes: Any) -> BeginDestruction:
    return msgspec.structs.replace(signed, **changes)


def test_unsigned_call_through_the_socket_is_refused(desk: Desk, client: VaultClient, signed: BeginDestruction) -> None:
    junk = SignedStepUp(authenticator_data=b"", client_data=b"", credential_id=b"none", signature=b"", statement=b"")
    refuse(client.ask, forge(signed, step_ups=(junk, junk)))
    # The call of before: a case and a number, without any signature.
    raw = encode_message(signed).replace(b"begin-destruction", b"destroy-case-keys")
    connection = client._connect()
    send_frame(connection, raw, seconds=5)
    assert b"malformed" in (receive_frame(connection, wait_seconds=5, seconds=5) or b"")
    connection.close()
    refuse(client.ask, ChangeDestruction(actor="x", destruction_id="none", to="destroyed"), "unknown-list")
    assert is_readable(desk, signed)
    assert read_destructions(desk.paths.vault).lists == {}
    client.ask(signed)
    assert not is_readable(desk, signed)


def test_one_persons_two_signatures_are_refused(desk: Desk, signed: BeginDestruction) -> None:
    ask = desk.find_holder()
    author, second = signed.step_ups
    for step_ups in ((author, author), (second, second), (second, author)):
        refuse(ask, forge(signed, step_ups=step_ups))
    both = step_up_for(desk, signed, FIRST)
    assert "one person signed it twice" in refuse(ask, forge(signed, step_ups=(author, both)))
    assert is_readable(desk, signed)


@pytest.mark.parametrize("change", [{"reason": "erasure"}, {"destruction_id": "another"}, {"cases": 2}])
def test_list_whose_bytes_were_altered_is_refused(desk: Desk, signed: BeginDestruction, change: Any) -> None:
    ask = desk.find_holder()
    listed = parse_exact(signed.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    values = {"cases": listed.cases * 2} if "cases" in change else change
    altered = encode(msgspec.structs.replace(listed, **values))
    assert altered != signed.listed
    refuse(ask, forge(signed, listed=altered))
    refuse(ask, forge(signed, listed=signed.listed.replace(b'"live"', b'"sandbox"')), "wrong-environment")
    first = msgspec.structs.replace(signed.step_ups[0], signature=b"\0" * 64)
    refuse(ask, forge(signed, step_ups=(first, signed.step_ups[1])))
    assert is_readable(desk, signed)


def test_passkey_counts_a_week_after_the_vault_learned_of_it_and_not_after_its_end(
    desk: Desk, clock: Clock, signed: BeginDestruction
) -> None:
    """A passkey of the pages' process counts for nothing for a week."""
    ask = desk.find_holder()
    with desk.store.write() as connection:
        forged = register(connection, "s-forged", origin=ORIGIN, now=desk.clock())
    PASSKEYS[desk.paths.state, "s-forged"] = forged
    request = forge(signed, step_ups=(signed.step_ups[0], step_up_for(desk, signed, "s-forged")))
    assert "does not know" in refuse(ask, request)
    share_passkeys(desk)
    clock.now += KNOWN_FOR - timedelta(seconds=1)
    assert "too short a time" in refuse(ask, request)
    with desk.store.write() as connection:
        (mine,) = list_passkeys(connection, SECOND)
        register(connection, SECOND, origin=ORIGIN, now=desk.clock() - timedelta(days=2))
        end_passkey(connection, SECOND, mine.number, by=SECOND, now=desk.clock())
    share_passkeys(desk)
    assert "does not know" in refuse(ask, signed)
    assert is_readable(desk, signed)
    clock.now += timedelta(seconds=1)
    ask(request)
    assert not is_readable(desk, signed)


def test_vault_writes_its_record_first_and_a_line_of_another_hand_stops_everything(
    desk: Desk, signed: BeginDestruction
) -> None:
    ask = desk.find_holder()
    path = desk.paths.vault / DESTRUCTIONS_FILE
    before = path.read_bytes()
    ask(signed)
    assert path.read_bytes().startswith(before)
    (found,) = read_destructions(desk.paths.vault).lists.values()
    assert (found.people, found.state, encode(found.listed)) == ((FIRST, SECOND), "begun", signed.listed)
    assert path.stat().st_mode & 0o777 == 0o600
    # A line that follows the chain, and that the vault did not write.
    line = path.read_bytes().splitlines()[-1]
    forged = msgspec.json.decode(line) | {
        "kind": "destroyed",
        "previous": to_base64url(hashlib.sha256(line).digest()),
    }
    forged.pop("listed")
    path.write_bytes(path.read_bytes() + encode(forged) + b"\n")
    assert next(iter(read_destructions(desk.paths.vault).lists.values())).state == "destroyed"
    with pytest.raises(RecordError):
        ask(ChangeDestruction(actor="x", destruction_id=found.listed.destruction_id, to="destroyed"))


def test_record_that_lost_a_stop_destroys_no_key_that_is_in_use(desk: Desk, clock: Clock) -> None:
    add_sealed_case(desk, marker="Quetzalcoatlus")
    (case_id,) = close_all(desk)
    clock.now += A_YEAR
    destruction_id = begin(desk, [case_id])
    path = desk.paths.vault / DESTRUCTIONS_FILE
    before = path.read_bytes()
    signer = desk.load_signer()
    signer.change_destruction(destruction_id, "stopped", actor=FIRST)
    path.write_bytes(before)
    clock.now += STOP_WITHIN
    with pytest.raises(OpeningError) as caught:
        signer.change_destruction(destruction_id, "destroyed", actor=FIRST)
    assert caught.value.reason == "not-closed"
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
    assert open_report(desk, case, actor=FIRST)


def test_passkeys_that_did_not_change_add_no_line(desk: Desk, signed: BeginDestruction) -> None:
    path = desk.paths.vault / DESTRUCTIONS_FILE
    before = path.read_bytes()
    share_passkeys(desk)
    assert path.read_bytes() == before
    assert {one.person for one, _ in read_destructions(desk.paths.vault).passkeys.values()} >= {FIRST, SECOND}


def test_record_that_lost_a_stop_destroys_nothing_at_the_second_try_either(
    desk: Desk, clock: Clock, signed: BeginDestruction
) -> None:
    """Seen: the refused try had put its own line on record, and the next one took the list for destroyed."""
    ask = desk.find_holder()
    ask(signed)
    listed = parse_exact(signed.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    path = desk.paths.vault / DESTRUCTIONS_FILE
    before = path.read_bytes()
    ask(ChangeDestruction(actor="x", destruction_id=listed.destruction_id, to="stopped"))
    path.write_bytes(before)
    clock.now += STOP_WITHIN
    for _ in range(2):
        refuse(ask, ChangeDestruction(actor="x", destruction_id=listed.destruction_id, to="destroyed"), "not-closed")
        refuse(ask, signed, "stopped")  # begun again, it closes no key that is in use
    assert path.read_bytes() == before
    assert is_readable(desk, signed)


def test_old_stop_that_comes_again_changes_nothing_of_a_newer_list(desk: Desk, clock: Clock) -> None:
    add_sealed_case(desk, marker="Quetzalcoatlus")
    (case_id,) = close_all(desk)
    clock.now += A_YEAR
    first = begin(desk, [case_id])
    stop_destruction(desk, first, actor=FIRST)
    clock.now += timedelta(minutes=1)
    second = begin(desk, [case_id])

    def is_closed() -> bool:
        with desk.store.read() as connection:
            case = get_case(connection, case_id)
        with pytest.raises(OpeningError):
            open_report(desk, case, actor=FIRST)
        return case.destroyed_at is not None

    assert is_closed()
    stop_destruction(desk, first, actor=FIRST)  # the browser sent the form of the first stop again
    assert is_closed()
    clock.now += STOP_WITHIN
    finish_due(desk)
    stop_destruction(desk, first, actor=FIRST)
    assert is_closed()
    assert [one.state for one in read_destructions(desk.paths.vault).lists.values()] == ["stopped", "destroyed"]
    assert second != first


def test_vault_lets_the_gateway_forget_only_what_two_people_signed(desk: Desk, signed: BeginDestruction) -> None:
    listed = parse_exact(signed.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    (report,) = listed.cases[0].reports
    forgotten = ForgottenReport(partner=report.partner, reference=report.reference, report_id=report.report_id)
    wanted = ForgetList(
        destruction_id=listed.destruction_id,
        environment=desk.config.environment,
        evidence=(),
        issued_at=format_time(desk.clock()),
        reports=(forgotten,),
    )
    signer = desk.load_signer()
    refuse(signer.sign, wanted)  # not begun
    desk.find_holder()(signed)
    assert signer.sign(wanted)
    refuse(signer.sign, msgspec.structs.replace(wanted, reports=(msgspec.structs.replace(forgotten, reference="X"),)))
    elsewhere = ForgottenEvidence(partner="other-chat", evidence_id=desk.make_id())
    refuse(signer.sign, msgspec.structs.replace(wanted, evidence=(elsewhere,)))
    desk.find_holder()(ChangeDestruction(actor="x", destruction_id=listed.destruction_id, to="stopped"))
    refuse(signer.sign, wanted)


def test_stop_that_was_cut_off_opens_the_keys_when_it_is_repeated(desk: Desk, signed: BeginDestruction) -> None:
    ask = desk.find_holder()
    keys = desk.paths.vault / CASE_KEYS_FILE
    ask(signed)
    closed = keys.read_bytes()
    (destruction_id,) = read_destructions(desk.paths.vault).lists
    stop = ChangeDestruction(actor="x", destruction_id=destruction_id, to="stopped")
    ask(stop)
    keys.write_bytes(closed)
    assert not is_readable(desk, signed)
    ask(stop)
    assert is_readable(desk, signed)


def test_case_is_on_one_begun_list_only(desk: Desk, signed: BeginDestruction, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = desk.find_holder()
    ask(signed)
    listed = parse_exact(signed.listed, kind=DestructionList, max_bytes=MAX_LIST_BYTES)
    other = encode(msgspec.structs.replace(listed, destruction_id="another"))
    with monkeypatch.context() as patch:
        signers = iter((FIRST, SECOND))
        patch.setattr(destructions, "_get_signer", lambda *_, **__: next(signers))
        refuse(ask, forge(signed, listed=other), "stopped")
    assert list(read_destructions(desk.paths.vault).lists) == [listed.destruction_id]
