"""The shared part of the groups `package`, `request` and `alert`: lists, one thread, and entries about it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Final

import click
import msgspec

from partner_sdk._commands.mailbox import fetch_mailbox, offline_option
from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_NOT_DELIVERED,
    Call,
    PartnerGroup,
    Run,
    pick,
    read_input,
    shared_options,
)
from partner_sdk.client.threads import KeptEntry, Line, Thread, ThreadKind, check_asked, format_package_outcome
from partner_sdk.errors import FormatError, MailboxError, ReportAbuseError
from partner_sdk.wire.mailbox import MAX_ENTRY_CHARACTERS, EntryKind

_LEFT_OUT: Final = "archive"  # longer than everything else, and useless to a reader of JSON


@dataclass(frozen=True, slots=True)
class Group:
    """One group of commands: its word, the kinds of messages that it shows, their order, and their first row."""

    word: str
    kinds: tuple[ThreadKind, ...]
    empty: str
    order: Callable[[Thread], Any]
    row: Callable[[Thread, datetime], str]


id_argument: Final = click.argument("wanted", metavar="ID")


NAME_ASKED: Final = 'Give your name, as the agency will read it: --by "Sergeant Anna Example"'


def _require_name(ctx: click.Context, param: click.Parameter, name: str | None) -> str:
    del param
    if not (name or "").strip() and not ctx.resilient_parsing:
        raise click.UsageError(NAME_ASKED, ctx)
    return name or ""


def by_option(function: Run) -> Run:
    """Add the option for the name of the writer, which may not be missing or blank."""
    help_text = "Your name, as the agency will read it.  [required]"
    return click.option("--by", metavar="NAME", callback=_require_name, help=help_text)(function)


again_option: Final = click.option(
    "--again", "is_again", is_flag=True, help="Send it though an earlier word of yours says the same or the opposite."
)
# What the words of each kind are, for a person who gave none.
_WORDS_ASKED: Final[Mapping[EntryKind, str]] = {
    "question": "question",
    "answer": "answer",
    "note": "findings",
    "decline": "reason",
}


def text_options(function: Run) -> Run:
    """Add the options for the words; the command gets them as `text`, empty without either."""

    @click.option("--text", metavar="WORDS", help="The words. Other programs here may see them while this runs.")
    @click.option("--text-file", metavar="FILE", help="Read the words from a file; - reads standard input.")
    @wraps(function)
    def run(call: Call, *, text: str | None, text_file: str | None, **options: Any) -> int:
        if text is not None and text_file is not None:
            raise click.UsageError("Give the words with --text or with --text-file, not with both.")
        return function(call, text=text or "" if text_file is None else _read_text(text_file), **options)

    return run


def _read_text(name: str) -> str:
    try:
        return read_input(name, max_bytes=MAX_ENTRY_CHARACTERS * 4).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise FormatError("The file with the words is not text in UTF-8.", reason="not-text") from None


def add_reading(commands: PartnerGroup, group: Group, *, list_help: str, show_help: str) -> None:
    """Add the commands `list` and `show` of a group."""

    @commands.command("list", example="--json", help=list_help)
    @offline_option
    @shared_options
    def run_list(call: Call, *, is_offline: bool) -> int:
        return _show_all(call, group, is_offline=is_offline)

    @commands.command("show", example="019ab3c5-...", help=show_help)
    @id_argument
    @offline_option
    @shared_options
    def run_show(call: Call, *, wanted: str, is_offline: bool) -> int:
        return _show_one(call, group, wanted, is_offline=is_offline)


def _show_all(call: Call, group: Group, *, is_offline: bool) -> int:
    """Fetch the mailbox and list the threads of a group."""
    alarms = () if is_offline else fetch_mailbox(call)
    found = call.partner.threads.read(*group.kinds)
    for number in found.unreadable:
        call.speaker.warn(f"Message {number} cannot be read: tell the agency, or update this program.")
    now, threads = call.runtime.clock(), sorted(found.threads, key=group.order)
    fields = {
        "alarms": [pick(alarm, "message_id", "reason", "text") for alarm in alarms],
        f"{group.word}s": [list_fields(one, now=now) for one in threads],
        "unreadable": list(found.unreadable),
    }
    lines = [line for one in threads for line in _format_rows(group, one, now=now)] or [group.empty]
    return call.answer(fields, lines, code=EXIT_ALARM if alarms or found.unreadable else EXIT_DONE)


def _show_one(call: Call, group: Group, wanted: str, *, is_offline: bool) -> int:
    """Fetch the mailbox and show one thread of a group as JSON, with everything that was written about it."""
    alarms = () if is_offline else fetch_mailbox(call)
    thread, now = get_thread(call, group, wanted), call.runtime.clock()
    fields = list_fields(thread, now=now)
    return call.answer(
        {group.word: fields},
        [group.row(thread, now), json.dumps(fields, indent=2)],
        code=EXIT_ALARM if alarms else EXIT_DONE,
    )


def get_thread(call: Call, group: Group, wanted: str) -> Thread:
    """Return the saved thread that a person names by its id or its number; raises `MailboxError`."""
    for thread in call.partner.threads.read(*group.kinds).threads:
        if wanted in {thread.message_id, str(thread.number)}:
            return thread
    raise MailboxError(
        f"There is no {group.word} with this id here. `report-abuse-partner {group.word} list` fetches and lists them.",
        reason="no-such-message",
    )


def write_entry(
    call: Call,
    group: Group,
    wanted: str,
    *,
    kind: EntryKind,
    by: str,
    text: str = "",
    outcome: str | None = None,
    is_again: bool = False,
) -> int:
    """Look whether the agency took the message back meanwhile; then seal, save and send one entry about it."""
    if kind in _WORDS_ASKED and not text.strip():
        raise click.UsageError(f'Write the {_WORDS_ASKED[kind]}: --text "..." or --text-file FILE')
    alarms = fetch_mailbox(call)
    thread = get_thread(call, group, wanted)
    if kind == "answer" and not is_again:
        check_asked(thread)
    entry = call.partner.threads.seal(thread.message_id, kind=kind, by=by, text=text, outcome=outcome, again=is_again)
    code = send_entry(call, entry)
    earlier = thread.find_own("outcome")
    if code == EXIT_DONE and kind == "outcome" and earlier is not None:
        told = format_package_outcome(earlier.outcome or "")
        call.speaker.warn(f"{earlier.by} told an outcome at {earlier.at}: {told} Sent as well.")
    return EXIT_ALARM if alarms and code == EXIT_DONE else code


def send_entry(call: Call, entry: KeptEntry, **more: Any) -> int:
    """Send a sealed entry and show whether the gateway has it; `more` goes into the JSON."""
    threads = call.partner.threads
    try:
        sent = threads.send(entry)
    except ReportAbuseError as error:
        is_saved = any(one.entry_id == entry.entry_id for one in threads.list_waiting())
        if is_saved:
            call.speaker.warn("NOT SENT. It is sealed and saved: `report-abuse-partner spool flush` sends it.")
        call.warn_of(error)
        fields = {"entry": _list_entry_fields(entry), "reason": error.reason, "sent": False, **more}
        return call.answer(fields, code=EXIT_NOT_DELIVERED if is_saved else EXIT_FAILED)
    lines = ["Sent. The agency gets it when it next collects, and you find its answer in your mailbox."]
    return call.answer({"entry": _list_entry_fields(sent), "sent": True, **more}, lines)


def list_fields(thread: Thread, *, now: datetime) -> dict[str, Any]:
    """Return a thread for JSON: every field of its message but the archive, and every entry."""
    names = [name for name in thread.body.__struct_fields__ if name != _LEFT_OUT]
    return {
        **{name: msgspec.to_builtins(getattr(thread.body, name)) for name in names},
        **pick(thread, "issued_at", "kind", "message_id", "state"),
        "answers": list(thread.answers),
        "message_number": thread.number,
        "overdue": thread.is_overdue(now),
        "thread": [_list_line_fields(line) for line in thread.lines],
    }


def _list_line_fields(line: Line) -> dict[str, Any]:
    names = ("at", "by", "entry_id", "kind", "outcome", "report_id", "sent_at", "text")
    return {"from": "partner" if line.is_own else "agency", **pick(line, *names)}


def _list_entry_fields(entry: KeptEntry) -> dict[str, Any]:
    return pick(entry, "about", "by", "entry_id", "kind", "outcome", "report_id", "sent_at", "written_at")


def _format_rows(group: Group, thread: Thread, *, now: datetime) -> Iterable[str]:
    yield group.row(thread, now)
    yield f"  {thread.number}  {thread.message_id}  of {thread.issued_at}"
    if thread.is_asked:
        asked = thread.lines[-1]
        yield f"  The agency asks ({asked.by}): {(asked.text or '').partition(chr(10))[0]}"
    for line in thread.lines:
        if line.sent_at is None:
            yield f"  NOT SENT: your {line.kind} of {line.at}; `report-abuse-partner spool flush` sends it"
