"""The commands `inbox` and `digest`."""

import argparse
import json

from partner_sdk.cli_output import EXIT_ALARM, EXIT_DONE, EXIT_FAILED, Speaker
from partner_sdk.client import Partner
from partner_sdk.digest import render_csv, render_json, render_table
from partner_sdk.errors import TransportError, UnavailableError
from partner_sdk.mailbox import MailboxAlarm, OpenedMessage, read_message


def run_inbox(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """Fetch and save what waits, and list it; or show one saved message."""
    if args.show is not None:
        opened = read_message(partner.state, args.show)
        if args.json:
            speaker.say_json({**_fields(opened), "body": json.loads(opened.body)})
        else:
            speaker.say(_line(opened))
            speaker.say(json.dumps(json.loads(opened.body), indent=2))
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


def run_digest(partner: Partner, speaker: Speaker, args: argparse.Namespace) -> int:
    """Show the newest digest, or the one of a quarter, after a look into the mailbox."""
    alarms: tuple[MailboxAlarm, ...] = ()
    if not args.offline:
        try:
            alarms = partner.collect_mailbox().alarms
        except (TransportError, UnavailableError) as error:
            speaker.warn(f"Only what was fetched before is shown. {error}")
    _warn(speaker, alarms)
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
