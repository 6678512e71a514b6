"""What the desk writes back to a service that asked for the button: made here, read and sent by a person.

Never sent from here, and never holds the secret of an invitation.
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
from partner_sdk.wire.adoption import AskingService
from partner_sdk.wire.enrolment import Invitation

_TEXTS: Final = Path(__file__).parent / "adoption_mails.toml"


@dataclass(frozen=True, slots=True)
class Mail:
    """A text for a person to send: to whom the request asks it to go, and what it says."""

    to: str
    subject: str
    text: str

    def __repr__(self) -> str:
        """Say nothing of the people: a repr ends in logs."""
        return "Mail(...)"


def make_agreed_mail(service: AskingService, *, places: Sequence[PlacementRow], origin: str, agency: str) -> Mail:
    """Return the text with the link id of every agreed place, its lines of HTML, and the commands of the SDK for it."""
    titles = read_texts()["surfaces"][service.language]
    said = read_texts()["place_words"][service.language]
    lines = []
    for place in places:
        command = f"report-abuse-partner button snippet --origin {origin} --placement {place.placement}"
        if service.language != "en":
            command += f" --language {service.language}"
        page = said["page"] if place.look_at is None else shlex.quote(place.look_at)
        lines += [
            f"{place.service}, {titles[place.surface]}: {place.position}",
            f"  {place.address}",
            f"  {origin}/?from={place.placement}",
            "",
        ]
        for form in ("link", "script"):
            html = make_snippet(origin, placement=place.placement, language=service.language, form=form)
            lines += [f"  {said[form]}", html]
        lines += [
            f"  {command}",
            *([f"  {said['own_page']}"] if place.look_at is None else []),
            f"  report-abuse-partner button check {page} --origin {origin} --placement {place.placement}",
            "",
        ]
    return _make("agreed", service, agency=agency, places="\n".join(lines).rstrip(), origin=origin)


def make_invited_mail(service: AskingService, *, invitation: Invitation, agency: str) -> Mail:
    """Return the text that says how to answer an invitation; the file itself goes another way."""
    return _make(
        "invited",
        service,
        agency=agency,
        origin=invitation.origin,
        partner=invitation.partner,
        until=invitation.expires_at,
        fingerprint=invitation.root_fingerprint,
    )


def make_declined_mail(service: AskingService, *, reason: str, agency: str) -> Mail:
    """Return the text that says why not."""
    return _make("declined", service, agency=agency, reason=reason)


@lru_cache(maxsize=1)
def read_texts() -> Mapping[str, Mapping[str, Mapping[str, str]]]:
    """Return the texts by language and occasion.

    Under `surfaces` stand the kinds of place by language and code, under `place_words` what a place is explained with.
    """
    return tomllib.loads(_TEXTS.read_text(encoding="utf-8"))


def _make(occasion: str, service: AskingService, **words: str) -> Mail:
    texts = read_texts()[service.language][occasion]
    filled = {"name": service.contact_name, "service": service.service_name, **words}
    return Mail(
        to=service.contact_email,
        subject=texts["subject"].format(**filled),
        text=texts["text"].strip().format(**filled) + "\n",
    )
