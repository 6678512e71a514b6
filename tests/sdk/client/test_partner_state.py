"""The partner's own folder: private, whole after a crash, and never overwritten."""

import hashlib
import os
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from partner_sdk import durable_files
from partner_sdk.client._partner_state import PARTNER_ROLES, MailboxPosition, PartnerState
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import FormatError, KeySetError, LocalStateError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.mailbox import FIRST_PREVIOUS
from tests.builders import DAY, NOW, Agency, Partner, seal_report
from tests.sdk.sdk_builders import make_invitation, make_state

AGENCY = Agency()
PARTNER = Partner()
ID = "01a211d3-7340-7ff3-b7d7-b412be473e63"


@pytest.fixture
def state(tmp_path: Path) -> PartnerState:
    return make_state(tmp_path / "partner")


def reason_of(caught: pytest.ExceptionInfo[LocalStateError]) -> str:
    return caught.value.reason


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_readable_by_the_owner_alone(state: PartnerState) -> None:
    state.accept_key_set(AGENCY.bundle(), now=NOW)
    state.save_submission(ID, b"{}")
    state.save_receipt(ID, b"{}")
    state.save_message(1, b"{}")
    state.save_position(MailboxPosition(number=1, sha256="0" * 64))
    files = [path for path in state.folder.rglob("*") if path.is_file()]
    folders = [state.folder, *(path for path in state.folder.rglob("*") if path.is_dir())]
    assert len(files) >= 9
    assert {mode_of(path) for path in files} == {0o600}
    assert {mode_of(path) for path in folders} == {0o700}


def test_folder_that_others_can_enter_is_refused(state: PartnerState) -> None:
    state.folder.chmod(0o750)
    with pytest.raises(LocalStateError) as caught:
        PartnerState.open(state.folder)
    assert reason_of(caught) == "open-to-others"


def test_folder_of_something_else_is_never_said_to_need_another_mode(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr").chmod(0o755)
    with pytest.raises(LocalStateError) as caught:
        PartnerState.open(tmp_path / "usr")
    assert reason_of(caught) == "no-state"
    assert "is not a partner folder: enrol first" in str(caught.value)
    assert "in REPORT_ABUSE_PARTNER_STATE." in str(caught.value)
    assert "chmod" not in str(caught.value)


def test_key_that_others_can_read_is_refused(state: PartnerState) -> None:
    (state.folder / "keys" / "submission.key").chmod(0o644)
    with pytest.raises(LocalStateError) as caught:
        state.load_submission_key()
    assert reason_of(caught) == "open-to-others"


@pytest.mark.parametrize("folder", ["none", "empty"])
def test_folder_without_enrolment_is_refused(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    with pytest.raises(LocalStateError) as caught:
        PartnerState.open(tmp_path / folder)
    assert reason_of(caught) == "no-state"


def test_damaged_profile_is_refused(state: PartnerState) -> None:
    (state.folder / "partner.json").write_bytes(b"{")
    with pytest.raises(LocalStateError) as caught:
        PartnerState.open(state.folder)
    assert reason_of(caught) == "damaged-state"


def test_key_in_the_place_of_another_is_refused(state: PartnerState) -> None:
    keys = state.folder / "keys"
    (keys / "submission.key").write_bytes((keys / "context.key").read_bytes())
    with pytest.raises(LocalStateError) as caught:
        state.load_submission_key()
    assert reason_of(caught) == "wrong-key-role"


def test_key_of_another_environment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalStateError) as caught:
        make_state(tmp_path / "mixed", agency=Agency(environment="live"), partner=Partner(environment="sandbox"))
    assert reason_of(caught) == "wrong-key-role"
    assert not (tmp_path / "mixed" / "partner.json").exists()


def test_same_invitation_again_keeps_the_keys(tmp_path: Path) -> None:
    invitation = make_invitation(AGENCY, PARTNER)
    first = PartnerState.create(tmp_path / "p", invitation=invitation, now=NOW)
    ids = [first.read_key(role).key_id for role in PARTNER_ROLES]
    again = PartnerState.create(tmp_path / "p", invitation=invitation, now=NOW + DAY)
    assert [again.read_key(role).key_id for role in PARTNER_ROLES] == ids
    assert len(set(ids)) == 3
    assert again.profile == first.profile


def test_interrupted_creation_goes_on_with_the_keys_that_are_there(tmp_path: Path) -> None:
    invitation = make_invitation(AGENCY, PARTNER)
    first = PartnerState.create(tmp_path / "p", invitation=invitation, now=NOW)
    kept = first.read_key(KeyRole.SUBMISSION)
    (tmp_path / "p" / "partner.json").unlink()
    (tmp_path / "p" / "keys" / "mailbox.key").unlink()
    again = PartnerState.create(tmp_path / "p", invitation=invitation, now=NOW)
    assert again.read_key(KeyRole.SUBMISSION) == kept
    assert again.read_key(KeyRole.MAILBOX) != kept


@pytest.mark.parametrize("change", [{"partner": "other-chat"}, {"root_fingerprint": "0" * 64}, {"origin": "https://x"}])
def test_other_invitation_is_refused(state: PartnerState, change: dict[str, str]) -> None:
    with pytest.raises(LocalStateError) as caught:
        PartnerState.create(state.folder, invitation=make_invitation(AGENCY, PARTNER, **change), now=NOW)
    assert reason_of(caught) == "already-enrolled"


def test_key_set_is_kept_byte_for_byte(state: PartnerState) -> None:
    raw = AGENCY.bundle(serial=4)
    assert state.accept_key_set(raw, now=NOW).serial == 4
    assert (state.folder / "key-set.json").read_bytes() == raw
    assert state.read_key_set(now=NOW).serial == 4


@pytest.mark.parametrize(
    ("serial", "change", "reason"),
    [(3, {}, "stale-serial"), (4, {"sealing_keys": ()}, "forked-serial"), (5, {"environment": "sandbox"}, "")],
)
def test_older_or_other_key_set_is_refused_and_the_newest_stays(
    state: PartnerState, serial: int, change: dict[str, object], reason: str
) -> None:
    raw = AGENCY.bundle(serial=4)
    state.accept_key_set(raw, now=NOW)
    with pytest.raises(KeySetError) as caught:
        state.accept_key_set(AGENCY.bundle(serial=serial, **change), now=NOW)
    assert reason in {"", caught.value.reason}
    assert (state.folder / "key-set.json").read_bytes() == raw


def test_stale_key_set_is_refused_when_the_newest_one_has_expired(state: PartnerState) -> None:
    state.accept_key_set(AGENCY.bundle(serial=4), now=NOW)
    with pytest.raises(KeySetError) as caught:
        state.accept_key_set(AGENCY.bundle(serial=3), now=NOW + timedelta(days=300))
    assert caught.value.reason == "stale-serial"


def test_no_key_set_is_an_error_of_its_own(state: PartnerState) -> None:
    with pytest.raises(LocalStateError) as caught:
        state.read_key_set(now=NOW)
    assert reason_of(caught) == "no-key-set"


def test_submission_is_never_replaced(state: PartnerState) -> None:
    body = seal_report(PARTNER, key=AGENCY.sealing_key).body
    state.save_submission(ID, body)
    with pytest.raises(LocalStateError):
        state.save_submission(ID, b"{}")
    found = state.find_submission(ID)
    assert found is not None
    assert found[0] == body


def test_receipt_is_never_replaced_by_another(state: PartnerState) -> None:
    state.save_receipt(ID, b"first")
    state.save_receipt(ID, b"first")
    with pytest.raises(LocalStateError):
        state.save_receipt(ID, b"second")
    assert state.find_receipt(ID) == b"first"


def test_undelivered_are_those_without_a_receipt_oldest_first(state: PartnerState) -> None:
    ids = [f"01a211d3-734{place}-7ff3-b7d7-b412be473e63" for place in range(4)]
    for report_id in reversed(ids):
        state.save_submission(report_id, b"{}")
    state.save_receipt(ids[1], b"{}")
    assert state.list_undelivered() == [ids[0], ids[2], ids[3]]
    assert state.list_receipts() == [ids[1]]


def test_discarding_needs_an_undelivered_submission(state: PartnerState) -> None:
    with pytest.raises(LocalStateError) as caught:
        state.discard_submission(ID)
    assert reason_of(caught) == "no-such-submission"
    state.save_submission(ID, b"{}")
    state.save_receipt(ID, b"{}")
    with pytest.raises(LocalStateError) as caught:
        state.discard_submission(ID)
    assert reason_of(caught) == "has-receipt"
    (state.folder / "receipts" / f"{ID}.json").unlink()
    state.discard_submission(ID)
    assert state.list_undelivered() == []


@pytest.mark.parametrize("name", ["../partner", "", "a/b", ID.upper(), f"{ID}\n"])
def test_file_name_is_never_made_from_anything_but_an_id(state: PartnerState, name: str) -> None:
    for call in (state.find_submission, state.find_receipt, state.discard_submission):
        with pytest.raises(FormatError):
            call(name)


def test_messages_and_position_are_kept(state: PartnerState) -> None:
    assert (state.read_position().number, state.read_position().sha256) == (0, FIRST_PREVIOUS)
    state.save_message(2, b"two")
    state.save_message(1, b"one")
    state.save_message(1, b"one")
    with pytest.raises(LocalStateError):
        state.save_message(1, b"other")
    assert state.list_messages() == [1, 2]
    position = MailboxPosition(number=1, sha256=hashlib.sha256(b"one").hexdigest())
    state.save_position(position)
    assert state.read_position() == position


@pytest.mark.parametrize("number", [0, -1, 100_000_000])
def test_message_number_out_of_range_is_refused(state: PartnerState, number: int) -> None:
    with pytest.raises(FormatError):
        state.save_message(number, b"x")


def test_failed_write_leaves_the_old_bytes_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    failures = []

    def fail(descriptor: int) -> None:
        failures.append(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable_files.os, "fsync", fail)
    with pytest.raises(LocalStateError) as caught:
        write_durably(path, b"new")
    assert failures
    assert reason_of(caught) == "not-saved"
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_write_syncs_the_file_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = durable_files.os.fsync, Path.replace
    monkeypatch.setattr(durable_files.os, "fsync", lambda fd: (events.append("sync"), fsync(fd)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (events.append("name"), replace(path, to)))
    write_durably(tmp_path / "file", b"x")
    assert events == ["sync", "name", "sync"]


def test_two_threads_may_save_one_file_in_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, sync = tmp_path / "settings.json", os.fsync
    other = threading.Thread(target=write_durably, args=(path, b"other"))

    def sync_after_the_other(descriptor: int) -> None:
        monkeypatch.setattr("os.fsync", sync)
        other.start()
        other.join(30)
        sync(descriptor)

    monkeypatch.setattr("os.fsync", sync_after_the_other)
    write_durably(path, b"one")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]
