"""Commands about the agency's own keys: list, rotate, renew the root's word, replace and destroy sealing keys.

Every change of a partner's keys ends here too: sign the register and give it to the gateway at once.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from gateway.desk.keyring.delegation import change_root, renew_delegation
from gateway.desk.keyring.key_set import destroy_sealing_key, replace_sealing_key
from gateway.desk.keyring.overview import list_keys
from gateway.desk.keyring.publication import publish
from gateway.desk.keyring.signing_keys import ROTATED_ROLES, begin_rotation, revoke_signing_key
from gateway.desk.terminal import DONE, LOOK, TRY_AGAIN, Commands, add_group, complain, get_actor, print_result
from gateway.desk.wiring import open_desk
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.key_files import KeyRole


def run_list(parsed: argparse.Namespace) -> int:
    """List every key with its times. Exit code 1 when something has to be done about one."""
    rows = list_keys(open_desk(parsed.state))
    lines = []
    for row in rows:
        until = f"until {row.use_until}" if row.use_until else ""
        lines.append(f"{row.state:9} {row.role:16} {row.key_id:12} {row.of:16} {until}".rstrip())
        lines += [f"          LOOK: {row.advice}"] if row.advice else []
    code = LOOK if any(row.advice for row in rows) else DONE
    return print_result(parsed, {"keys": [asdict(row) for row in rows]}, *lines, code=code)


def run_rotate(parsed: argparse.Namespace) -> int:
    """Make the successor of a signing key. It signs once everybody can know it, and nothing stops meanwhile.

    A register or mailbox-signing key is published now and signs at the first publish an hour later. A feed key stands
    in next.pin: the gateway's operator puts it in place with `report-abuse-gateway pin` and restarts; the next collect
    or publish goes on with the new key.
    """
    desk, role = open_desk(parsed.state), KeyRole(parsed.role)
    pending = begin_rotation(desk, role, actor=get_actor(parsed))
    is_feed = role is KeyRole.FEED
    serial = None if is_feed else publish(desk, actor=get_actor(parsed)).key_set.serial
    return print_result(
        parsed,
        {"key_id": pending.key_id, "key_set_serial": serial, "role": role.value},
        f"The next {role.value} key is {pending.key_id}.",
        f"Give {desk.paths.next_pin} to the gateway's operator: report-abuse-gateway pin --state DIR next.pin"
        if is_feed
        else f"It is in key set {serial}. Run publish again in an hour or later: then it signs.",
    )


def run_renew_delegation(parsed: argparse.Namespace) -> int:
    """Sign the root's word for the key-set key anew, for two years, and publish.

    Needs the root key: bring its folder, and take it away afterwards. --new-key moves to a new key-set key.
    """
    desk = open_desk(parsed.state)
    renewed = renew_delegation(
        desk,
        root_folder=parsed.root or desk.paths.root,
        with_new_key=parsed.new_key,
        actor=get_actor(parsed),
    )
    published = publish(desk, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"key_set_serial": published.key_set.serial, "not_after": renewed.not_after},
        f"The root's word holds until {renewed.not_after}; key set {published.key_set.serial} is published.",
    )


def run_change_root(parsed: argparse.Namespace) -> int:
    """Let the next root take over, name the one after it, and publish. The former root is gone from the folder.

    Gateway and partners have pinned the next root and follow by themselves. Give the new agency.pin to the gateway's
    operator all the same, before the next change: report-abuse-gateway pin.
    """
    desk = open_desk(parsed.state)
    pin = change_root(desk, root_folder=parsed.root or desk.paths.root, actor=get_actor(parsed))
    published = publish(desk, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"key_set_serial": published.key_set.serial, "root_fingerprint": pin.root_fingerprint},
        f"The root is {pin.root_fingerprint}; key set {published.key_set.serial} is published.",
        f"Give {desk.paths.pin} to the gateway's operator: report-abuse-gateway pin --state DIR agency.pin",
    )


def run_replace_sealing(parsed: argparse.Namespace) -> int:
    """Seal to a new key from now on, because the present one may have leaked, and publish.

    What was sealed to the old key still opens, here and for whoever has it.
    """
    desk = open_desk(parsed.state)
    name = replace_sealing_key(desk, actor=get_actor(parsed))
    published = publish(desk, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"key": name, "key_set_serial": published.key_set.serial},
        f"Reports are sealed to the key {name} from now on; key set {published.key_set.serial} is published.",
    )


def run_revoke(parsed: argparse.Namespace) -> int:
    """Let nobody believe a signing key any more, not even what it signed before, because it leaked; and publish.

    Whoever has a leaked key can sign words of any day, so an end from today on is not enough. What it signed in honesty
    is not believed either: partners cannot check old receipts or messages of it, and reports that wait at the gateway
    under a revoked receipt key are set aside for a person. Make its successor first: `keys rotate`. For a leaked
    key-set key: `keys renew-delegation --new-key`; for a sealing key: `keys replace-sealing`.
    """
    desk = open_desk(parsed.state)
    revoke_signing_key(desk, parsed.key_id, actor=get_actor(parsed))
    published = publish(desk, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"key_set_serial": published.key_set.serial, "revoked": parsed.key_id},
        f"Nobody believes the key {parsed.key_id} from now on; key set {published.key_set.serial} is published.",
    )


def run_destroy_sealing(parsed: argparse.Namespace) -> int:
    """Destroy a sealing key whose time is over, for good: nothing that was sealed to it opens ever again.

    Copies of it in backups are yours to destroy.
    """
    desk = open_desk(parsed.state)
    destroy_sealing_key(desk, parsed.key, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"destroyed": parsed.key},
        f"The sealing key {parsed.key} is destroyed. Destroy its copies in backups too, then run publish.",
    )


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    add = add_group(commands, "keys")
    add("list", run=run_list, example="--json")
    rotate = add("rotate", run=run_rotate, example="mailbox-signing")
    rotate.add_argument("role", choices=[role.value for role in ROTATED_ROLES], help="which key")
    renew = add("renew-delegation", run=run_renew_delegation, example="--root /media/root --new-key")
    renew.add_argument("--root", type=Path, metavar="DIR", help="where root.key is (default: in the state folder)")
    renew.add_argument("--new-key", action="store_true", help="move to a new key-set key")
    change = add("change-root", run=run_change_root, example="--root /media/root")
    change.add_argument("--root", type=Path, metavar="DIR", help="where both root keys are (default: state folder)")
    add("replace-sealing", run=run_replace_sealing)
    revoke = add("revoke", run=run_revoke, example="tWXvD6bK7pA")
    revoke.add_argument("key_id", metavar="KEY_ID", help="as `keys list` names it")
    destroy = add("destroy-sealing", run=run_destroy_sealing, example="2026-Q4")
    destroy.add_argument("key", metavar="KEY", help="its name in `keys list`")


def publish_register(parsed: argparse.Namespace, *, partner: str, done: str) -> int:
    """Sign the register, with the change of this partner, and give it to the gateway.

    `done` says what stands already if that fails.
    """
    try:
        published = publish(open_desk(parsed.state), actor=get_actor(parsed))
    except (TransportError, UnavailableError) as error:
        return publish_later(error, done=done)
    return print_result(
        parsed,
        {"partner": partner, "register_serial": published.register.serial},
        f"The gateway has register serial {published.register.serial}.",
    )


def publish_later(error: Exception, *, done: str) -> int:
    """Say that the action stands and the gateway does not know of it yet."""
    # Running the same command again would be refused: it is done here, and only the gateway does not know.
    return complain(f"{error} {done}; the gateway hears of it with the next `publish`.", code=TRY_AGAIN)
