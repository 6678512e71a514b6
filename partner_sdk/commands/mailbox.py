"""The commands `inbox` and `digest`."""

import argparse
import json
import re

from partner_sdk.client.mailbox import MailboxAlarm, OpenedMessage, read_message
from partner_sdk.commands.frame import CommandGroup, PartnerCall
from partner_sdk.commands.message_words import find_words
from partner_sdk.commands.output import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.wire.digest import render_csv, render_json, render_table


def run_inbox(call: PartnerCall) -> int:
    """Fetch and save what waits, and list it; or show one saved message."""
    partner, speaker, args = call.partner, call.speaker, call.args
    if args.show is not None:
        opened = read_message(partner.state, args.show)
        if args.json:
            speaker.say_json({**_fields(opened), "body": json.loads(opened.body)})
        else:
            speaker.say(_line(opened))
            speaker.say(find_words(opened) or json.dumps(json.loads(opened.body), indent=2))
        return EXIT_DONE
    delivery = partner.collect_mailbox()
    listed = partner.messages() if args.all else list(delivery.messages)
    _warn(speaker, delivery.alarms)
    if args.json:
        alarms = [
            {"message_id": alarm.message_id, "reason": alarm.reason, "text": alarm.text} for alarm in delivery.alarms
        ]
        speaker.say_json({"alarms": alarms, "messages": [_fields(opened) for opened in listed]})
    else:
        for opened in listed:
            speaker.say(_line(opened))
        if not listed:
            speaker.say("No new messages.")
    return EXIT_ALARM if delivery.alarms else EXIT_DONE


def run_digest(call: PartnerCall) -> int:
    """Show the newest digest, or the one of a quarter, after a look into the mailbox."""
    partner, speaker, args = call.partner, call.speaker, call.args
    alarms = () if args.offline else look_into_mailbox(call)
    found = [digest for digest in partner.digests() if args.quarter in (None, digest.quarter)]
    if not found:
        speaker.warn("No digest has come for that quarter." if args.quarter else "No digest has come yet.")
        return EXIT_ALARM if alarms else EXIT_FAILED
    if args.json:
        speaker.say_json({"digest": json.loads(render_json(found[-1]))})
    elif args.csv:
        speaker.say_csv(render_csv(found[-1]))
    else:
        speaker.say(render_table(found[-1]))
    return EXIT_ALARM if alarms else EXIT_DONE


def look_into_mailbox(call: PartnerCall) -> tuple[MailboxAlarm, ...]:
    """Fetch and save what waits, and tell of alarms; while the gateway is down, what was saved before has to do."""
    alarms: tuple[MailboxAlarm, ...] = ()
    try:
        alarms = call.partner.collect_mailbox().alarms
    except (TransportError, UnavailableError) as error:
        call.speaker.warn(f"Only what was fetched before is shown. {error}")
    _warn(call.speaker, alarms)
    return alarms


def _warn(speaker: Speaker, alarms: tuple[MailboxAlarm, ...]) -> None:
    for alarm in alarms:
        where = f" Message {alarm.message_id}." if alarm.message_id else ""
        speaker.warn(f"ALARM ({alarm.reason}): {alarm.text}{where}")
    if alarms:
        speaker.warn("Tell the agency by another way than this service.")


def _line(opened: OpenedMessage) -> str:
    message = opened.message
    return f"{message.number:>4}  {message.issued_at}  {message.kind}  {message.message_id}"


def _fields(opened: OpenedMessage) -> dict[str, object]:
    message = opened.message
    return {
        "issued_at": message.issued_at,
        "kind": message.kind,
        "message_id": message.message_id,
        "number": message.number,
    }


def add_commands(top: CommandGroup) -> None:
    """Add this file's commands."""
    inbox = top.add("inbox", run=run_inbox, example="--all")
    inbox.add_argument("--all", action="store_true", help="list the saved messages too")
    inbox.add_argument("--show", metavar="NUMBER", type=int, help="show one saved message")
    digest = top.add("digest", run=run_digest, example="--quarter 2026-Q3 --csv")
    digest.add_argument("--quarter", type=_quarter, help="the digest of this quarter instead of the newest")
    digest.add_argument("--csv", action="store_true", help="one line per number")
    digest.add_argument("--offline", action="store_true", help="do not look into the mailbox first")


def _quarter(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-Q[1-4]", text):
        raise argparse.ArgumentTypeError("A quarter looks like 2026-Q3.")
    return text
