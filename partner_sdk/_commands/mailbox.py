"""The command `inbox`: fetches, checks, saves and lists the agency's messages."""

import json

import click

from partner_sdk._commands.runtime import EXIT_ALARM, EXIT_DONE, Call, PartnerCommand, pick, shared_options
from partner_sdk.client.mailbox import MailboxAlarm, OpenedMessage, read_message
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.wire.mailbox import MAX_WAIT_SECONDS


@click.command(cls=PartnerCommand, example="--all")
@click.option("--all", "is_all", is_flag=True, help="List the saved messages too.")
@click.option("--show", metavar="NUMBER", type=int, help="Show one saved message, its body as JSON.")
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
        return _watch(call, wait_seconds=wait_seconds or MAX_WAIT_SECONDS)
    if show is not None:
        opened = read_message(partner.state, show)
        body = json.loads(opened.body)
        return call.answer({**_fields(opened), "body": body}, [_line(opened), json.dumps(body, indent=2)])
    delivery = partner.collect_mailbox()
    listed = partner.messages() if is_all else list(delivery.messages)
    _warn(call, delivery.alarms)
    alarms = [pick(alarm, "message_id", "reason", "text") for alarm in delivery.alarms]
    fields = {"alarms": alarms, "messages": [_fields(opened) for opened in listed]}
    lines = [_line(opened) for opened in listed] or ["No new messages."]
    return call.answer(fields, lines, code=EXIT_ALARM if alarms else EXIT_DONE)


def _watch(call: Call, *, wait_seconds: int) -> int:
    """Print messages as they come, one line for each; with `--json` each line is an object. Ends with Ctrl-C."""
    for delivery in call.partner.wait_for_messages(wait_seconds=wait_seconds):
        for opened in delivery.messages:
            if call.is_json:
                call.speaker.say_json_line({"message": _fields(opened)})
            else:
                call.speaker.say(_line(opened))
        _warn(call, delivery.alarms)
        for alarm in delivery.alarms if call.is_json else ():
            call.speaker.say_json_line({"alarm": pick(alarm, "message_id", "reason", "text")})
    raise AssertionError("a wait without an end has ended")


offline_option = click.option("--offline", "is_offline", is_flag=True, help="Do not fetch the mailbox first.")


def fetch_mailbox(call: Call) -> tuple[MailboxAlarm, ...]:
    """Fetch and save waiting messages, and show alarms; while the gateway is down, the saved ones have to do."""
    alarms: tuple[MailboxAlarm, ...] = ()
    try:
        alarms = call.partner.collect_mailbox().alarms
    except (TransportError, UnavailableError) as error:
        call.speaker.warn(f"Only messages fetched earlier are shown. {error}")
    _warn(call, alarms)
    return alarms


def _warn(call: Call, alarms: tuple[MailboxAlarm, ...]) -> None:
    for alarm in alarms:
        where = f" Message {alarm.message_id}." if alarm.message_id else ""
        call.speaker.warn(f"ALARM ({alarm.reason}): {alarm.text}{where}")
    if alarms:
        call.speaker.warn("Tell the agency, but not through this service.")


def _line(opened: OpenedMessage) -> str:
    message = opened.message
    return f"{message.number:>4}  {message.issued_at}  {message.kind}  {message.message_id}"


def _fields(opened: OpenedMessage) -> dict[str, object]:
    return pick(opened.message, "issued_at", "kind", "message_id", "number")
