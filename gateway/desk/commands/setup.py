"""Commands that make a desk and keep it in order: init, gateway add, publish, doctor, audit."""

import argparse
import secrets
from pathlib import Path

from gateway.desk import audit
from gateway.desk.config import DeskConfig, DeskPaths
from gateway.desk.doctor import examine
from gateway.desk.keyring.bootstrap import BootstrapError, add_gateway, end_receipt_key, make_desk
from gateway.desk.keyring.publication import Publication, publish
from gateway.desk.partners.invitations import publish_invitations
from gateway.desk.terminal import DONE, LOOK, Commands, add_command, add_group, get_actor, print_result
from gateway.desk.wiring import open_desk, utc_now
from partner_sdk.finding import describe_findings, format_finding, is_well
from partner_sdk.wire.keys import MAX_CARD_BYTES, parse_gateway_card


def run_init(parsed: argparse.Namespace) -> int:
    """Run `init`, and return its exit code."""
    config = DeskConfig(
        environment=parsed.environment,
        gateway_origin=parsed.gateway_origin,
        feed_url=parsed.feed,
        agency_name=parsed.agency_name,
    )
    pin = make_desk(parsed.state, config=config, now=utc_now(), random=secrets.token_bytes, actor=get_actor(parsed))
    paths = DeskPaths(parsed.state)
    return print_result(
        parsed,
        {
            "environment": pin.environment,
            "pin": str(paths.pin),
            "root_fingerprint": pin.root_fingerprint,
            "state": str(paths.state),
        },
        f"Made the {pin.environment} desk in {paths.state}.",
        f"Root fingerprint: {pin.root_fingerprint}",
        f"Give {paths.pin} to the gateway (report-abuse-gateway init --pin); it holds no secret.",
        f"Then: report-abuse-desk gateway add --state {paths.state} gateway.card",
        f"Write the agency's own hours into {paths.agency}, the same as at the gateway: it holds an example.",
        f"Keep a copy of {paths.root} offline and take it from this machine: only a change of keys needs it.",
    )


def run_gateway_add(parsed: argparse.Namespace) -> int:
    """Believe the receipts of a gateway from now on, by its gateway.card."""
    try:
        with parsed.card.open("rb") as handle:
            raw = handle.read(MAX_CARD_BYTES + 1)
    except OSError:
        raise BootstrapError(f"{parsed.card} is not there or cannot be read.", reason="no-card") from None
    card = parse_gateway_card(raw)
    is_new = add_gateway(open_desk(parsed.state), card, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"instance": card.instance, "is_new": is_new, "receipt_key_id": card.receipt_key.key_id},
        f"Gateway {card.instance} is {'added' if is_new else 'known already'}; its receipts are believed.",
        f"Then: report-abuse-desk publish --state {parsed.state}",
    )


def run_gateway_end_key(parsed: argparse.Namespace) -> int:
    """Believe nothing that a gateway's receipt key signs from now on, such as after a change or a leak.

    What it signed before stays believed. Run it after the gateway has moved to its new key, and then publish.
    """
    end_receipt_key(open_desk(parsed.state), parsed.key_id, actor=get_actor(parsed))
    return print_result(
        parsed,
        {"ended": parsed.key_id},
        f"The receipt key {parsed.key_id} ends now. Then: report-abuse-desk publish --state {parsed.state}",
    )


def run_publish(parsed: argparse.Namespace) -> int:
    """Run `publish`, and return its exit code.

    Run it every day: the key set expires 90 days after it was signed.
    """
    desk = open_desk(parsed.state)
    published = publish(desk, actor=get_actor(parsed))
    invitations = publish_invitations(desk, desk.make_feed())
    return print_result(
        parsed,
        {
            "invitations": invitations,
            "key_set_serial": published.key_set.serial,
            "register_serial": published.register.serial,
        },
        f"Key set: {_describe(published.key_set)}. Register: {_describe(published.register)}.",
    )


def run_doctor(parsed: argparse.Namespace) -> int:
    """Run `doctor`, and return its exit code."""
    findings = examine(parsed.state, clock=utc_now)
    lines = (line for finding in findings for line in format_finding(finding))
    return print_result(parsed, describe_findings(findings), *lines, code=DONE if is_well(findings) else LOOK)


def run_audit_check(parsed: argparse.Namespace) -> int:
    """Check that no entry of the audit log was altered, taken out or put in."""
    with open_desk(parsed.state).store.read() as connection:
        count = audit.check_chain(connection)
    return print_result(parsed, {"entries": count, "whole": True}, f"The audit log is whole: {count} entries.")


def add_commands(commands: "Commands[argparse.ArgumentParser]") -> None:
    """Add this file's commands."""
    init = add_command(
        commands,
        "init",
        run=run_init,
        example="--gateway-origin https://report.example --feed https://feed.report.example",
    )
    init.add_argument("--gateway-origin", required=True, metavar="URL", help="where the public and partners reach it")
    init.add_argument("--feed", required=True, metavar="URL", help="the gateway's feed, as this desk reaches it")
    init.add_argument(
        "--environment", choices=("live", "sandbox"), default="live", help="for good (default: %(default)s)"
    )
    init.add_argument("--agency-name", default="The agency", metavar="NAME", help="shown on the desk's pages")
    add_to_gateway = add_group(commands, "gateway")
    card = add_to_gateway("add", run=run_gateway_add, example="gateway.card")
    card.add_argument("card", type=Path, metavar="CARD", help="gateway.card, as the gateway made it")
    end = add_to_gateway("end-key", run=run_gateway_end_key, example="tWXvD6bK7pA")
    end.add_argument("key_id", metavar="KEY_ID", help="as `keys list` names it")
    add_command(commands, "publish", run=run_publish)
    add_command(commands, "doctor", run=run_doctor, example="--json")
    add_to_audit = add_group(commands, "audit")
    add_to_audit("check", run=run_audit_check)


def _describe(publication: Publication) -> str:
    if publication.is_new:
        return f"serial {publication.serial}, newly signed"
    return f"serial {publication.serial}, {'unchanged' if publication.was_published else 'published'}"
