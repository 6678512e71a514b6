"""Commands for the agency's own keys: list, rotate, renew the delegation, replace, revoke, destroy, protect.

Passphrases may be changed at any time: after each step the files open under one set of passphrases: the former ones
until `protection.json` is replaced, then the new ones.
"""

from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import click
from sqlalchemy import select

from gateway.desk.keyring.delegation import (
    ROTATED_ROLES,
    begin_rotation,
    change_root,
    list_pending,
    read_delegation,
    renew_delegation,
    revoke_signing_key,
)
from gateway.desk.keyring.key_set import (
    LOG_ROLE,
    RECEIPT_ROLE,
    destroy_sealing_key,
    get_sealing_state,
    replace_sealing_key,
)
from gateway.desk.keyring.publication import publish
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.terminal import (
    DONE,
    FILE,
    LOOK,
    Call,
    ask_passphrase,
    desk_command,
    print_result,
)
from gateway.desk.office.wiring import Desk, open_desk
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import SEALING_KEYS, VERIFY_KEYS
from gateway.desk.vault import VaultError
from gateway.desk.vault.key_folder import (
    MOST_CUSTODIANS,
    PROTECTION_FILE,
    KeyFolder,
    Secrets,
    add_new_key,
    check_passphrase,
    drop_older_keys,
    find_protection,
    open_protection,
    write_protection,
)
from gateway.desk.vault.process import hold_place
from partner_sdk.errors import LocalStateError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import parse_base64url, parse_time
from partner_sdk.wire.signing import ALARM_BEFORE_EXPIRY, key_id_of


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key. `of` is the quarter of a sealing key, or the gateway of its own; `advice` is often empty."""

    role: str
    key_id: str
    of: str
    state: str
    use_until: str
    advice: str


def list_keys(desk: Desk) -> list[KeyRow]:
    """Return the keys, current and pending ones first, ended ones last."""
    now = desk.clock()
    rows = [_make_delegation_row(desk, now=now), *_list_sealing(desk, now=now), *_list_verify(desk, now=now)]
    rows += [
        KeyRow(pending.role.value, pending.key_id, "", "pending", "", "run publish; the key signs one hour later")
        for pending in list_pending(desk)
        if all(row.key_id != pending.key_id for row in rows)
    ]
    return sorted(rows, key=lambda row: (row.state in {"ended", "destroyed"}, row.role, row.use_until))


def _make_delegation_row(desk: Desk, *, now: datetime) -> KeyRow:
    said = read_delegation(desk.paths)
    # Early enough for people to meet and fetch the root key.
    is_late = parse_time(said.not_after) - now < ALARM_BEFORE_EXPIRY
    return KeyRow(
        role="key-set",
        key_id=key_id_of(parse_base64url(said.key_set_key)),
        of="",
        state="ended" if now >= parse_time(said.not_after) else "active",
        use_until=said.not_after,
        advice="fetch the root key and run keys renew-delegation" if is_late else "",
    )


def _list_sealing(desk: Desk, *, now: datetime) -> list[KeyRow]:
    with desk.store.read() as connection:
        rows = connection.execute(select(SEALING_KEYS).order_by(SEALING_KEYS.c.quarter)).all()
    found = []
    for row in rows:
        state = get_sealing_state(row, now=now)
        is_over = state == "retired" and now >= parse_time(row.open_until)
        advice = f"no longer needed: keys destroy-sealing {row.quarter}" if is_over else ""
        found.append(KeyRow("sealing", row.key_id, row.quarter, state, row.seal_until, advice))
    return found


def _list_verify(desk: Desk, *, now: datetime) -> list[KeyRow]:
    pending = {key.key_id for key in list_pending(desk)}
    with desk.store.read() as connection:
        rows = connection.execute(select(VERIFY_KEYS)).all()
    newest: dict[tuple[str, str], str] = {}
    for row in rows:
        place = (row.role, row.instance or "")
        newest[place] = max(newest.get(place, ""), row.use_until)
    found = []
    for row in rows:
        ends = parse_time(row.use_until)
        state = "pending" if row.key_id in pending else "ended" if now >= ends else "active"
        is_last = newest[row.role, row.instance or ""] == row.use_until
        advice = _advise(row.role) if is_last and ends - now < ALARM_BEFORE_EXPIRY else ""
        found.append(KeyRow(row.role, row.key_id, row.instance or "", state, row.use_until, advice))
    return found


def _advise(role: str) -> str:
    if role in {RECEIPT_ROLE, LOG_ROLE}:
        return f"give the gateway a new key: report-abuse-gateway rotate-{role}-key, then gateway add"
    return f"keys rotate {role}"


def protect_keys(
    desk: Desk,
    *,
    secrets: Secrets | None,
    passphrases: Mapping[str, str],
    actor: str,
    root_folder: Path | None = None,
) -> int:
    """Seal every key file under a new key, that one under these passphrases by custodian; return the number of files.

    The files are those in daily use, or the roots in `root_folder`. `secrets` are the keys in force, None before the
    first time. Raises `VaultError`, `LocalStateError` for a file that cannot be read or written.
    """
    check_custodians(passphrases)
    for passphrase in passphrases.values():
        check_passphrase(passphrase)
    both = add_new_key(secrets)
    # The files still open: the new passphrases lead to their former key as well.
    path = desk.paths.keys if root_folder is None else root_folder
    write_protection(path, both, passphrases=passphrases)
    KeyFolder(path, both).protect()
    # A former passphrase, with an old copy of protection.json, opens no file that is made from now on.
    write_protection(path, drop_older_keys(both), passphrases=passphrases)
    with desk.store.write() as connection:
        audit.append_entry(
            connection,
            "protect-keys",
            " ".join(passphrases),
            at=desk.clock(),
            actor=actor,
            custodians=len(passphrases),
            keys="daily" if root_folder is None else "root",
        )
    return len(list(path.glob("*.key")))


def check_custodians(names: Collection[str]) -> None:
    """Raise `VaultError` (`wrong-custodians`) unless these are one name or two different ones, before anyone types."""
    is_once = len(set(names)) == len(names)
    if not is_once or not 1 <= len(names) <= MOST_CUSTODIANS or any(not 1 <= len(name) <= 80 for name in names):
        raise VaultError("Name one custodian, or two different ones.", reason="wrong-custodians")


@desk_command(Permission.MANAGE_KEYS, example="--json")
def keys_list(call: Call) -> int:
    """List every key with its times.

    Exit code 1 when a key needs a person.
    """
    rows = list_keys(open_desk(call.state))
    lines = []
    for row in rows:
        until = f"until {row.use_until}" if row.use_until else ""
        lines.append(f"{row.state:9} {row.role:16} {row.key_id:12} {row.of:16} {until}".rstrip())
        lines += [f"          LOOK: {row.advice}"] if row.advice else []
    code = LOOK if any(row.advice for row in rows) else DONE
    return print_result(call, {"keys": [asdict(row) for row in rows]}, *lines, code=code)


@desk_command(Permission.MANAGE_KEYS, example="mailbox-signing")
@click.argument("role", type=click.Choice([role.value for role in ROTATED_ROLES]), help="The key's role.")
def keys_rotate(call: Call, role: str) -> int:
    """Make the successor of a signing key. Nothing stops in the meantime.

    A register key or a mailbox-signing key is published now, and signs from the first `publish` an hour later.

    A feed key goes into next.pin. The gateway's operator installs it with `report-abuse-gateway pin` and restarts; the
    next `collect` or `publish` uses the new key.
    """
    desk, key_role = open_desk(call.state), KeyRole(role)
    pending = begin_rotation(desk, key_role, actor=call.actor)
    is_feed = key_role is KeyRole.FEED
    serial = None if is_feed else publish(desk, actor=call.actor).key_set.serial
    return print_result(
        call,
        {"key_id": pending.key_id, "key_set_serial": serial, "role": role},
        f"The next {role} key is {pending.key_id}.",
        f"Give {desk.paths.next_pin} to the gateway's operator: report-abuse-gateway pin --state DIR next.pin"
        if is_feed
        else f"It is in key set {serial}, and signs after a later publish. In an hour: {suggest('publish')}",
    )


@desk_command(Permission.MANAGE_KEYS, example="--root /media/root --new-key")
@click.option("--root", type=FILE, metavar="DIR", help="The folder of root.key.  [default: in the state folder]")
@click.option("--new-key", is_flag=True, help="Move to a new key-set key.")
def keys_renew_delegation(call: Call, root: Path | None, *, new_key: bool) -> int:
    """Sign the root's delegation to the key-set key for two more years, and publish.

    Bring the folder of the root key for this, and remove it afterwards.
    """
    desk = open_desk(call.state)
    renewed = renew_delegation(desk, roots=_open_roots(root or desk.paths.root), with_new_key=new_key, actor=call.actor)
    published = publish(desk, actor=call.actor)
    return print_result(
        call,
        {"key_set_serial": published.key_set.serial, "not_after": renewed.not_after},
        f"The root's delegation is valid until {renewed.not_after}; key set {published.key_set.serial} is published.",
    )


@desk_command(Permission.MANAGE_KEYS, example="--root /media/root")
@click.option("--root", type=FILE, metavar="DIR", help="The folder of both root keys.  [default: in the state folder]")
def keys_change_root(call: Call, root: Path | None) -> int:
    """Switch to the next root, name its successor, and publish. The former root is removed from the folder.

    The gateway and the partners have pinned the next root and switch by themselves. Still give the new agency.pin to
    the gateway's operator before the next change: report-abuse-gateway pin.
    """
    desk = open_desk(call.state)
    pin = change_root(desk, roots=_open_roots(root or desk.paths.root), actor=call.actor)
    published = publish(desk, actor=call.actor)
    return print_result(
        call,
        {"key_set_serial": published.key_set.serial, "root_fingerprint": pin.root_fingerprint},
        f"The root is {pin.root_fingerprint}; key set {published.key_set.serial} is published.",
        f"Give {desk.paths.pin} to the gateway's operator: report-abuse-gateway pin --state DIR agency.pin",
    )


@desk_command(Permission.MANAGE_KEYS)
def keys_replace_sealing(call: Call) -> int:
    """Replace the sealing key, which may have leaked, and publish.

    The old key still opens earlier reports, here and in a thief's hands.
    """
    desk = open_desk(call.state)
    name = replace_sealing_key(desk, actor=call.actor)
    published = publish(desk, actor=call.actor)
    return print_result(
        call,
        {"key": name, "key_set_serial": published.key_set.serial},
        f"Reports are sealed to the key {name} from now on; key set {published.key_set.serial} is published.",
    )


@desk_command(Permission.MANAGE_KEYS, example="tWXvD6bK7pA")
@click.argument("key_id", help="Its id in `keys list`.")
def keys_revoke(call: Call, key_id: str) -> int:
    """Revoke a signing key that leaked, with all its signatures, and publish.

    A thief can sign with any date, so its earlier signatures end too. Partners can no longer check old receipts and
    messages of this key, and reports that wait at the gateway under a revoked receipt key go into quarantine.

    Make the successor first: `keys rotate`. For a leaked key-set key use `keys renew-delegation --new-key`, for a
    sealing key `keys replace-sealing`.
    """
    desk = open_desk(call.state)
    revoke_signing_key(desk, key_id, actor=call.actor)
    published = publish(desk, actor=call.actor)
    return print_result(
        call,
        {"key_set_serial": published.key_set.serial, "revoked": key_id},
        f"Key {key_id} is revoked; key set {published.key_set.serial} is published.",
    )


@desk_command(Permission.MANAGE_KEYS, example="2026-Q4")
@click.argument("key", help="Its name in `keys list`.")
def keys_destroy_sealing(call: Call, key: str) -> int:
    """Destroy a sealing key that has expired. Nothing sealed to it ever opens again.

    Destroy its copies in backups yourself.
    """
    desk = open_desk(call.state)
    destroy_sealing_key(desk, key, actor=call.actor)
    return print_result(
        call,
        {"destroyed": key},
        f"The sealing key {key} is destroyed. Destroy its copies in backups too. Then: {suggest('publish')}",
    )


@desk_command(Permission.MANAGE_KEYS, example="--custodian a-okafor --custodian b-lee")
@click.option(
    "--custodian",
    "custodians",
    multiple=True,
    metavar="NAME",
    help="A person with a passphrase; twice if both are needed.  [default: you]",
)
@click.option("--root", type=FILE, metavar="DIR", help="The folder of the root keys, in place of those in daily use.")
def keys_protect(call: Call, custodians: tuple[str, ...], root: Path | None) -> int:
    """Put a passphrase over every private key in daily use, or change it.

    Stop the vault and the collector first. It asks for the passphrases that are in force, if any, then each custodian
    twice for a new one. With two custodians, both are needed to unlock. A run that was interrupted leaves the
    passphrases in force, old or new: run it again.

    With `--root` it does the same for the root keys, which nothing needs to be stopped for.

    Copies of the keys from before keep their former passphrase, or none: destroy them.
    """
    names = custodians or (call.actor,)
    check_custodians(names)
    desk = open_desk(call.state)
    if root is not None and not KeyFolder(root).get_path(KeyRole.ROOT.value).is_file():
        raise LocalStateError(f"There is no root key in {root}.", reason="no-key-file")
    with nullcontext() if root else hold_place(desk.paths.vault):
        secrets = _ask_secrets(root or desk.paths.keys)
        passphrases = {name: _ask_new_passphrase(name) for name in names}
        files = protect_keys(desk, secrets=secrets, passphrases=passphrases, actor=call.actor, root_folder=root)
    remedy = f"Start the vault, then: {suggest('unlock')}"
    if root is not None:
        remedy = f"Copy the whole folder {root} to its offline places, with {PROTECTION_FILE}."
    return print_result(
        call,
        {"custodians": list(names), "files": files},
        f"{files} key files are under the passphrase{'s' if len(names) > 1 else ''} of {' and '.join(names)}.",
        remedy,
    )


def _open_roots(folder: Path) -> KeyFolder:
    return KeyFolder(folder, _ask_secrets(folder))


def _ask_secrets(folder: Path) -> Secrets | None:
    """Ask each custodian of a folder of keys for the passphrase in force; None if it has none."""
    found = find_protection(folder)
    if found is None:
        return None
    return open_protection(found, [ask_passphrase(f"Passphrase of {one.name} now: ") for one in found.custodians])


def _ask_new_passphrase(name: str) -> str:
    passphrase = ask_passphrase(f"New passphrase of {name}: ")
    check_passphrase(passphrase)
    if ask_passphrase(f"The same again, {name}: ") != passphrase:
        raise VaultError("The two are not the same. Nothing was changed.", reason="not-the-same")
    return passphrase
