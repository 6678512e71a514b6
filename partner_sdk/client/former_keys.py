"""The keys of before and the question that ended them, kept until the agency itself has used the new ones.

```
keys/former/ROLE-ID.key     keys of before
keys/former/change-ID.json  one change away from the submission key ID: which keys, when, and the sealed question
```

That the new keys count is at first the gateway's word alone. A message that opens with the new mailbox key is the
agency's: nobody else was told that key and can sign such a message. Never deletes a mailbox key. No network here.
"""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from partner_sdk.client.partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.durable_files import find_bytes, make_private_folder, sync_folder, write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.key_files import KeyFile, KeyRole, read_key_file
from partner_sdk.wire.account import MAX_ACCOUNT_BODY_BYTES, AccountPost
from partner_sdk.wire.canonical import encode, format_time, parse_exact, parse_time

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
        by_role = {
            KeyRole.CONTEXT: self.context,
            KeyRole.MAILBOX: self.mailbox,
            KeyRole.SUBMISSION: self.submission,
        }
        return by_role[role]


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
    """Keep what a switch from the keys of now to `new` takes away; the caller holds the folder."""
    new_ids = KeyIds(**{role.value: key_file.key_id for role, key_file in new.items()})
    old_ids = keep_keys(state, {role: state.read_key(role) for role in PARTNER_ROLES})
    change = KeyChange(changed_at=format_time(now), new=new_ids, old=old_ids, post=post)
    write_durably(_change_path(state, change), encode(change))


def list_changes(state: PartnerState) -> list[KeyChange]:
    """Return the changes that can be gone back on, the newest first; raises `LocalStateError` for a damaged one."""
    found = []
    for path in _folder(state).glob("change-*.json"):
        raw = find_bytes(path)
        if raw is not None:  # another process may have forgotten it at this moment
            found.append(parse_change(raw, path=path))
    current = state.read_key(KeyRole.SUBMISSION).key_id
    # A run that was stopped before the switch leaves one that leads away from the key of now.
    changes = [change for change in found if change.old.submission != current]
    return sorted(changes, key=lambda change: change.changed_at, reverse=True)


def parse_change(raw: bytes, *, path: Path) -> KeyChange:
    """Parse a kept change, or raise `LocalStateError` (`damaged-state`)."""
    try:
        return parse_exact(raw, kind=KeyChange, max_bytes=MAX_CHANGE_BYTES)
    except FormatError:
        raise LocalStateError(f"{path} is damaged.", reason="damaged-state") from None


def read_former_key(state: PartnerState, role: KeyRole, key_id: str) -> KeyFile:
    """Return a key that was kept; raises `LocalStateError`."""
    return read_key_file(_key_path(state, role, key_id), role=role)


def list_former_keys(state: PartnerState, role: KeyRole) -> list[KeyFile]:
    """Return every kept key of one role, also one that is in use again."""
    paths = sorted(_folder(state).glob(f"{role.value}-*.key"))
    return [read_key_file(path, role=role) for path in paths]


def has_change(state: PartnerState, change: KeyChange) -> bool:
    """Return whether this very change is still kept."""
    return find_bytes(_change_path(state, change)) == encode(change)


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


def _folder(state: PartnerState) -> Path:
    return state.folder / "keys" / "former"


def _key_path(state: PartnerState, role: KeyRole, key_id: str) -> Path:
    return _folder(state) / f"{role.value}-{key_id}.key"


def _change_path(state: PartnerState, change: KeyChange) -> Path:
    return _folder(state) / f"change-{change.old.submission}.json"
