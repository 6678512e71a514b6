"""Examines a desk: files, keys, database, audit log, lists, and the gateway. Opens nothing, and changes nothing.

A deep examination reads all that the desk stores, raises an alarm for each damage, and asks the gateway for it again.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from gateway.desk.cases.queue import count_requests
from gateway.desk.cases.watch import (
    describe_concern,
    format_advice,
    list_concerns,
    list_lost_quarters,
    list_waiting_concerns,
)
from gateway.desk.collection import damage
from gateway.desk.collection.chain import get_collector_state
from gateway.desk.collection.joining import list_misjoined
from gateway.desk.digests.ledger import list_journals
from gateway.desk.keyring.anchoring import check_audit
from gateway.desk.keyring.delegation import read_delegation
from gateway.desk.keyring.key_set import KEY_SET_LIFETIME, LOG_ROLE, has_role
from gateway.desk.keyring.publication import DAILY_ROLES, OPENINGS_NOTED, find_newest
from gateway.desk.office.people.register import list_mixed, list_people
from gateway.desk.office.suggestions import suggest
from gateway.desk.office.uk_times import get_uk_day
from gateway.desk.office.wiring import Clock, Desk, open_desk
from gateway.desk.outbox.alerts import list_escalation_warnings
from gateway.desk.outbox.queue import count_open
from gateway.desk.outbox.replies import WITHOUT_PLACE, list_carrier_faults
from gateway.desk.partners.account_changes import count_waiting, list_incomplete, list_old_keys
from gateway.desk.partners.placement_checks import OLD_AFTER, TO_SEE_TO, ConditionCode, list_conditions
from gateway.desk.retention.destruction import compare_with_vault, list_forgotten
from gateway.desk.retention.lists import MOST_COUNTED, count_past_review, list_drafts, list_due
from gateway.desk.store import audit
from gateway.desk.store.agency_tables import DIGEST_DRAWS, LEDGER
from gateway.desk.store.audit import count_alarms, list_alarm_subjects
from gateway.desk.store.schema import QUARANTINE
from gateway.desk.vault.key_folder import find_protection
from gateway.desk.vault.record import OPENINGS_FILE, OpeningRecord
from partner_sdk.errors import ReportAbuseError
from partner_sdk.finding import Finding, Verdict
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import parse_time, to_base64url
from partner_sdk.wire.signing import ALARM_BEFORE_EXPIRY

_SIGN_AFTER: Final = timedelta(days=2)

# A fault of a check, and the remedy; the table below names the checks, and words the result of one without a fault.
Fault = tuple[Verdict, str, str]
_MOST_NAMED: Final = 20
_PLACEMENT_WORDS: Final[dict[ConditionCode, str]] = {
    "with_faults": "The button is not as agreed at",
    "not_reached": "Could not reach the page of",
    "long_ago": f"Not checked for {OLD_AFTER.days} days, or never",
}


def examine(state: Path, *, clock: Clock, is_deep: bool = False) -> list[Finding]:
    """Return the findings, in the order in which to fix them."""
    try:
        desk = open_desk(state, clock=clock)
    except ReportAbuseError as error:
        return [Finding("state", "fault", str(error))]
    findings = list[Finding]()
    for name, check, well in _CHECKS:
        examining = _examine_deeply if is_deep and check is _examine_pages else check
        try:
            found = [Finding(name, verdict, detail, fix) for verdict, detail, fix in examining(desk)]
        except ReportAbuseError as error:
            found = [Finding(name, "fault", str(error), "See the runbooks of docs/operations.md.")]
        findings += found or [Finding(name, "ok", well)]
    return findings


def _examine_folder(desk: Desk) -> Iterator[Fault]:
    if desk.paths.state.stat().st_mode & 0o077:
        yield "fault", f"Other users can open {desk.paths.state}.", "Run chmod 700 on it."


def _examine_pages(desk: Desk) -> Iterator[Fault]:
    if desk.store.has_damage():
        yield "fault", "Pages of the desk's database are damaged.", format_advice(damage.PAGES)


def _examine_deeply(desk: Desk) -> Iterator[Fault]:
    try:
        feed = desk.make_feed()
        feed.get_status()
    except ReportAbuseError as error:
        feed = None
        yield "warning", f"The gateway is not asked for damaged reports again: {error}", "Run this again once it is."
    found = damage.look_for_damage(desk, feed=feed)
    if not desk.store.reads_every_page():
        fix = "Install amcheck in the desk's database (gateway/operations/postgresql/databases.sql)."
        yield "warning", "The server lacks amcheck: only pages with a wrong checksum that it met were noticed.", fix
    if found.not_taken:
        yield "warning", f"The vault did not answer: {', '.join(found.not_taken)} were not examined.", ""
    # Each kind of damage is a concern (watch.py), which the check "collecting" names with its references.
    if found.gaps:
        again = f"; {found.waiting_again} reports wait at the gateway for the next round of `collect`"
        detail = f"{len(found.gaps)} stored things are damaged or missing{again if found.waiting_again else ''}."
        yield "fault", detail, "See `alarms`."


def _examine_keys(desk: Desk) -> Iterator[Fault]:
    for role in (*DAILY_ROLES, KeyRole.IDENTIFIER, KeyRole.CASE):
        desk.read_key(role)
    status = desk.load_signer().get_status()
    if status.is_locked:
        detail = f"The vault is locked; it needs {' and '.join(status.custodians)}."
        yield "fault", detail, f"Run `{suggest('unlock')}`."
    if status.custodians and status.open_files:
        detail = f"{status.open_files} key files have no passphrase yet."
        yield "fault", detail, "Stop the vault, and run `keys protect` again."
    elif not status.custodians and desk.config.environment == "live":
        yield "warning", "The private keys have no passphrase.", "Stop the vault, and run `keys protect`."
    if status.is_locked:
        return
    with desk.store.read() as connection:
        lost = list_lost_quarters(connection, held=status.key_ids)
    if lost:
        detail = f"The sealing key of {', '.join(lost)} is missing."
        yield "fault", detail, "Restore it from a backup, or its reports cannot be opened."
    if desk.paths.root.is_dir():
        advice = "Keep them offline."
        if find_protection(desk.paths.root) is None:
            advice = f"Run `{suggest(f'keys protect --root {desk.paths.root}')}`, then keep them offline."
        yield "warning", f"The root keys are on this machine, in {desk.paths.root}.", advice


def _examine_openings(desk: Desk) -> Iterator[Fault]:
    record = OpeningRecord(desk.paths.vault / OPENINGS_FILE)
    with desk.store.read() as connection:
        anchored = audit.list_subjects(connection, OPENINGS_NOTED)
    heads = {to_base64url(head) for _, head in record.read()}
    lost = [head for head in anchored if head not in heads]
    if lost:
        detail = f"{len(lost)} heads of the vault's record of openings, in the audit log, are not in the record."
        yield "fault", detail, "Treat it as an intrusion: the record was cut or replaced."


def _examine_people(desk: Desk) -> Iterator[Fault]:
    if desk.config.demonstration:
        detail = "A one-time link signs in without a passkey, and one person may have roles that exclude each other."
        yield "fault", detail, "Remove `demonstration` from desk.toml."
    with desk.store.read() as connection:
        mixed = list_mixed(connection)
        mute = [one.person for one in list_people(connection) if one.ended_at is None and one.mail is None]
    if mixed:
        detail = f"Administrator or auditor, and also a role that reads reports: {_format_some(mixed)}."
        yield "warning", detail, "Give one of the roles to another person: `people end-role`."
    if mute and desk.config.carriers.mail != "off":
        detail = f"Without a mail address, so notified of a new passkey only on the desk's pages: {_format_some(mute)}."
        yield "warning", detail, "Record it: `people mail`."


def _examine_audit(desk: Desk) -> Iterator[Fault]:
    check = check_audit(desk)
    for fault in check.faults:
        yield "fault", fault.detail, fault.advice
    for loss in check.losses:
        yield "warning", loss, ""
    if check.is_whole:
        yield "ok", f"The audit log is whole: {check.entries} entries, {check.anchors} anchors.", ""


def _examine_lists(desk: Desk) -> Iterator[Fault]:
    now = desk.clock()
    for kind in ("keys", "register"):
        with desk.store.read() as connection:
            newest = find_newest(connection, kind)
        if newest is None:
            yield "fault", f"No {kind} list has been signed yet.", "Add the gateway's card, then run `publish`."
            continue
        age = now - parse_time(newest.signed_at)
        if age > KEY_SET_LIFETIME - ALARM_BEFORE_EXPIRY:
            yield "fault", f"The {kind} list was signed {age.days} days ago and expires after 90.", "Run `publish` now."
        elif newest.published_at is None or age > _SIGN_AFTER:
            detail = f"The {kind} list, serial {newest.serial}, is {age.days} days old or unpublished."
            yield "warning", detail, "Run `publish`."


def _examine_delegation(desk: Desk) -> Iterator[Fault]:
    left = parse_time(read_delegation(desk.paths).not_after) - desk.clock()
    if left <= ALARM_BEFORE_EXPIRY:
        detail = f"The root's delegation to the key-set key is valid for {left.days} more days."
        yield "fault", detail, "Fetch the root key, and run `keys renew-delegation`."


def _examine_gateway(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        has_log = has_role(connection, LOG_ROLE)
    if not has_log:
        detail = "No key of its public log is known: the desk cannot check that it keeps every report."
        fix = "Add its card and run `publish`. For a card without such a key its operator runs `rotate-log-key` first."
        yield "warning", detail, fix
    try:
        status = desk.make_feed().get_status()
    except ReportAbuseError as error:
        look = f"Run `curl {desk.config.feed_url}/health` here: is it the name, the firewall or the certificate?"
        yield "fault", str(error), f"{look} Then look at the feed's service at the gateway."
        return
    if status.environment != desk.config.environment:
        detail = f"The gateway at {desk.config.feed_url} is {status.environment}, this desk {desk.config.environment}."
        yield "fault", detail, "Name the gateway of this desk in desk.toml."
    now = desk.clock()
    for concern in list_waiting_concerns(status, now=now):
        yield "fault", describe_concern(concern, now=now), format_advice(concern.code)
    yield "ok", f"Gateway {status.instance} answers; {status.unacknowledged} reports are waiting there.", ""


def _examine_collecting(desk: Desk) -> Iterator[Fault]:
    now = desk.clock()
    with desk.store.read() as connection:
        state = get_collector_state(connection)
        concerns = list_concerns(connection, desk=desk)
    for concern in concerns:
        yield "fault", describe_concern(concern, now=now), format_advice(concern.code)
    if state.succeeded_at is None and not concerns:
        yield "warning", "Nothing has been collected yet.", "Keep `collect --every 60` running."


def _examine_work(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        alarms = count_alarms(connection)
        aside = connection.execute(
            select(func.count()).select_from(QUARANTINE).where(QUARANTINE.c.resolved_at.is_(None))
        ).scalar_one()
    if alarms or aside:
        detail = f"{alarms} alarms are open and {aside} rows are in quarantine."
        yield "warning", detail, "See `alarms`, and the page Quarantine."


def _examine_cases(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        lost = list_misjoined(connection)
        requests, late = count_requests(connection, today=get_uk_day(desk.clock()))
    if late:
        detail = f"{late} of {requests} requests to see, correct or wipe a report are past the law's month."
        yield "fault", detail, "Answer them on the page Requests to answer."
    elif requests:
        yield "warning", f"{requests} requests to see, correct or wipe a report wait for an answer.", ""
    if lost:
        detail = f"Joined to a report that does not start a case, so lists may hide it: {_format_some(lost)}."
        yield "fault", detail, "Open it on its page."


def _examine_partners(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        waiting = count_waiting(connection)
        old = list_old_keys(connection, now=desk.clock())
        gaps = list_incomplete(connection)
    if waiting:
        yield "warning", f"{waiting} account changes from partners are waiting.", "Partner managers decide them."
    for partner in old:
        yield "warning", f"The keys of {partner} are more than a year old.", "Ask the partner to run `keys rotate`."
    for partner, missing in gaps:
        detail = f"The registration of {partner} is incomplete. It lacks: {', '.join(missing).replace('_', ' ')}."
        yield "warning", detail, "Ask the partner to complete its registration."


def _examine_placements(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        conditions = list_conditions(connection, now=desk.clock())
    living = [one for one in conditions if one.placement.state != "ended"]
    # No alert for a changed page: the button's link works as before.
    for code in TO_SEE_TO:
        concerned = [one for one in living if one.code == code]
        if concerned:
            names = _format_some(sorted(one.placement.placement for one in concerned))
            last = [one.last for one in concerned if code == "not_reached" and one.last is not None]
            reasons = dict.fromkeys(f" {check.findings[0].what}" for check in last if check.findings)
            why = "".join(list(reasons)[:_MOST_NAMED])
            yield "warning", f"{_PLACEMENT_WORDS[code]}: {names}.{why}", "See their pages."


def _format_some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (" and others" if len(names) > _MOST_NAMED else "")


def _examine_outbox(desk: Desk) -> Iterator[Fault]:
    for fault in list_carrier_faults(desk):
        yield "fault", f"Notes cannot be sent. {fault}.", "Look at [carriers] in desk.toml."
    with desk.store.read() as connection:
        waiting = count_open(connection, "note")
        without_place = len(list_alarm_subjects(connection, WITHOUT_PLACE))
    if without_place:
        detail = f"The gateway no longer keeps the return codes of {without_place} replies."
        yield "warning", detail, "Answer these people another way. See `alarms`."
    if desk.config.carriers.notes == "off":
        yield "warning", f"Short notes are off; {waiting} are waiting.", "Set carriers.notes in desk.toml."


def _examine_escalation(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        warnings = list_escalation_warnings(desk, connection, is_for_later=True)
    # A sandbox has no real reports.
    verdict: Verdict = "fault" if desk.config.environment == "live" else "warning"
    for warning in warnings:
        yield verdict, warning, f"Mend {desk.paths.escalation}; until then a person watches the desk's first page."


def _examine_hours(desk: Desk) -> Iterator[Fault]:
    stale = desk.agency.find_stale_holidays(desk.clock())
    if stale is not None:
        yield *stale, f"Add the new list to {desk.paths.agency}."


def _examine_draws(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        draws = connection.execute(select(DIGEST_DRAWS.c.digest_id, DIGEST_DRAWS.c.table_name))
        stored = {(row.digest_id, row.table_name) for row in draws}
        is_paid = connection.execute(select(LEDGER.c.id).limit(1)).first() is not None
    journals = list(list_journals(desk.store.journal))
    unknown = [
        one.digest_id
        for one in journals
        if any(drawn.draw is not None and (one.digest_id, name) not in stored for name, drawn in one.tables.items())
    ]
    if unknown:
        detail = f"The journal has draws that the database lacks, of {_format_some(unknown)}."
        yield "warning", detail, "Make these digests again on the page Digests: their draws come from the journal."
    if is_paid and not journals:
        detail = f"The journal of draws is missing ({desk.store.journal}), and the ledger has spends."
        yield "warning", detail, "Put it back from the old machine. No backup has it."


def _examine_retention(desk: Desk) -> Iterator[Fault]:
    with desk.store.read() as connection:
        past = count_past_review(connection, today=get_uk_day(desk.clock()))
        due = sum(one.refusal is None for one in list_due(desk, connection, most=MOST_COUNTED))
        drafts, forgotten = len(list_drafts(connection)), len(list(list_forgotten(desk, connection)))
        faults = list(compare_with_vault(desk, connection))
    for fault in faults:
        advice = f"Unless a restore explains it, treat it as an intrusion. {_LOOK_AT_RETENTION}"
        yield "fault", fault, advice
    if forgotten:
        detail = f"The database forgot {forgotten} destructions: it comes from an older copy."
        yield "fault", detail, f"Run `{suggest('retention run')}`: it destroys those cases again."
    if past:
        yield "warning", f"{past} legal holds were to be looked at again by a day that has passed.", _LOOK_AT_RETENTION
    if drafts:
        yield "warning", f"{drafts} lists of cases to destroy wait for a signature.", _LOOK_AT_RETENTION
    elif due:
        yield "warning", f"{due} cases are due to be destroyed.", _LOOK_AT_RETENTION


_LOOK_AT_RETENTION: Final = "A supervisor opens the page Retention."
_CHECKS: Final[tuple[tuple[str, Callable[[Desk], Iterator[Fault]], str], ...]] = (
    ("folder", _examine_folder, "Only this user can open the desk's folder."),
    ("data", _examine_pages, "No page of the database is damaged. `doctor --deep` looks at every report and key."),
    ("keys", _examine_keys, "Every signing key and sealing key is in place."),
    ("people", _examine_people, "People sign in by passkey alone."),
    ("audit", _examine_audit, ""),
    ("openings", _examine_openings, "The vault's record of openings is whole, and has every head of the audit log."),
    ("lists", _examine_lists, "The key set and the register are published."),
    ("delegation", _examine_delegation, "The root's delegation to the key-set key is valid."),
    ("gateway", _examine_gateway, ""),
    ("collecting", _examine_collecting, "The desk collects, and no alert or report is overdue."),
    ("work", _examine_work, "No alarm is open and the quarantine is empty."),
    ("cases", _examine_cases, "Every later report is joined to the first report of its case."),
    ("draws", _examine_draws, "The journal of draws and the database agree."),
    ("partners", _examine_partners, "No partner is waiting, and no partner key is too old."),
    ("placements", _examine_placements, "No placement of the button needs attention."),
    ("outbox", _examine_outbox, "The carriers can send."),
    ("escalation", _examine_escalation, "The escalation has a person to call at every hour."),
    ("hours", _examine_hours, "The desk's hours and holidays are known."),
    ("retention", _examine_retention, "No case is due to be destroyed, and no legal hold to be looked at."),
)
