"""The commands `inbox`, `thread` and `digest`: the agency's messages, the words about them, and its figures."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_NOT_DELIVERED,
    Call,
    PartnerCommand,
    PartnerGroup,
    pick,
    read_input,
    shared_options,
)
from partner_sdk.client.mailbox import MailboxAlarm, OpenedMessage, read_message
from partner_sdk.client.threads import KeptEntry, Thread, ThreadKind, check_asked
from partner_sdk.errors import FormatError, MailboxError, ReportAbuseError, TransportError, UnavailableError
from partner_sdk.wire.canonical import decode, parse_exact
from partner_sdk.wire.digest import DigestNotice
from partner_sdk.wire.mailbox import MAX_ENTRY_CHARACTERS, MAX_WAIT_SECONDS, PACKAGE_OUTCOMES, EntryKind


@click.command(cls=PartnerCommand, example="--all")
@click.option("--all", "is_all", is_flag=True, help="List the saved messages too.")
@click.option("--show", metavar="NUMBER", type=int, help="Show one saved message with its body.")
@click.option(
    "--watch", "is_watching", is_flag=True, help="Stay, and print a line for each message as it comes, until Ctrl-C."
)
@click.option(
    "--wait",
    "wait_seconds",
    metavar="SECONDS",
    type=click.IntRange(1, MAX_WAIT_SECONDS),
    help=f"The longest wait for an answer with --watch, where a proxy cuts longer ones (default: {MAX_WAIT_SECONDS}).",
)
@shared_options
def inbox(call: Call, *, is_all: bool, show: int | None, is_watching: bool, wait_seconds: int | None) -> int:
    """Fetch, check, save and list the agency's messages."""
    if is_watching and (is_all or show is not None):
        raise click.UsageError("--watch goes with neither --all nor --show.")
    if wait_seconds is not None and not is_watching:
        raise click.UsageError("--wait goes with --watch.")
    partner = call.partner
    if is_watching:
        for delivery in partner.wait_for_messages(wait_seconds=wait_seconds or MAX_WAIT_SECONDS):
            for opened in delivery.messages:
                call.speaker.say_json_line({"message": _list_message_fields(opened)})
            for alarm in _warn(call, delivery.alarms):
                call.speaker.say_json_line({"alarm": alarm})
        raise AssertionError("a wait without an end has ended")
    if show is not None:
        opened = read_message(partner.state, show)
        return call.answer({**_list_message_fields(opened), "body": json.loads(opened.body)})
    delivery = partner.collect_mailbox()
    listed = partner.messages() if is_all else list(delivery.messages)
    alarms = _warn(call, delivery.alarms)
    fields = {"alarms": alarms, "messages": [_list_message_fields(opened) for opened in listed]}
    return call.answer(fields, code=EXIT_ALARM if alarms else EXIT_DONE)


offline_option = click.option("--offline", "is_offline", is_flag=True, help="Do not fetch the mailbox first.")


def fetch_mailbox(call: Call) -> list[dict[str, Any]]:
    """Fetch and save waiting messages, and return alarms; while the gateway is down, the saved ones have to do."""
    try:
        return _warn(call, call.partner.collect_mailbox().alarms)
    except (TransportError, UnavailableError) as error:
        call.speaker.warn(f"Only messages fetched earlier are shown. {error}")
        return []


def _warn(call: Call, alarms: Iterable[MailboxAlarm]) -> list[dict[str, Any]]:
    """Write alarms to standard error, and return them for JSON."""
    listed = list(alarms)
    for alarm in listed:
        where = f" Message {alarm.message_id}." if alarm.message_id else ""
        call.speaker.warn(f"ALARM ({alarm.reason}): {alarm.text}{where}")
    if listed:
        call.speaker.warn("Tell the agency, but not through this service.")
    return [pick(alarm, "message_id", "reason", "text") for alarm in listed]


def _list_message_fields(opened: OpenedMessage) -> dict[str, object]:
    return pick(opened.message, "issued_at", "kind", "message_id", "number")


@click.group(cls=PartnerGroup)
def thread() -> None:
    """Read packages, requests and alerts, and write about them."""


_LEFT_OUT: Final = "archive"  # longer than everything else, and useless to a reader of JSON
_id_argument: Final = click.argument("wanted", metavar="ID")


@thread.command("list", example="--kind information-request")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(["package", "information-request", "preservation-request", "terms-referral", "alert"]),
    help="Only messages of this kind [default: of every kind].",
)
@offline_option
@shared_options
def list_threads(call: Call, *, kinds: tuple[ThreadKind, ...], is_offline: bool) -> int:
    """List messages about cases, each with every entry about it."""
    alarms = [] if is_offline else fetch_mailbox(call)
    found = call.partner.threads.read(*kinds)
    for number in found.unreadable:
        call.speaker.warn(f"Message {number} cannot be read: tell the agency, or update this program.")
    now = call.runtime.clock()
    fields = {
        "alarms": alarms,
        "threads": [_list_fields(one, now=now) for one in found.threads],
        "unreadable": list(found.unreadable),
    }
    return call.answer(fields, code=EXIT_ALARM if alarms or found.unreadable else EXIT_DONE)


@thread.command(example="019ab3c5-...")
@_id_argument
@offline_option
@shared_options
def show(call: Call, *, wanted: str, is_offline: bool) -> int:
    """Show one message, and everything written about it."""
    alarms = [] if is_offline else fetch_mailbox(call)
    fields = {"alarms": alarms, "thread": _list_fields(_get_thread(call, wanted), now=call.runtime.clock())}
    return call.answer(fields, code=EXIT_ALARM if alarms else EXIT_DONE)


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry as its writer gives it; `outcome` is one of WIRE.md §9.6, for that kind alone."""

    kind: EntryKind
    by: str
    text: str = ""
    outcome: str | None = None


_MAX_WORDS_BYTES: Final = MAX_ENTRY_CHARACTERS * 6 + 4096  # each character may be written as an escape


@thread.command(example="019ab3c5-... answer.json")
@_id_argument
@click.argument("file")
@click.option(
    "--again", "is_again", is_flag=True, help="Send it though an earlier word of yours says the same or the opposite."
)
@shared_options
def write(call: Call, *, wanted: str, file: str, is_again: bool) -> int:
    """Write to the agency about a message.

    FILE is JSON with `kind` (acknowledge, question, answer, note, decline or outcome), `by` (your name, as the agency
    will read it), `text`, and `outcome` for that kind; - reads standard input.
    """
    raw = read_input(file, max_bytes=_MAX_WORDS_BYTES)
    try:
        words = decode(raw, kind=Words)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise FormatError("The file is not an entry: see `thread write --help`.", reason="malformed") from None
    if words.kind == "outcome" and words.outcome not in PACKAGE_OUTCOMES:
        raise FormatError(f"The outcome is one of: {', '.join(PACKAGE_OUTCOMES)}.", reason="malformed")
    alarms = fetch_mailbox(call)  # the agency may have taken the message back meanwhile
    about, threads = _get_thread(call, wanted), call.partner.threads
    if words.kind == "answer" and not is_again:
        check_asked(about)
    entry = threads.seal(
        about.message_id, kind=words.kind, by=words.by, text=words.text, outcome=words.outcome, again=is_again
    )
    try:
        sent = threads.send(entry)
    except ReportAbuseError as error:
        is_saved = any(one.entry_id == entry.entry_id for one in threads.list_waiting())
        if is_saved:
            call.speaker.warn("NOT SENT. It is sealed and saved: `report-abuse-partner spool flush` sends it.")
        call.warn_of(error)
        fields = {"entry": list_entry_fields(entry), "reason": error.reason, "sent": False}
        return call.answer(fields, code=EXIT_NOT_DELIVERED if is_saved else EXIT_FAILED)
    return call.answer({"entry": list_entry_fields(sent), "sent": True}, code=EXIT_ALARM if alarms else EXIT_DONE)


@thread.command("open", example="019ab3c5-... --out our-case")
@_id_argument
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="The new folder [default: package-ID].")
@offline_option
@shared_options
def open_package(call: Call, *, wanted: str, out: Path | None, is_offline: bool) -> int:
    """Check a package, and write its files into a new folder."""
    alarms = [] if is_offline else fetch_mailbox(call)
    found = _get_thread(call, wanted)
    folder = Path(f"package-{found.message_id}") if out is None else out
    opened = call.partner.threads.open_package(found.message_id, folder)
    fields = {
        "files": [str(path) for path in opened.files],
        "folder": str(folder),
        "manifest": msgspec.to_builtins(opened.manifest),
        "message_id": found.message_id,
    }
    return call.answer(fields, code=EXIT_ALARM if alarms else EXIT_DONE)


def _get_thread(call: Call, wanted: str) -> Thread:
    """Return the saved thread with this id or number; raises `MailboxError`."""
    for one in call.partner.threads.read().threads:
        if wanted in {one.message_id, str(one.number)}:
            return one
    raise MailboxError("There is no message with this id here: `thread list` fetches them.", reason="no-such-message")


def _list_fields(thread: Thread, *, now: datetime) -> dict[str, Any]:
    """Return a thread for JSON: every field of its message but the archive, and every entry."""
    names = [name for name in thread.body.__struct_fields__ if name != _LEFT_OUT]
    of_a_line = ("at", "by", "entry_id", "kind", "outcome", "report_id", "sent_at", "text")
    return {
        **{name: msgspec.to_builtins(getattr(thread.body, name)) for name in names},
        **pick(thread, "issued_at", "kind", "message_id", "state"),
        "answers": list(thread.answers),
        "message_number": thread.number,
        "overdue": thread.is_overdue(now),
        "thread": [{"from": "partner" if line.is_own else "agency", **pick(line, *of_a_line)} for line in thread.lines],
    }


def list_entry_fields(entry: KeptEntry) -> dict[str, Any]:
    """Return the note of an own entry for JSON."""
    return pick(entry, "about", "by", "entry_id", "kind", "outcome", "report_id", "sent_at", "written_at")


_MAX_NOTICE_BYTES: Final = 1024


def parse_period(text: str) -> str:
    """Read a period, e.g. `2026-Q3` or `2026`, or raise `click.BadParameter`."""
    if not re.fullmatch(r"[0-9]{4}(-Q[1-4])?", text):
        raise click.BadParameter("A period looks like 2026-Q3 or 2026.")
    return text


@click.command(cls=PartnerCommand, example="--period 2026-Q3")
@click.option(
    "--period",
    "--quarter",
    type=parse_period,
    metavar="YYYY-QN",
    help="The digest of this period, e.g. 2026-Q3 or 2026, not the newest.",
)
@offline_option
@shared_options
def digest(call: Call, *, period: str | None, is_offline: bool) -> int:
    """Print your newest digest."""
    alarms = [] if is_offline else fetch_mailbox(call)
    found = [one for one in call.partner.digests() if period in (None, one.period)]
    if not found:
        call.speaker.warn(_explain_absence(call, period))
        return call.answer({"alarms": alarms, "digest": None}, code=EXIT_ALARM if alarms else EXIT_FAILED)
    fields = {"alarms": alarms, "digest": msgspec.to_builtins(found[-1]), "rows": found[-1].to_rows()}
    return call.answer(fields, code=EXIT_ALARM if alarms else EXIT_DONE)


def _explain_absence(call: Call, period: str | None) -> str:
    if period is None:
        return "No digest has arrived yet."
    notices = [one for one in call.partner.messages() if one.message.kind == "digest-not-published"]
    bodies = (parse_exact(one.body, kind=DigestNotice, max_bytes=_MAX_NOTICE_BYTES) for one in notices)
    if period in [one.period for one in bodies]:
        return "The agency has decided not to publish a digest for that period. None will come."
    return "No digest has arrived for that period."
