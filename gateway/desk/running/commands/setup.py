"""Commands that make a desk and keep it in order: init, gateway, publish, the audit log, doctor, stale-data."""

import secrets
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.desk.cases.actions.destinations import FACT_FILES, RULES_FILE
from gateway.desk.keyring.anchoring import accept_loss, anchor_audit, check_audit, note_check
from gateway.desk.keyring.publication import (
    BootstrapError,
    FirstPerson,
    Publication,
    add_gateway,
    check_receipt_key_unused,
    end_receipt_key,
    make_desk,
    publish,
)
from gateway.desk.office.config import DeskConfig, DeskPaths, load_config
from gateway.desk.office.people.permissions import Permission
from gateway.desk.office.people.register import get_account
from gateway.desk.office.people.releases import list_signed, verify_release
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.terminal import DONE, EXIT_CODES, FILE, LOOK, TRY_AGAIN, Call, desk_command, print_result
from gateway.desk.office.uk_times import format_uk_time
from gateway.desk.office.wiring import open_desk, utc_now
from gateway.desk.outgoing.package_content import HANDLING_FILE, LEGAL_BASES_FILE
from gateway.desk.partners.enrolments import publish_invitations
from gateway.desk.retention.destruction import list_certificates, verify_certificate
from gateway.desk.running.doctor import examine
from gateway.desk.store import audit, move_store
from gateway.exchange.feed import MAX_CARD_BYTES, parse_gateway_card
from gateway.guidance.agency import AGENCY_EXAMPLE, AGENCY_FILE
from gateway.guidance.risk import PHRASES_FILE
from gateway.guidance.signposts import SIGNPOSTS_FILE, print_stale, stale_options
from partner_sdk.durable_files import read_bounded
from partner_sdk.errors import LocalStateError, ReportAbuseError
from partner_sdk.finding import describe_findings, format_finding, is_well
from partner_sdk.lazy_group import ExampleCommand
from partner_sdk.wire.signing import Environment

_DESK: Final = Path(__file__).parents[2]
# One line a file; a test fails for a dated file that is in no list.
DATED_FILES: Final = (
    SIGNPOSTS_FILE,
    _DESK / "cases" / "reply_templates_en.toml",
    _DESK / "cases" / "reply_templates_cy.toml",
    _DESK / "outbox" / "notes.toml",
    _DESK / "retention" / "classes.toml",
    PHRASES_FILE,
    *FACT_FILES,
    RULES_FILE,
    _DESK / "outgoing" / "laws.toml",
    _DESK / "retention" / "rights.toml",
    _DESK / "outgoing" / "terms.toml",
    _DESK / "digests" / "invitation.toml",
    LEGAL_BASES_FILE,
    HANDLING_FILE,
)


@desk_command(None, example="--gateway-origin https://report.example --feed https://feed.report.example")
@click.option(
    "--gateway-origin", required=True, metavar="URL", help="The gateway's address for the public and partners."
)
@click.option(
    "--feed", "feed_url", required=True, metavar="URL", help="The address of the gateway's feed for this desk."
)
@click.option(
    "--environment",
    type=click.Choice(("live", "sandbox")),
    default="live",
    show_default=True,
    help="Cannot be changed later.",
)
@click.option(
    "--agency-name", default="The agency", show_default=True, metavar="NAME", help="Shown on the desk's pages."
)
@click.option(
    "--name", metavar="NAME", help="Your own name, as the first administrator.  [default: that of your account]"
)
@click.option("--database-uri", default="", metavar="URI", help="A PostgreSQL database.  [default: a file]")
def init(
    call: Call,
    gateway_origin: str,
    feed_url: str,
    environment: Environment,
    agency_name: str,
    database_uri: str,
    name: str | None,
) -> int:
    """Make a desk with all its keys, and agency.pin for the gateway.

    You become its first administrator, by your account of this machine.
    """
    config = DeskConfig(
        environment=environment,
        gateway_origin=gateway_origin,
        feed_url=feed_url,
        agency_name=agency_name,
        database_uri=database_uri,
    )
    account = get_account()
    first = FirstPerson(name=name or account, account=account)
    pin = make_desk(call.state, config=config, now=utc_now(), random=secrets.token_bytes, first=first)
    paths = DeskPaths(call.state)
    return print_result(
        call,
        {
            "environment": pin.environment,
            "pin": str(paths.pin),
            "root_fingerprint": pin.root_fingerprint,
            "state": str(paths.state),
        },
        f"Made the {pin.environment} desk in {paths.state}.",
        f"Root fingerprint: {pin.root_fingerprint}",
        f"You are its first administrator, by your account {account}: {suggest('people list')}",
        f"Give {paths.pin} to the gateway (report-abuse-gateway init --pin); it holds no secret.",
        f"Then: {suggest('gateway add gateway.card')}",
        f"Write the agency's own hours into {paths.agency}, the same as at the gateway: it holds an example.",
        f"Put a passphrase over the root keys: {suggest(f'keys protect --root {paths.root}')}",
        f"Then keep a copy of {paths.root} offline and remove it from this machine: only a change of keys needs it.",
    )


@desk_command(Permission.MANAGE_KEYS, example="gateway.card")
@click.argument("card", type=FILE, help="The gateway.card that the gateway made.")
def gateway_add(call: Call, card: Path) -> int:
    """Accept the receipts of a gateway from now on."""
    try:
        raw = read_bounded(card, max_bytes=MAX_CARD_BYTES)
    except LocalStateError:
        raise BootstrapError(f"{card} is missing or unreadable.", reason="no-card") from None
    found = parse_gateway_card(raw)
    is_new = add_gateway(open_desk(call.state), found, actor=call.actor)
    return print_result(
        call,
        {"instance": found.instance, "is_new": is_new, "receipt_key_id": found.receipt_key.key_id},
        f"Gateway {found.instance} {'is added' if is_new else 'was added before'}; its receipts are accepted.",
        f"Then: {suggest('publish')}",
    )


@desk_command(Permission.MANAGE_KEYS, example="tWXvD6bK7pA")
@click.argument("key_id", help="Its id in `keys list`.")
@click.option("--now", "is_at_once", is_flag=True, help="Even if a report of the last hour was signed with it.")
def gateway_end_key(call: Call, key_id: str, *, is_at_once: bool) -> int:
    """Accept no new receipts under a gateway's receipt key, e.g. after a change or a leak.

    Its earlier receipts stay valid. Run this an hour after every gateway has moved to its new key, and then publish.
    """
    desk = open_desk(call.state)
    if not is_at_once:
        check_receipt_key_unused(desk, key_id)
    end_receipt_key(desk, key_id, actor=call.actor)
    return print_result(call, {"ended": key_id}, f"The receipt key {key_id} ends now. Then: {suggest('publish')}")


@desk_command(Permission.PUBLISH)
def publish_command(call: Call) -> int:
    """Sign the key set and the register, and publish them.

    It signs those that changed or are a day old, and anchors the head of the audit log at the gateway. Run it every
    day: the key set expires 90 days after its signature.
    """
    desk = open_desk(call.state)
    published = publish(desk, actor=call.actor)
    invitations = publish_invitations(desk, desk.make_feed())
    anchor = anchor_audit(desk)
    return print_result(
        call,
        {
            "audit_anchor": asdict(anchor),
            "invitations": invitations,
            "key_set_serial": published.key_set.serial,
            "register_serial": published.register.serial,
        },
        f"Key set: {_describe(published.key_set)}. Register: {_describe(published.register)}.",
        f"Audit log: anchor {anchor.number} at entry {anchor.entries}.",
        *(
            [f"The gateway had lost {anchor.resent} anchors and has them again: was it restored?"]
            if anchor.resent
            else []
        ),
    )


@desk_command(Permission.CHECK_AUDIT)
def audit_check(call: Call) -> int:
    """Check the audit log, every second signature, and every certificate of destruction.

    The log by its hash chain and its anchors at the gateway; a signature must cover the exact bytes, and be made with a
    passkey that the log shows registered for its person. Exit code 1: an entry was altered, removed, inserted or
    written anew, or an anchor, a signature or a certificate does not hold. Exit code 3: the gateway was not asked, so
    the log was compared only with the anchors that are kept here.
    """
    desk = open_desk(call.state)
    check, unsigned = check_audit(desk), list[str]()
    note_check(desk, check)
    with desk.store.read() as connection:
        signed, certificates = list(list_signed(connection)), list_certificates(connection)
        checks: list[tuple[str, Callable[[], object]]] = [
            *(("", partial(verify_release, connection, one)) for one in signed),
            *(
                (f"{one.destruction_id}: ", partial(verify_certificate, desk, connection, bytes(one.certificate)))
                for one in certificates
            ),
        ]
        for name, verify in checks:
            try:
                verify()
            except ReportAbuseError as error:
                unsigned.append(f"{name}{error}")
    code = LOOK if check.faults or unsigned else TRY_AGAIN if check.not_asked else DONE
    newest = f", the newest of {format_uk_time(check.newest_at)}" if check.newest_at else ""
    lines = [*(f"{fault.detail} {fault.advice}" for fault in check.faults), *unsigned]
    if check.is_whole:
        lines.append(f"The audit log is whole: {check.entries} entries. {check.anchors} anchors match{newest}.")
    if not unsigned:
        lines.append(f"Genuine: {len(signed)} second signatures, {len(certificates)} certificates of destruction.")
    if check.not_asked:
        lines.append(f"The gateway was not asked: only the anchors kept here were compared. {check.not_asked}")
    found = {
        "certificates": len(certificates),
        "signatures": len(signed),
        "unsigned": unsigned,
        "whole": check.is_whole,
    }
    return print_result(call, msgspec.to_builtins(check) | found, *lines, *check.losses, code=code)


@desk_command(Permission.MANAGE_KEYS)
def audit_accept_loss(call: Call) -> int:
    """Record that entries of the audit log are lost, after this desk was restored from a backup.

    The loss stays in the log and in every later check, with your name.
    """
    losses = accept_loss(open_desk(call.state), actor=call.actor)
    return print_result(call, {"losses": losses}, *losses)


@desk_command(None)
def move_database(call: Call) -> int:
    """Copy the rows of desk.sqlite to the server of database_uri.

    Stop the desk first, and write `database_uri` into desk.toml. The database there must be empty. The file stays as it
    is. After an error nothing is changed, and the command may be run again, also after it has finished.
    """
    paths = DeskPaths(call.state)
    moved = move_store(paths.database, uri=load_config(paths).database_uri, check=audit.check_chain)
    rows, entries = sum(moved.values()), moved["audit"]
    text = f"The server has all {rows} rows of {paths.database}. The audit log is intact: {entries} entries."
    return print_result(call, {"rows": moved}, text)


@desk_command(None, example="--json")
@click.option("--deep", "is_deep", is_flag=True, help="Read every page, report, key and box, and fetch again.")
def doctor(call: Call, *, is_deep: bool) -> int:
    """Check this desk and list its faults.

    With --deep, daily: raise an alarm for each damaged or missing piece, and ask the gateway for its reports again.
    """
    findings = examine(call.state, clock=utc_now, is_deep=is_deep)
    lines = (line for finding in findings for line in format_finding(finding))
    return print_result(call, describe_findings(findings), *lines, code=DONE if is_well(findings) else LOOK)


@click.command(cls=ExampleCommand, example="--days 90 --json", epilog=EXIT_CODES)
@stale_options
def stale_data(state: Path | None, days: int, *, as_json: bool) -> int:
    """List facts whose last check is too old.

    The facts are bodies, numbers, hours and texts to send. Exit code 1 when the list has any.
    """
    own = [AGENCY_EXAMPLE] if state is None else [state / AGENCY_FILE, DeskPaths(state).destinations]
    files = (*DATED_FILES, *(path for path in own if path.name == AGENCY_FILE or path.exists()))
    return print_stale(files, today=utc_now().date(), days=days, as_json=as_json)


def _describe(publication: Publication) -> str:
    if publication.is_new:
        return f"serial {publication.serial}, newly signed"
    return f"serial {publication.serial}, {'unchanged' if publication.was_published else 'published'}"
