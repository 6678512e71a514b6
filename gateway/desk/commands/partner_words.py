"""What `collect` says of enrolments and account changes: who waits, and what was refused and why."""

import argparse
from typing import Final

from gateway.desk.commands.frame import say
from gateway.desk.partnership.account_changes import ChangesTaken
from gateway.desk.partnership.enrolments import EnrolmentsTaken

NO_ENROLMENTS: Final = EnrolmentsTaken((), {})
NO_CHANGES: Final = ChangesTaken((), {})

_ENROLMENT_ADVICE: Final = {
    "key-in-use": "the partner answered with the keys of an earlier enrolment; it must enrol into a new folder, "
    "with a new invitation",
    "invitation-used": "this invitation was answered before; ask the partner whether both answers are its own",
    "invitation-expired": "the partner answered after the invitation's last day; write it a new one",
    "unknown-invitation": "this desk never wrote that invitation; ask the gateway's operator where it came from",
}
_ENROLMENT_OTHERWISE: Final = "the answer did not pass the checks; write the partner a new invitation"
_CHANGE_ADVICE: Final = {
    "unknown-partner": "this desk has no such partner; ask the gateway's operator where it came from",
    "partner-not-active": "the partner is suspended or its key revoked; write it an invitation if it may go on",
    "unknown-key": "another key than the one in force signed it; ask the partner whether it sent it",
    "bad-signature": "the keys did not all sign it; ask the partner whether it sent it",
    "key-in-use": "the new key was used before; the partner must make new ones",
}
_CHANGE_OTHERWISE: Final = "the change did not pass the checks; ask the partner whether it sent it"


def tell_enrolments(taken: EnrolmentsTaken, parsed: argparse.Namespace) -> None:
    """Say which partners wait for approval, and what was refused."""
    for partner in taken.waiting:
        say(f"{partner} has enrolled and waits: report-abuse-desk partner approve --state {parsed.state} {partner}")
    for (partner, reason), count in taken.refused.items():
        say(f"REFUSED: {count} enrolment(s) of {partner}. {reason}: {_advise_enrolment(reason)}.")


def tell_changes(taken: ChangesTaken) -> None:
    """Say which changes wait for a person, and what was refused."""
    for change in taken.waiting:
        what = "new keys" if change.kind == "keys" else "a registration"
        say(f"{change.partner} asks for {what}, change {change.change_id}: see `partner changes`.")
    for (partner, reason), count in taken.refused.items():
        say(f"REFUSED: {count} account change(s) of {partner}. {reason}: {_advise_change(reason)}.")


def list_refused(refused: dict[tuple[str, str], int]) -> list[dict[str, object]]:
    """Return refusals for machines."""
    return [{"count": count, "partner": partner, "reason": reason} for (partner, reason), count in refused.items()]


def _advise_enrolment(reason: str) -> str:
    return _ENROLMENT_ADVICE.get(reason, _ENROLMENT_OTHERWISE)


def _advise_change(reason: str) -> str:
    return _CHANGE_ADVICE.get(reason, _CHANGE_OTHERWISE)
