"""Commands for the agency's own keys: list, rotate, renew the delegation, replace, revoke and destroy.

Every change of a partner's keys ends here too: it signs the register and gives it to the gateway.
"""

from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import click

from gateway.desk.keyring.delegation import change_root, renew_delegation
from gateway.desk.keyring.key_set import destroy_sealing_key, replace_sealing_key
from gateway.desk.keyring.overview import list_keys
from gateway.desk.keyring.protecting import check_custodians, protect_keys
from gateway.desk.keyring.publication import publish
from gateway.desk.keyring.signing_keys import ROTATED_ROLES, begin_rotation, revoke_signing_key
from gateway.desk.people.permissions import Permission
from gateway.desk.suggestions import suggest
from gateway.desk.terminal import (
    DONE,
    FILE,
    LOOK,
    TRY_AGAIN,
    Call,
    ask_passphrase,
    complain,
    desk_command,
    print_result,
)
from gateway.desk.vault import VaultError
from gateway.desk.vault.key_folder import KeyFolder
from gateway.desk.vault.protection import (
    PROTECTION_FILE,
    Secrets,
    check_passphrase,
    find_protection,
    open_protection,
)
from gateway.desk.vault.server import hold_place
from gateway.desk.wiring import open_desk
from partner_sdk.errors import LocalStateError, TransportError, UnavailableError
from partner_sdk.key_files import KeyRole


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
    messages of this key, and reports that wait at the gateway under a revoked receipt key are set aside for a person.

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


def publish_register(call: Call, *, partner: str, done: str) -> int:
    """Sign the register after a change of this partner, and give it to the gateway.

    `done` is the finished part for the message of a failure, e.g. "example-chat is approved".
    """
    try:
        published = publish(open_desk(call.state), actor=call.actor)
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=done)
    return print_result(
        call,
        {"partner": partner, "register_serial": published.register.serial},
        f"The gateway has register serial {published.register.serial}.",
    )


def publish_later(error: Exception, *, done: str) -> int:
    """Report an action that is done here and that the gateway does not know yet."""
    # Running the same command again would be refused.
    return complain(f"{error} {done}; tell the gateway later: {suggest('publish')}", code=TRY_AGAIN)


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
