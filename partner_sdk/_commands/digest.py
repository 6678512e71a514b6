"""The command `digest`: the agency's figures as text, as a page, on paper, and as rows for other programs."""

import re
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from partner_sdk._commands.mailbox import fetch_mailbox, offline_option
from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    EXIT_FAILED,
    Call,
    PartnerCommand,
    Speaker,
    read_input,
    shared_options,
)
from partner_sdk.client._receipts import check_free
from partner_sdk.client.mailbox import MailboxAlarm
from partner_sdk.digests.page import render_page
from partner_sdk.digests.paper import render_paper
from partner_sdk.digests.view import Grid, list_changes, list_earlier, make_comparison
from partner_sdk.durable_files import write_new_durably
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import convert, decode, parse_exact
from partner_sdk.wire.digest import (
    MAX_DIGEST_BYTES,
    Digest,
    DigestNotice,
    check_digest,
    format_rows,
    render_csv,
    render_table,
)

_STANDARD_OUTPUT: Final = "-"
# A copy may be indented and hold rows too.
_MAX_COPY_BYTES: Final = 4 * MAX_DIGEST_BYTES
_MAX_NOTICE_BYTES: Final = 1024


def parse_period(text: str) -> str:
    """Read a period, e.g. `2026-Q3` or `2026`, or raise `click.BadParameter`."""
    if not re.fullmatch(r"[0-9]{4}(-Q[1-4])?", text):
        raise click.BadParameter("A period looks like 2026-Q3 or 2026.")
    return text


def parse_copy(raw: bytes) -> Digest:
    """Return the digest of a copy made with `digest --json`, or raise `FormatError`; its signature is not in it."""
    try:
        fields = decode(raw, kind=dict[str, Any])
        digest = convert(fields.get("digest", fields), kind=Digest)
        days = [date.fromisoformat(day) for day in (digest.first_day, digest.last_day, digest.made_at[:10])]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise FormatError("This file is not a copy made with `digest --json`.", reason="malformed") from None
    if days[0] > days[1]:
        raise FormatError("This digest ends before it begins.", reason="bad-digest")
    check_digest(digest)
    return digest


def _file_option(name: str, text: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(name, metavar="FILE", type=click.Path(path_type=Path), help=text, **settings)


@click.command(cls=PartnerCommand, example="--period 2026-Q3 --html digest.html")
@click.argument("copies", metavar="[COPY]...", nargs=-1)
@click.option(
    "--period",
    "--quarter",
    type=parse_period,
    metavar="YYYY-QN",
    help="The digest of this period, e.g. 2026-Q3 or 2026, not the newest.",
)
@_file_option("--html", "Write the page for managers to this new file; it needs no network and runs no script.")
@_file_option("--pdf", "Write the same page on A4 to this new file, for a board; needs the extra `pdf`.")
@_file_option(
    "--csv",
    "Write one row for each number to this new file (alone: to standard output).",
    is_flag=False,
    flag_value="-",
)
@click.option("--compare", "is_compared", is_flag=True, help="Put the periods before beside it.")
@offline_option
@shared_options
def digest(
    call: Call,
    *,
    copies: tuple[str, ...],
    period: str | None,
    html: Path | None,
    pdf: Path | None,
    csv: Path | None,
    is_compared: bool,
    is_offline: bool,
) -> int:
    """Show your newest digest, or write it for people and programs.

    COPY is a file made with `digest --json`: then no folder and no key is needed. Several stand beside each other.
    """
    files = [path for path in (html, pdf, csv) if path is not None and str(path) != _STANDARD_OUTPUT]
    for path in files:
        check_free(path)
    alarms: tuple[MailboxAlarm, ...] = ()
    if copies:
        kept = [parse_copy(read_input(name, max_bytes=_MAX_COPY_BYTES)) for name in copies]
        kept.sort(key=lambda one: (one.last_day, one.first_day))
        call.speaker = Speaker(kept[-1].environment)
        call.speaker.warn("A copy is shown as it is: only `digest` without a copy checks the agency's signature.")
    else:
        alarms = () if is_offline else fetch_mailbox(call)
        kept = call.partner.digests()
    found = [one for one in kept if period in (None, one.period)]
    if not found:
        call.speaker.warn(_explain_absence(call, period, has_copies=bool(copies)))
        return EXIT_ALARM if alarms else EXIT_FAILED
    shown = found[-1]
    beside = [*list_earlier(shown, kept), shown]
    if html is not None:
        write_new_durably(html, render_page(shown, kept=kept).encode("utf-8"))
    if pdf is not None:
        write_new_durably(pdf, render_paper(shown, kept=kept))
    rows = list_changes(beside) if is_compared else None
    text = render_csv(shown) if rows is None else format_rows(rows)
    if csv is not None and csv in files:
        write_new_durably(csv, text.encode("utf-8"))
    if call.is_json:
        call.speaker.say_json({"digest": msgspec.to_builtins(shown), "rows": shown.to_rows() if rows is None else rows})
    elif csv is not None and csv not in files:
        call.speaker.say_csv(text)
    elif files:
        call.speaker.say("\n".join(f"Wrote {path}." for path in files))
    else:
        call.speaker.say(render_table(shown) + (format_grid(make_comparison(beside)) if is_compared else ""))
    return EXIT_ALARM if alarms else EXIT_DONE


def _explain_absence(call: Call, period: str | None, *, has_copies: bool) -> str:
    if period is None:
        return "No digest has arrived yet."
    if not has_copies and period in _list_unpublished(call):
        return "The agency has decided not to publish a digest for that period. None will come."
    return "No digest has arrived for that period."


def _list_unpublished(call: Call) -> list[str]:
    notices = [one for one in call.partner.messages() if one.message.kind == "digest-not-published"]
    return [parse_exact(one.body, kind=DigestNotice, max_bytes=_MAX_NOTICE_BYTES).period for one in notices]


def format_grid(grid: Grid) -> str:
    """Return numbers of several periods side by side as text that fits a terminal."""
    table: list[Sequence[str]] = [("", *grid.columns, "")]
    table += [(title, *cells, remark) for title, remark, cells in grid.rows]
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join(["", grid.title, grid.explanation, *lines]) + "\n"
