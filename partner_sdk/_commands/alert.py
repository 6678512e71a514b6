"""The group `alert`: patterns of harm to look out for, and entries about them."""

from datetime import datetime
from typing import Final, cast

import click

from partner_sdk._commands.runtime import Call, PartnerGroup, shared_options
from partner_sdk._commands.threads import (
    Group,
    add_reading,
    by_option,
    id_argument,
    text_options,
    write_entry,
)
from partner_sdk.client.threads import ALERTS, STATE_LABELS, Thread
from partner_sdk.wire.canonical import parse_time
from partner_sdk.wire.mailbox import ServiceAlert


@click.group("alert", cls=PartnerGroup)
def alert() -> None:
    """Read the agency's alerts, and write about them."""


def _format_row(thread: Thread, now: datetime) -> str:
    body = cast("ServiceAlert", thread.body)
    state = "ended" if parse_time(body.expires_at) <= now else STATE_LABELS[thread.state]
    return f"{state}  until {body.expires_at[:10]}  {body.pattern.splitlines()[0]}"


_GROUP: Final = Group("alert", ALERTS, "The agency has sent no alerts.", lambda one: -one.number, _format_row)
add_reading(
    alert,
    _GROUP,
    list_help="List alerts, the newest first.",
    show_help="Show an alert whole, and everything written about it.",
)


@alert.command(example='019ab3c5-... --by "Anna Example"')
@id_argument
@by_option
@shared_options
@text_options
def acknowledge(call: Call, *, wanted: str, by: str, text: str) -> int:
    """Confirm that you have an alert and look out for it."""
    return write_entry(call, _GROUP, wanted, kind="acknowledge", by=by, text=text)


@alert.command(example='019ab3c5-... --by "Anna Example" --text-file found.txt')
@id_argument
@by_option
@shared_options
@text_options
def post(call: Call, *, wanted: str, by: str, text: str) -> int:
    """Send the agency your findings about an alert."""
    return write_entry(call, _GROUP, wanted, kind="note", by=by, text=text)
