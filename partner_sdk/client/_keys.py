"""The partner's new and former keys, and the steps from old to new and back that no crash can spoil. No network here.

    keys/pending/ROLE.key    new keys that the agency was asked to take, or is about to be
    keys/pending/change.json the sealed question, so that a retry posts the same bytes
    keys/pending/known       empty: the gateway knows the new keys, and the step has begun
    keys/pending/back        the change that is gone back on: the step back has begun
    keys/former/ROLE-ID.key     former keys
    keys/former/change-ID.json  one change away from the submission key ID: which keys, when, and the sealed question

At first only the gateway vouches for the new keys. A message that opens with the new mailbox key is the agency's:
nobody else was told that key and can sign such a message. Until one comes, the former keys and their question are kept.
Never deletes a mailbox key, a key that the agency may have accepted, nor the old ones on the gateway's word.

A register names one key for each partner, so the old one is refused from the moment that the new one counts, and
another process of this partner, or the agency, may have changed it: the sender switches and sends again, and no report
waits for a person. The gateway's statement about a key is its word alone: when it refuses the key that it had called
known, the former one is tried, and put in force again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState, find_document
from partner_sdk.client.exchange import MAX_SMALL_REPLY_BYTES
from partner_sdk.durable_files import find_bytes, locked, make_private_folder, sync_folder, write_durably
from partner_sdk.errors import LocalStateError, NotAuthorisedError, ProblemError, TransportError
from partner_sdk.key_files import KeyFile, KeyRole, load_signing_key, new_key, read_key_file
from partner_sdk.wire.canonical import encode, format_time, make_report_id, parse_exact, parse_time
from partner_sdk.wire.enrolment import (
    MAX_ACCOUNT_BODY_BYTES,
    SIGNED_CHANGE,
    AccountChange,
    AccountPost,
    NewKeys,
    seal_account_change,
)
from partner_sdk.wire.sealing import SealingKey
from partner_sdk.wire.submission import ServiceStatus

if TYPE_CHECKING:
    from partner_sdk.client.transport import Transport  # loads the HTTP client

# As long as the agency takes a submission statement of a former key.
FORMER_KEYS_KEPT_FOR = timedelta(days=14)
MAX_CHANGE_BYTES = MAX_ACCOUNT_BODY_BYTES + 8192


class KeyIds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ids of a partner's three keys."""

    context: str
    mailbox: str
    submission: str

    def of(self, role: KeyRole) -> str:
        """Return the id of one key."""
        return {KeyRole.CONTEXT: self.context, KeyRole.MAILBOX: self.mailbox, KeyRole.SUBMISSION: self.submission}[role]


class KeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch from old keys to new ones, with all that is needed to go back."""

    changed_at: str
    new: KeyIds
    old: KeyIds
    post: AccountPost
    type: str = "report-abuse/key-change"


def keep_keys(state: PartnerState, keys: dict[KeyRole, KeyFile]) -> KeyIds:
    """Keep these keys among the former ones, before others take their place; return their ids."""
    folder = _folder(state)
    make_private_folder(folder)
    for role, key_file in keys.items():
        write_durably(_key_path(state, role, key_file.key_id), encode(key_file) + b"\n")
    sync_folder(folder.parent)
    return KeyIds(
        context=keys[KeyRole.CONTEXT].key_id,
        mailbox=keys[KeyRole.MAILBOX].key_id,
        submission=keys[KeyRole.SUBMISSION].key_id,
    )


def keep_change(state: PartnerState, new: dict[KeyRole, KeyFile], *, post: AccountPost, now: datetime) -> None:
    """Keep the keys that a switch to `new` replaces; the caller holds the folder."""
    new_ids = KeyIds(**{role.value: key_file.key_id for role, key_file in new.items()})
    old_ids = keep_keys(state, {role: state.read_key(role) for role in PARTNER_ROLES})
    change = KeyChange(changed_at=format_time(now), new=new_ids, old=old_ids, post=post)
    write_durably(_change_path(state, change), encode(change))


def list_changes(state: PartnerState) -> list[KeyChange]:
    """Return the changes that can be gone back on, the newest first; raises `LocalStateError` for a damaged one."""
    found = [_find_change(path) for path in _folder(state).glob("change-*.json")]
    current = state.read_key(KeyRole.SUBMISSION).key_id
    # Another process may have forgotten one at this moment; a run that was stopped before the switch leaves one that
    # leads away from the key of now.
    changes = [change for change in found if change is not None and change.old.submission != current]
    return sorted(changes, key=lambda change: change.changed_at, reverse=True)


def read_former_key(state: PartnerState, role: KeyRole, key_id: str) -> KeyFile:
    """Return a key that was kept; raises `LocalStateError`."""
    return read_key_file(_key_path(state, role, key_id), role=role)


def list_former_keys(state: PartnerState, role: KeyRole) -> list[KeyFile]:
    """Return every kept key of one role, also one that is in use again."""
    paths = sorted(_folder(state).glob(f"{role.value}-*.key"))
    return [read_key_file(path, role=role) for path in paths]


def drop_change(state: PartnerState, change: KeyChange) -> None:
    """Forget a change that was gone back on; its keys stay."""
    _change_path(state, change).unlink(missing_ok=True)
    sync_folder(_folder(state))


def forget_old_changes(state: PartnerState, *, now: datetime) -> None:
    """Delete former submission and context keys 14 days after the last switch; the caller holds the folder."""
    changes = list_changes(state)
    old = [one for one in changes if parse_time(one.changed_at) + FORMER_KEYS_KEPT_FOR <= now]
    for change in old:
        drop_change(state, change)
    if old and len(old) == len(changes):
        for role in (KeyRole.SUBMISSION, KeyRole.CONTEXT):
            for pattern in (f"{role.value}-*.key", f".{role.value}-*.part"):
                for path in _folder(state).glob(pattern):
                    path.unlink(missing_ok=True)
        sync_folder(_folder(state))


def _find_change(path: Path) -> KeyChange | None:
    return find_document(path, kind=KeyChange, max_bytes=MAX_CHANGE_BYTES)


def _folder(state: PartnerState) -> Path:
    return state.folder / "keys" / "former"


def _key_path(state: PartnerState, role: KeyRole, key_id: str) -> Path:
    return _folder(state) / f"{role.value}-{key_id}.key"


def _change_path(state: PartnerState, change: KeyChange) -> Path:
    return _folder(state) / f"change-{change.old.submission}.json"


# The submission key last: until it has moved, requests are signed with the old one, and the step continues.
_MOVING_ORDER = (KeyRole.MAILBOX, KeyRole.CONTEXT, KeyRole.SUBMISSION)


class PendingKeys(msgspec.Struct, frozen=True):
    """New keys by role, and the sealed question to the agency."""

    keys: dict[KeyRole, KeyFile]
    post: AccountPost


def find_pending(state: PartnerState) -> PendingKeys | None:
    """Return the new keys that the agency was asked to take, or None; raises `LocalStateError` for damaged files."""
    folder = _pending_folder(state)
    if _is_stepping(folder):
        return None
    post = find_document(folder / "change.json", kind=AccountPost, max_bytes=MAX_ACCOUNT_BODY_BYTES)
    if post is None or _is_stepping(folder):
        return None
    try:
        keys = {role: read_key_file(_path(folder, role), role=role) for role in PARTNER_ROLES}
    except LocalStateError:
        if _is_stepping(folder) or not (folder / "change.json").exists():
            return None  # another process switches at this moment
        raise
    return PendingKeys(keys=keys, post=post)


def prepare_keys(
    state: PartnerState, *, agency_key: SealingKey, now: datetime, random: bytes, ask_again: bool = False
) -> PendingKeys:
    """Make new keys and the sealed question, and save both; an earlier preparation is returned as it is.

    `ask_again` seals the question for the same new keys once more, under a new id: the agency refused the one before,
    or cannot open it any more. `random` is 10 bytes for the id.
    """
    with locked(state.folder):
        _finish(state)
        found = find_pending(state)
        if found is not None and not ask_again:
            return found
        folder = _pending_folder(state)
        make_private_folder(folder)
        # Keys without a question were never sent: an interrupted run left them, perhaps half written.
        keys = found.keys if found is not None else _make_keys(state, folder, now=now)
        post = _seal_question(state, keys, agency_key=agency_key, now=now, change_id=make_report_id(now, random))
        write_durably(folder / "change.json", encode(post))
        sync_folder(folder.parent)
    return PendingKeys(keys=keys, post=post)


def switch_keys(state: PartnerState, *, now: datetime) -> None:
    """Go over to the pending keys, which the gateway knows; another process may have done so already.

    The old keys and the question are kept: the gateway may have lied, and the agency decided nothing.
    """
    with locked(state.folder):
        _finish(state)
        pending = find_pending(state)
        if pending is None:
            return
        keep_change(state, pending.keys, post=pending.post, now=now)
        write_durably(_pending_folder(state) / "known", b"")
        _finish(state)


def go_back(state: PartnerState, change: KeyChange) -> None:
    """Put the old keys of a change in force again, and let its new ones wait; another process may have done so."""
    with locked(state.folder):
        _finish(state)
        if find_bytes(_change_path(state, change)) != encode(change):
            return
        keep_keys(state, {role: state.read_key(role) for role in PARTNER_ROLES})
        pending = find_pending(state)
        if pending is not None:  # its question was signed by a key that the agency does not know
            keep_keys(state, pending.keys)
        folder = _pending_folder(state)
        make_private_folder(folder)
        sync_folder(folder.parent)
        write_durably(folder / "back", encode(change))
        _finish(state)


def finish_switch(state: PartnerState) -> bool:
    """Go on with a step that a crash interrupted; return whether there was one."""
    if not _is_stepping(_pending_folder(state)):
        return False
    with locked(state.folder):
        _finish(state)
    return True


def finish_change(state: PartnerState, *, mailbox_key_id: str, now: datetime) -> None:
    """Forget the former submission and context keys, 14 days after the switch; `mailbox_key_id` is the proof.

    A message of the agency opened with it: nothing is deleted unless it is the mailbox key of now.
    """
    if mailbox_key_id != state.read_key(KeyRole.MAILBOX).key_id:
        return
    with locked(state.folder):
        _finish(state)
        if mailbox_key_id == state.read_key(KeyRole.MAILBOX).key_id:
            forget_old_changes(state, now=now)


def list_mailbox_keys(state: PartnerState) -> list[KeyFile]:
    """Return every key that a message may be sealed to: new ones that wait, the one of now, former ones."""
    pending = _path(_pending_folder(state), KeyRole.MAILBOX)
    # In this order another process that switches meanwhile takes none away.
    found = [*_read_if_there(pending), state.read_key(KeyRole.MAILBOX)]
    return [*found, *list_former_keys(state, KeyRole.MAILBOX)]


def _read_if_there(path: Path) -> list[KeyFile]:
    try:
        return [read_key_file(path, role=KeyRole.MAILBOX)]
    except LocalStateError as error:
        # Half written before the question was asked: no message can be sealed to it yet.
        if error.reason in {"no-key-file", "bad-key-file"}:
            return []
        raise


def _make_keys(state: PartnerState, folder: Path, *, now: datetime) -> dict[KeyRole, KeyFile]:
    keys: dict[KeyRole, KeyFile] = {}
    for role in PARTNER_ROLES:
        keys[role] = new_key(role, environment=state.profile.environment, created_at=format_time(now))
        write_durably(_path(folder, role), encode(keys[role]) + b"\n")
    return keys


def _seal_question(
    state: PartnerState, keys: dict[KeyRole, KeyFile], *, agency_key: SealingKey, now: datetime, change_id: str
) -> AccountPost:
    old = state.read_key(KeyRole.SUBMISSION)
    change = AccountChange(
        change_id=change_id,
        created_at=format_time(now),
        environment=state.profile.environment,
        keys=NewKeys(
            context_key=keys[KeyRole.CONTEXT].public_key,
            mailbox_key=keys[KeyRole.MAILBOX].public_key,
            old_key_id=old.key_id,
            submission_key=keys[KeyRole.SUBMISSION].public_key,
        ),
        partner=state.profile.partner,
        registration=None,
    )
    signers = (old, keys[KeyRole.SUBMISSION], keys[KeyRole.CONTEXT])
    signed = SIGNED_CHANGE.sign(change, *map(load_signing_key, signers))
    return seal_account_change(signed, change=change, agency_key=agency_key)


def _finish(state: PartnerState) -> None:
    """Finish an interrupted step; does nothing without one of the two marks."""
    _finish_going_back(state)
    folder = _pending_folder(state)
    if not (folder / "known").exists():
        return
    for role in _MOVING_ORDER:
        path = _path(folder, role)
        if path.exists():
            path.replace(state.folder / "keys" / path.name)
    sync_folder(state.folder / "keys")
    # The mark goes last: without it, a question without keys would be left.
    for name in ("change.json", "known"):
        (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
    for left in folder.glob(".*.part"):
        left.unlink(missing_ok=True)
    folder.rmdir()
    sync_folder(folder.parent)


def _finish_going_back(state: PartnerState) -> None:
    folder = _pending_folder(state)
    mark = folder / "back"
    change = _find_change(mark)
    if change is None:
        return
    for role in PARTNER_ROLES:
        write_durably(_path(folder, role), encode(read_former_key(state, role, change.new.of(role))) + b"\n")
    write_durably(folder / "change.json", encode(change.post))
    for role in _MOVING_ORDER:
        old = read_former_key(state, role, change.old.of(role))
        write_durably(_path(state.folder / "keys", role), encode(old) + b"\n")
    drop_change(state, change)
    mark.unlink()
    sync_folder(folder)


def _is_stepping(folder: Path) -> bool:
    return (folder / "known").exists() or (folder / "back").exists()


def _pending_folder(state: PartnerState) -> Path:
    return state.folder / "keys" / "pending"


def _path(folder: Path, role: KeyRole) -> Path:
    return folder / f"{role.value}.key"


# A refused partner asks for as many keys: each is a request.
MOST_FORMER_KEYS_TRIED = 3


def find_newer_key(
    state: PartnerState, transport: "Transport", *, clock: Callable[[], datetime], notify: Callable[[str], None]
) -> Ed25519PrivateKey | None:
    """Return the key to sign with instead of the refused one, or None when there is none.

    `notify` gets a line about a change of keys. Raises `LocalStateError` for a damaged folder.
    """
    found = _find_other_key(state, transport)
    if found is not None:
        return found
    try:
        if go_over_if_known(state, transport, now=clock()):
            notify("The agency has accepted the new keys, and this folder now uses them. `keys list` shows them.")
            return state.load_submission_key()
        if _go_back_if_known(state, transport, notify=notify):
            return state.load_submission_key()
    except (TransportError, ProblemError):
        return None  # the refusal stands
    return _find_other_key(state, transport)  # another process may have switched at this moment


def _find_other_key(state: PartnerState, transport: "Transport") -> Ed25519PrivateKey | None:
    finish_switch(state)
    on_disk = state.read_key(KeyRole.SUBMISSION)
    return None if on_disk.key_id == transport.key_id else load_signing_key(on_disk)


def go_over_if_known(state: PartnerState, transport: "Transport", *, now: datetime) -> bool:
    """Switch to the pending keys if the gateway knows them; return whether it does.

    Raises `TransportError` and `ProblemError` if the gateway gives no answer.
    """
    pending = find_pending(state)
    if pending is None:
        return False
    new_key = pending.keys[KeyRole.SUBMISSION]
    if not _is_known(state, transport, new_key):
        return False
    switch_keys(state, now=now)
    transport.use_key(load_signing_key(new_key))
    return True


def _go_back_if_known(state: PartnerState, transport: "Transport", *, notify: Callable[[str], None]) -> bool:
    refused = transport.key_id
    for change in list_changes(state)[:MOST_FORMER_KEYS_TRIED]:
        old_key = read_former_key(state, KeyRole.SUBMISSION, change.old.submission)
        if _is_known(state, transport, old_key):
            go_back(state, change)
            notify(
                f"The gateway refuses the new submission key {refused}, which it had accepted before. This folder uses "
                f"the old one again, {old_key.key_id}; the new keys wait. Phone the agency and ask whether it has "
                "accepted them."
            )
            return True
    return False


def _is_known(state: PartnerState, transport: "Transport", key_file: KeyFile) -> bool:
    try:
        reply = transport.send_as(load_signing_key(key_file), "GET", "/v1/status", max_bytes=MAX_SMALL_REPLY_BYTES)
    except NotAuthorisedError:
        return False
    caller = parse_exact(reply.body, kind=ServiceStatus, max_bytes=MAX_SMALL_REPLY_BYTES).caller
    return caller is not None and (caller.partner, caller.key_id) == (state.profile.partner, key_file.key_id)
