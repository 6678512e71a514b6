"""Makes the page that shows everything before Send; its form carries what it shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.public.actions import Action
from gateway.public.door import PublicDoor
from gateway.public.journey import CHECK, SCREENS, Answers, Screen, list_path, make_profile
from gateway.public.journey.places import get_path
from gateway.public.pages.frame import make_form, make_waiting_form, render_page
from gateway.public.pages.rows import Row, list_rows
from gateway.public.visiting.visit import Visit
from gateway.public.wording import find_in_voice
from gateway.public.wording.voice import make_voice


def render_check(
    door: PublicDoor,
    visit: Visit | None,
    answers: Answers,
    *,
    version: int,
    is_addition: bool = False,
    notice: Mapping[str, Any] | None = None,
    again: bool = False,
    has_context: bool = False,
) -> str:
    """Render the check page; an addition after Send shows only what is new. Without a visit its form waits for one.

    `has_context` shows that what a service passed on goes along, with a way to leave it out.
    """
    words = door.words.screen(CHECK)
    voice = make_voice(answers)
    addition = door.words.screen("check_more")
    on_path = list_path(answers)
    screens = [screen for screen in SCREENS if screen in on_path]
    if visit is None:
        form = make_waiting_form(words=answers)
    else:
        form = make_form(visit.keys, version, words=answers, again=again)
    return render_page(
        door,
        "check.html",
        profile=make_profile(answers),
        form=form,
        ways="buttons",
        default_action=Action.SEND,
        title=addition["title"] if is_addition else find_in_voice(words, "title", voice=voice),
        lead=addition["lead"] if is_addition else find_in_voice(words, "lead", voice=voice),
        form_path=get_path(CHECK),
        groups=list_groups(door, answers, screens=SCREENS if is_addition else screens, only_given=is_addition),
        can_change=not is_addition,
        send=words["again"] if notice and not again else words["send"],
        skip=addition["skip"] if is_addition else None,
        context=words["context"] if has_context else None,
        notice=notice,
    )


def list_groups(
    door: PublicDoor, answers: Answers, *, screens: Sequence[Screen], only_given: bool
) -> list[Mapping[str, Any]]:
    """List the answers screen by screen, so that each screen has one button to change it.

    A screen that was left blank is one line: what it asks, and that nothing was given.
    """
    groups: list[Mapping[str, Any]] = []
    for screen in screens:
        rows = list_rows(door, answers, screens=(screen,))
        rows = [row for row in rows if row.texts] if only_given else rows
        if len(rows) > 1 and not any(row.texts for row in rows):
            title = find_in_voice(door.words.screen(screen.name), "title", voice=make_voice(answers))
            rows = [Row(str(title), screen.path, ())]
        if rows:
            groups.append({"path": screen.path, "label": rows[0].label, "rows": rows})
    return groups
