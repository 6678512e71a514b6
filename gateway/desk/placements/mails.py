"""Mails to a service that asked for the button, as texts that staff read and send themselves.

Never sends anything: a stranger typed the address, and could make the desk write to any address in the agency's name.
"""

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from gateway.desk.placements.register import PlacementRow
from partner_sdk.button.snippet import make_snippet

LANGUAGES: Final = {"en": "English", "cy": "Welsh"}
_TEXTS: Final = Path(__file__).parent / "mails.toml"


@dataclass(frozen=True, slots=True)
class Mail:
    """A text for a person to send; `to` is the address in the request, if there was one."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Leave the people out: a repr ends in logs."""
        return "Mail(...)"


@lru_cache(maxsize=1)
def read_texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the texts by language and occasion.

    `surfaces` has the kinds of place by language and code, `place_words` the explanations of a place.
    """
    return tomllib.loads(_TEXTS.read_text(encoding="utf-8"))


def make_mail(occasion: str, *, language: str, to: str = "", **words: str) -> Mail:
    """Return the text of an occasion: `agreed`, `invited` or `declined`."""
    texts = read_texts()[language][occasion]
    return Mail(to=to, subject=texts["subject"].format(**words), text=texts["text"].strip().format(**words) + "\n")


def make_agreed_mail(places: Sequence[PlacementRow], *, name: str, language: str, origin: str, agency: str) -> Mail:
    """Return the text with the link id of every place, its lines of HTML, and its SDK commands."""
    titles, said = read_texts()["surfaces"][language], read_texts()["place_words"][language]
    lines = []
    for place in places:
        command = f"report-abuse-partner button snippet --origin {origin} --placement {place.placement}"
        if language != "en":
            command += f" --language {language}"
        page = said["page"] if place.look_at is None else shlex.quote(place.look_at)
        lines += [
            f"{place.service}, {titles[place.surface]}: {place.position}",
            f"  {place.address}",
            f"  {origin}/?from={place.placement}",
            "",
        ]
        for form in ("link", "script"):
            html = make_snippet(origin, placement=place.placement, language=language, form=form)
            lines += [f"  {said[form]}", html]
        lines += [
            f"  {command}",
            *([f"  {said['own_page']}"] if place.look_at is None else []),
            f"  report-abuse-partner button check {page} --origin {origin} --placement {place.placement}",
            "",
        ]
    words = {"name": name, "service": places[0].service, "places": "\n".join(lines).rstrip()}
    return make_mail("agreed", language=language, agency=agency, **words)
