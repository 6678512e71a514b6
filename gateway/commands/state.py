"""Commands that make, change and show a gateway's state: keys, pin, epoch, evidence, database, doctor, counts.

Counts are kept by name and week, never by person. `stale-data` reads only the days of each file, so it needs no state
folder.
"""

import hashlib
import json
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.commands.terminal import (
    DONE,
    FAULT,
    PORT,
    WRONG_USE,
    command,
    complain,
    json_option,
    print_json,
    say,
    state_option,
)
from gateway.config import StateFolder, load_config, load_pin, utc_now
from gateway.doctor import examine
from gateway.evidence import open_blobs
from gateway.evidence.blobs import LocalBlobs, check_blobs, copy_blobs
from gateway.exchange.feed import parse_pin
from gateway.guidance.agency import AGENCY_EXAMPLE, AGENCY_FILE
from gateway.guidance.signoffs import (
    BY,
    CODE_CHARACTERS,
    KEY,
    ON,
    ROLE,
    WHY,
    WORDS,
    Act,
    describe_status,
    format_status,
)
from gateway.guidance.signposts import COUNTRIES_FILE, SIGNPOSTS_FILE, print_stale, stale_options
from gateway.new_gateway import MAX_PIN_FILE_BYTES, NEXT_CARD_FILE, NewGateway, begin_key_change, create_gateway
from gateway.signoffs import list_signoffs, record
from gateway.store import StorageUnavailableError, open_own_store
from gateway.store.store import begin_epoch, list_counts, move_store
from gateway.web.settings import SettingsError
from gateway.wiring import get_gateway
from partner_sdk.durable_files import read_bounded, write_durably
from partner_sdk.errors import LocalStateError
from partner_sdk.finding import describe_findings, format_finding, is_well
from partner_sdk.key_files import KeyRole

_EXAMPLE_STATE = "--state /var/lib/report-abuse"
_FILE = click.Path(path_type=Path)


@command(example=f"{_EXAMPLE_STATE} --pin agency.pin --origin https://report.example")
@state_option
@click.option("--pin", "pin_file", type=_FILE, required=True, metavar="FILE", help="The desk's agency.pin.")
@click.option("--origin", required=True, metavar="URL", help="Address for the public and partners.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=PORT, default=8080, show_default=True, metavar="PORT", help="Port of the public and industry doors."
)
@click.option("--industry-port", type=PORT, metavar="PORT", help="A listener of its own for the industry door.")
@click.option("--feed-port", type=PORT, metavar="PORT", help="Port of the desk's feed.  [default: --port + 1]")
@click.option("--feed-origin", metavar="URL", help="Address for the desk.  [default: the feed's port]")
@click.option("--trusted-proxies", type=int, default=0, show_default=True, metavar="N", help="Proxies in front.")
@click.option("--instance", default="gateway-1", show_default=True, metavar="NAME", help="The gateway's name.")
@click.option("--agency-name", default="The agency", show_default=True, metavar="NAME", help="Shown to the public.")
@click.option("--banner", default="", metavar="TEXT", help="A line on every page of the form.")
@click.option("--database-uri", default="", metavar="URI", help="A PostgreSQL database.  [default: a file]")
@json_option
def init(state: Path, port: int, feed_port: int | None, *, as_json: bool, **settings: Any) -> int:
    """Make the state folder of a new gateway."""
    new = NewGateway(state=state, port=port, feed_port=port + 1 if feed_port is None else feed_port, **settings)
    card = create_gateway(new, clock=utc_now)
    folder, config = StateFolder(state), load_config(state)
    if as_json:
        print_json(
            {
                "card": str(folder.card),
                "environment": card.environment,
                "feed_origin": config.feed_origin,
                "instance": card.instance,
                "origin": card.origin,
                "receipt_key_id": card.receipt_key.key_id,
                "state": str(folder.path),
            }
        )
        return DONE
    say(f"Made the {card.environment} gateway {card.instance} in {folder.path}.")
    say(f"Give {folder.card} to the desk (report-abuse-desk gateway add), then publish from there.")
    say(f"Write the agency's own hours and promises into {folder.agency}: it holds an example.")
    say(f"The desk reaches this gateway's feed at {config.feed_origin}.")
    return DONE


@command(example=_EXAMPLE_STATE)
@state_option
@json_option
def rotate_receipt_key(state: Path, *, as_json: bool) -> int:
    """Make the next receipt key and its card for the desk.

    The gateway can keep running; it signs with the new key after a restart.
    """
    card = begin_key_change(state, KeyRole.RECEIPT, config=load_config(state), now=utc_now())
    if as_json:
        print_json({"card": str(card)})
        return DONE
    say(f"The next receipt key is ready. Give {card} to the desk: report-abuse-desk gateway add, then publish.")
    say("First copy keys/receipt.next.key to every other gateway. After `publish` restart every service of each.")
    say("Only then the desk ends the old key: a service that still signs with it would answer 503.")
    return DONE


@command(example=_EXAMPLE_STATE)
@state_option
@json_option
def rotate_log_key(state: Path, *, as_json: bool) -> int:
    """Make the next key of the public log and its card for the desk.

    A gateway from a release without a public log gets its first one, and logs from then on. The gateway can keep
    running; it signs with a next key after a restart.
    """
    card = begin_key_change(state, KeyRole.LOG, config=load_config(state), now=utc_now())
    if as_json:
        print_json({"card": str(card)})
        return DONE
    say(f"The log key is ready. Give {card} to the desk: report-abuse-desk gateway add, then publish.")
    if card.name == NEXT_CARD_FILE:
        say("First copy keys/log.next.key to every other gateway. After `publish` restart every service of each.")
        say("Only then the desk ends the old key.")
    return DONE


@command(example=_EXAMPLE_STATE)
@state_option
@json_option
def publish_form(state: Path, *, as_json: bool) -> int:
    """Put the hashes of the form's files and documents into the public log.

    Run it after each upgrade, and each change of settings or wording, once every gateway serves the new form. The
    manifest is served, and in the log, within a minute.
    """
    # Imported here: the form takes a second to load.
    from gateway.app import make_app
    from gateway.public.release import make_manifest, offer_release

    app = make_app(load_config(state, roles=("public",)), ("public",), state=state)
    store = get_gateway(app).store
    try:
        manifest = make_manifest(app)
        is_new = offer_release(store, manifest, now=utc_now())
    finally:
        store.close()
    count = len(json.loads(manifest)["manifest"]["files"])
    if as_json:
        print_json({"files": count, "is_new": is_new, "sha256": hashlib.sha256(manifest).hexdigest()})
    elif is_new:
        say(f"The hashes of {count} files are in the next batch of the log.")
    else:
        say(f"The log has the hashes of these {count} files already.")
    return DONE


@command(example=f"{_EXAMPLE_STATE} next.pin")
@click.argument("pin_file", type=_FILE, metavar="PIN", help="The desk's next.pin or agency.pin.")
@state_option
@json_option
def pin(pin_file: Path, state: Path, *, as_json: bool) -> int:
    """Install a new agency.pin.

    The desk makes one for its next feed key and after a root change. Restart the gateway afterwards.
    """
    try:
        raw = read_bounded(pin_file, max_bytes=MAX_PIN_FILE_BYTES)
    except LocalStateError:
        raise SettingsError(f"The pin {pin_file} is missing or unreadable.", reason="no-pin") from None
    new, old = parse_pin(raw), load_pin(state)
    roots = {old.root_fingerprint, old.next_root_fingerprint}
    if new.environment != old.environment or new.root_fingerprint not in roots:
        raise SettingsError(
            "This pin belongs to another agency or environment. A gateway cannot change its agency: make a new one.",
            reason="wrong-root",
        )
    write_durably(StateFolder(state).pin, raw)
    if as_json:
        print_json({"environment": new.environment, "feed_key": new.feed_key})
        return DONE
    say("The pin is in place. Restart the gateway: the feed accepts the new key from then on.")
    return DONE


@command(example=_EXAMPLE_STATE)
@state_option
@json_option
def restored(state: Path, *, as_json: bool) -> int:
    """Begin a new epoch of receipts after a restore.

    Run it after every restore of the database, before the gateway serves again.
    """
    store = open_own_store(state, config=load_config(state), is_checked=False)
    epoch = str(uuid.uuid4())
    try:
        begin_epoch(store, epoch=epoch, now=utc_now())
    except StorageUnavailableError as error:
        return complain(f"The database cannot be used ({error.reason}); `doctor` gives the details.", code=FAULT)
    finally:
        store.close()
    if as_json:
        print_json({"epoch": epoch})
    else:
        say(f"Epoch {epoch} begins. Run `report-abuse-desk collect` next: the desk reports the new epoch.")
    return DONE


@command(example=_EXAMPLE_STATE)
@state_option
@json_option
def copy_evidence(state: Path, *, as_json: bool) -> int:
    """Copy the evidence folder into the bucket that the settings name.

    Run it before the restart that takes the new settings, and again after it. It deletes nothing.
    """
    folder, config = StateFolder(state), load_config(state)
    if not config.evidence.store_uri:
        return complain(f"Name the bucket in {folder.config} first: store_uri under [evidence].", code=WRONG_USE)
    store = open_own_store(state, config=config)
    try:
        target = open_blobs(config, folder=folder)
        check_blobs(target)
        counted = copy_blobs(store, source=LocalBlobs(folder.evidence), target=target)
    except StorageUnavailableError as error:
        return complain(
            f"The database or the bucket cannot be used ({error.reason}); `doctor` gives the details.", code=FAULT
        )
    finally:
        store.close()
    counts = {kind: counted[kind] for kind in ("copied", "there", "missing", "damaged")}
    if as_json:
        print_json(counts)
    else:
        say(
            f"{counts['copied']} parts copied, {counts['there']} were there; {counts['missing']} are missing from the "
            f"folder, {counts['damaged']} are damaged in it: their senders are asked for them again."
        )
    return FAULT if counts["missing"] or counts["damaged"] else DONE


@command(example=_EXAMPLE_STATE)
@state_option
@json_option
def move_database(state: Path, *, as_json: bool) -> int:
    """Copy the rows of gateway.sqlite to the server of database_uri.

    Stop the gateway first, and write `database_uri` into gateway.toml. The database there must be empty. The file stays
    as it is. After an error nothing is changed, and the command may be run again, also after it has finished.
    """
    folder, config = StateFolder(state), load_config(state)
    moved = move_store(folder.database, lock_path=folder.lock, uri=config.database_uri)
    if as_json:
        print_json({"rows": moved})
    else:
        say(f"The server has all {sum(moved.values())} rows of {folder.database}, {moved['reports']} of them reports.")
    return DONE


# A test fails for a dated file that is in no list.
DATED_FILES: Final = (SIGNPOSTS_FILE, COUNTRIES_FILE)


@command(example="--state /var/lib/report-abuse --json")
@state_option
@json_option
def doctor(state: Path, *, as_json: bool) -> int:
    """Check a gateway and list its faults."""
    findings = examine(state, clock=utc_now)
    if as_json:
        print_json(describe_findings(findings))
    else:
        for line in (line for finding in findings for line in format_finding(finding)):
            say(line)
    return DONE if is_well(findings) else FAULT


@command(example="--state /var/lib/report-abuse --json")
@state_option
@json_option
def counts(state: Path, *, as_json: bool) -> int:
    """List the weekly counts of the form and of each campaign's link."""
    store = open_own_store(state, config=load_config(state))
    try:
        with store.read() as connection:
            weekly = list_counts(connection)
    finally:
        store.close()
    if as_json:
        rows = [{"name": name, "number": number, "week": week} for name, week, number in weekly]
        print_json({"counts": rows})
        return DONE
    for name, week, number in weekly:
        say(f"{week}  {number:7}  {name}")
    if not weekly:
        say("Nothing has been counted yet.")
    return DONE


@command(example="--days 90 --json")
@stale_options
def stale_data(state: Path | None, days: int, *, as_json: bool) -> int:
    """List facts whose last check is too old.

    The facts are bodies, numbers, countries and promises. Exit code 1 when the list has any.
    """
    agency = AGENCY_EXAMPLE if state is None else state / AGENCY_FILE
    return print_stale((*DATED_FILES, agency), today=utc_now().date(), days=days, as_json=as_json)


_STATE = "--state /var/lib/report-abuse-gateway"


@command(example=f"{_STATE} --json")
@state_option
@json_option
def list_all(state: Path, *, as_json: bool) -> int:
    """List every check: given, owed or stale.

    A check is stale once the words that were read have changed. Exit code 1 when any is owed or stale.
    """
    load_config(state)
    found = list_signoffs(state)
    if as_json:
        print_json({"checks": [describe_status(one) for one in found]})
    else:
        for one in found:
            say(format_status(one))
    return DONE if all(one.state == "given" for one in found) else FAULT


@command(
    example=f'form-en-youth-panel {_STATE} --by "S. Safety" --role "Youth panel lead" --words 81d50c2f --on 2026-11-20'
)
@KEY
@state_option
@BY
@ROLE
@WORDS
@ON
@json_option
def give(key: str, state: Path, *, by: str, role: str, words: str, on: datetime | None, as_json: bool) -> int:
    """Record that the words of a check were read.

    Give it when the reader found them right. It counts for exactly these words: when a release
    changes them, the check is owed again.
    """
    day = None if on is None else on.date()
    return _record(state, key, act="give", by=by, role=role, words=words, checked_on=day, as_json=as_json)


@command(example=f'form-en-youth-panel {_STATE} --by "S. Safety" --role "Youth panel lead" --why "Wrong sheet."')
@KEY
@state_option
@BY
@ROLE
@WHY
@json_option
def withdraw(key: str, state: Path, *, by: str, role: str, why: str, as_json: bool) -> int:
    """Withdraw a check that was given.

    The record keeps both.
    """
    return _record(state, key, act="withdraw", by=by, role=role, why=why, as_json=as_json)


def _record(state: Path, key: str, *, act: Act, as_json: bool, **fields: Any) -> int:
    load_config(state)
    entry = record(state, key, act=act, now=utc_now(), **fields)
    if as_json:
        print_json(msgspec.to_builtins(entry))
        return DONE
    done, code = ("given" if act == "give" else "withdrawn"), entry.words_sha256[:CODE_CHARACTERS]
    say(f"{entry.key} is {done} by {entry.by} ({entry.role}) for the words {code}, {entry.version}.")
    left = sum(one.state != "given" for one in list_signoffs(state))
    say("Every sign-off is given." if left == 0 else f"Sign-offs still owed: {left}.")
    return DONE
