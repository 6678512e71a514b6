"""What somebody who came back adds: a draft that counts as sent once, so that it is linked to their first report.

Short: whether someone is in danger now, then their own words, then the check. Danger comes first here too, because it
decides how soon a person reads it.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from gateway.public.door import PublicDoor
from gateway.public.journey import CHECK, SCREEN_BY_NAME, STORY, Answers, Screen, get_next, get_one
from gateway.public.navigation import REPLIES
from gateway.public.returning.replies import Returned, ReturnPlace
from gateway.public.returning.return_code import make_reply_public_key
from gateway.public.visiting.drafts import Draft, Sent, make_submit_token
from gateway.public.visiting.forms import Fault, list_faults
from partner_sdk.wire.canonical import format_time, parse_time
from partner_sdk.wire.public_codes import NOT_SURE, YES

DANGER: Final = "danger"
_DANGER_HELP: Final = "danger_help"
ADDITION_SCREENS: Final = frozenset({DANGER, _DANGER_HELP, STORY})


def make_addition(door: PublicDoor, returned: Returned, place: ReturnPlace) -> Draft:
    """Make the draft in which an addition is written; the words of the return code are in no record of it.

    The seed stays until it is sent, so that Back leads to the replies.
    """
    sent = Sent(
        report_ids=[],
        reference=returned.reference,
        is_owed_an_answer=place.reply_by is not None,
        sent_at=place.sent_at,
        text_macs=[],
        screen_macs={},
        reply_by=place.reply_by,
        is_crisis=_was_crisis(door, place),
        reply_key=make_reply_public_key(returned.seed),
    )
    return Draft(
        report_id=make_submit_token(door),
        started_at=format_time(door.clock()),
        language=door.words.language,
        sent=sent,
        returned=returned,
    )


def _was_crisis(door: PublicDoor, place: ReturnPlace) -> bool:
    """Say whether the first report was promised as a crisis is, so that what is added is promised no less.

    The place keeps the day alone: in a crisis it is earlier than days on which the desk is there would make it.
    """
    if place.reply_by is None:
        return False
    by_office_days = door.agency.make_promise(parse_time(place.sent_at), is_crisis=False).reply_by
    return date.fromisoformat(place.reply_by) < by_office_days


def is_being_added(draft: Draft) -> bool:
    """Say whether this is what somebody who came back writes, and has not sent yet."""
    return draft.sent is not None and not draft.sent.report_ids


def get_place_after(screen: Screen, answers: Answers) -> str:
    """Return the place that follows a screen of an addition."""
    places = _list_places(answers)
    return places[places.index(screen.name) + 1] if screen.name in places else STORY


def get_place_before(screen: Screen, answers: Answers) -> str:
    """Return the place before a screen of an addition; before the first are the replies."""
    places = _list_places(answers)
    return places[places.index(screen.name) - 1] if screen.name in places else DANGER


def list_addition_faults(screen: Screen, answers: Answers) -> Sequence[Fault]:
    """List what must be mended before Continue; who said that someone may be in danger need not say more."""
    faults = list_faults(screen, answers)
    may_be_danger = get_one(answers, DANGER) in {YES, NOT_SURE}
    return [fault for fault in faults if fault.kind != "blank" or not may_be_danger]


def _list_places(answers: Answers) -> list[str]:
    is_danger = get_next(SCREEN_BY_NAME[DANGER], answers).name == _DANGER_HELP
    return [REPLIES, DANGER, *([_DANGER_HELP] if is_danger else []), STORY, CHECK]
