"""The group `package`: list, read and acknowledge intelligence packages, ask about them, and send their outcome."""

from datetime import datetime
from pathlib import Path
from typing import Final, cast

import click
import msgspec

from partner_sdk._commands.mailbox import fetch_mailbox, offline_option
from partner_sdk._commands.runtime import (
    EXIT_ALARM,
    EXIT_DONE,
    FEW_EXIT_CODES,
    Call,
    PartnerGroup,
    read_input,
    shared_options,
)
from partner_sdk._commands.threads import (
    Group,
    add_reading,
    again_option,
    by_option,
    get_thread,
    id_argument,
    text_options,
    write_entry,
)
from partner_sdk.client.threads import OPEN_STATES, PACKAGES, STATE_LABELS, Thread
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.package_reader import ReadError, write_whole
from partner_sdk.package_reader import unseal as open_sealed
from partner_sdk.wire.mailbox import PACKAGE_OUTCOMES, Package


@click.group("package", cls=PartnerGroup)
def package() -> None:
    """Read and answer the agency's intelligence packages."""


def _order(thread: Thread) -> tuple[bool, bool, int]:
    is_urgent = isinstance(thread.body, Package) and thread.body.urgent
    return thread.state not in OPEN_STATES, not is_urgent, thread.number


def _format_row(thread: Thread, now: datetime) -> str:
    del now  # a package has no date by which it is due
    body = cast("Package", thread.body)
    return f"{STATE_LABELS[thread.state]}  {'URGENT  ' if body.urgent else ''}{body.title}"


_GROUP: Final = Group("package", PACKAGES, "The agency has sent no packages.", _order, _format_row)
add_reading(
    package,
    _GROUP,
    list_help="List packages, the urgent and new ones first.",
    show_help="Show a package's title, and everything written about it.",
)


@package.command("open", example="019ab3c5-... --out our-case")
@id_argument
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="The new folder [default: package-ID].")
@offline_option
@shared_options
def open_package(call: Call, *, wanted: str, out: Path | None, is_offline: bool) -> int:
    """Check a package, and write its files into a new folder."""
    alarms = () if is_offline else fetch_mailbox(call)
    thread = get_thread(call, _GROUP, wanted)
    folder = Path(f"package-{thread.message_id}") if out is None else out
    opened = call.partner.threads.open_package(thread.message_id, folder)
    fields = {
        "files": [str(path) for path in opened.files],
        "folder": str(folder),
        "manifest": msgspec.to_builtins(opened.manifest),
        "message_id": thread.message_id,
    }
    lines = [
        "The package is whole, and signed by the agency.",
        f"Case {opened.manifest.reference}, for {opened.manifest.recipient}.",
        *(f"  {path}" for path in sorted(opened.files, key=lambda one: one != folder / "page.html")),
        f"Read {folder / 'page.html'} or {folder / 'page.pdf'} first.",
        "It holds personal data of a child: guard the folder as your case files, and delete it once they have it.",
    ]
    if thread.find_own("acknowledge") is None:
        lines.append(
            f'Not acknowledged yet: report-abuse-partner package acknowledge {thread.message_id} --by "Your name"'
        )
    return call.answer(fields, lines, code=EXIT_ALARM if alarms else EXIT_DONE)


@package.command(example='019ab3c5-... --by "Sergeant Anna Example"')
@id_argument
@by_option
@again_option
@shared_options
@text_options
def acknowledge(call: Call, *, wanted: str, by: str, text: str, is_again: bool) -> int:
    """Confirm that you have a package and take it on."""
    return write_entry(call, _GROUP, wanted, kind="acknowledge", by=by, text=text, is_again=is_again)


@package.command(example='019ab3c5-... --by "Sergeant Anna Example" --text-file question.txt')
@id_argument
@by_option
@shared_options
@text_options
def ask(call: Call, *, wanted: str, by: str, text: str) -> int:
    """Ask the agency's supporting officer about a package."""
    return write_entry(call, _GROUP, wanted, kind="question", by=by, text=text)


@package.command(example='019ab3c5-... --by "Sergeant Anna Example" --text-file answer.txt')
@id_argument
@by_option
@again_option
@shared_options
@text_options
def answer(call: Call, *, wanted: str, by: str, text: str, is_again: bool) -> int:
    """Answer the agency's question about a package."""
    return write_entry(call, _GROUP, wanted, kind="answer", by=by, text=text, is_again=is_again)


@package.command(example='019ab3c5-... --by "Sergeant Anna Example" --text "Not our area."')
@id_argument
@by_option
@again_option
@shared_options
@text_options
def decline(call: Call, *, wanted: str, by: str, text: str, is_again: bool) -> int:
    """Return a package that you cannot take on, with the reason."""
    return write_entry(call, _GROUP, wanted, kind="decline", by=by, text=text, is_again=is_again)


_OUTCOME_LINES: Final = "\n".join(f"  {code:<20}{title}" for code, title in PACKAGE_OUTCOMES.items())


@package.command(
    example='019ab3c5-... safeguarded --by "Sergeant Anna Example"',
    help=f"Send the agency the outcome of a package.\n\n\b\nOUTCOME is one of:\n{_OUTCOME_LINES}",
)
@id_argument
@click.argument("code", metavar="OUTCOME", required=False)
@by_option
@again_option
@shared_options
@text_options
def outcome(call: Call, *, wanted: str, code: str | None, by: str, text: str, is_again: bool) -> int:
    """Send the agency the outcome of a package."""
    if code not in PACKAGE_OUTCOMES:
        call.speaker.warn(_OUTCOME_LINES)
        said = "The outcome is missing" if code is None else f"There is no outcome {code!r}"
        raise click.UsageError(f"{said}: give one of the codes above")
    return write_entry(call, _GROUP, wanted, kind="outcome", by=by, text=text, outcome=code, is_again=is_again)


_PASSPHRASE_BYTES: Final = 200  # a line of 20 letters, with spaces and hyphens


@package.command(example="package.sealed --out package.zip", exit_codes=FEW_EXIT_CODES)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The new file for the archive."
)
@click.option("--passphrase-file", metavar="FILE", help="Read it from a file; - reads standard input.")
@shared_options
def unseal(call: Call, *, file: Path, out: Path, passphrase_file: str | None) -> int:
    """Open a sealed package with its passphrase, without an account.

    The file partner_sdk/package_reader.py does the same alone, and also checks the archive.
    """
    passphrase = _ask_passphrase() if passphrase_file is None else _read_passphrase(passphrase_file)
    try:
        with file.open("rb") as sealed:
            write_whole(out, open_sealed(sealed, passphrase=passphrase))
    except ReadError as error:
        raise FormatError(str(error), reason=error.reason) from None
    except OSError as error:
        raise LocalStateError(f"Cannot open {file} into {out}: {error.strerror}.", reason="cannot-write") from None
    return call.answer(
        {"archive": str(out)}, [f"Wrote {out}. It is whole; its manifest is signed: see docs/package.md."]
    )


def _ask_passphrase() -> str:
    return str(click.prompt("Passphrase", hide_input=True, err=True))


def _read_passphrase(name: str) -> str:
    return read_input(name, max_bytes=_PASSPHRASE_BYTES).decode("ascii", "replace")
