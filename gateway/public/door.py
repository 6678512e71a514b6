"""The public door for its views, built once at startup: its parts, its files, its paths, the actions of its buttons.

Only style sheets, optional scripts and icons are compressed, because they contain no personal data. A page with a token
and typed text never is (BREACH). Comments and indentation stay in the sources: the first page must fit one round trip.

Paths are numbers, because they stay in the history of a shared phone. The pages for services and schools have names
instead, because adults at work read them and dictate them by telephone. A button sends one field, `action`. A button
with another field name (an option, `change`) is read as that field, and is not listed here.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from flask import current_app

from gateway.button import compress
from gateway.guidance.advice import AdviceLibrary
from gateway.guidance.agency import Agency
from gateway.guidance.signposts import Country, Signpost
from gateway.intake import Intake, NoActiveKeyError
from gateway.key_state import AcceptedKeys, KeyState
from gateway.limits import Limits
from gateway.public.journey import SCREENS
from gateway.public.returning import WaysBack
from gateway.public.wording import ServiceWording, Wording, get_language
from gateway.store import StorageUnavailableError, Store
from gateway.store.store import add_count
from gateway.web.logs import log_failure
from partner_sdk.wire.button import Language
from partner_sdk.wire.sealing import SealingKey

STATIC_FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
FILES_PATH = "/s/"
# 24 bits: a name need only differ from the same file's in another release, and every page repeats these names, which
# the first round trip must carry.
HASH_CHARACTERS = 6


@dataclass(frozen=True, slots=True)
class Asset:
    """One file in memory, by content coding, and its address."""

    path: str
    media_type: str
    bodies: Mapping[str, bytes]

    @property
    def plain(self) -> bytes:
        """The uncompressed file."""
        return self.bodies["identity"]


def load_assets(folder: Path = STATIC_FOLDER) -> Mapping[str, Asset]:
    """Load every file of the folder; raises an error for an unknown file type."""
    return {path.name: _load(path) for path in sorted(folder.iterdir())}


def find_asset(assets: Mapping[str, Asset], *, name: str) -> Asset | None:
    """Find the file whose address ends in this name."""
    return next((one for one in assets.values() if one.path == f"{FILES_PATH}{name}"), None)


def _trim(text: bytes, *, media_type: str) -> bytes:
    """Drop comments and needless white space: in scripts only whole lines, because strings may contain slashes."""
    if media_type.startswith("text/css"):
        plain = re.sub(rb"/\*.*?\*/", b"", text, flags=re.DOTALL)
        return re.sub(rb"\s*([{};,])\s*|(:) ", rb"\1\2", re.sub(rb"\s+", b" ", plain)).strip()
    if media_type.startswith("text/javascript"):
        return re.sub(rb"(?m)^\s*//.*\n|^\s+", b"", text)
    return text


def _load(path: Path) -> Asset:
    plain = _trim(path.read_bytes(), media_type=MEDIA_TYPES[path.suffix])
    digest = hashlib.sha256(plain).hexdigest()[:HASH_CHARACTERS]
    return Asset(
        path=f"{FILES_PATH}{path.stem}.{digest}{path.suffix}",
        media_type=MEDIA_TYPES[path.suffix],
        bodies=compress(plain),
    )


EXTENSION = "public_door"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDoor:
    """The door's wording, helplines and files, and the gateway behind it."""

    store: Store
    intake: Intake
    key_state: KeyState
    limits: Limits
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    wordings: Mapping[Language, Wording]
    service_wording: Mapping[Language, ServiceWording]
    signposts: Mapping[str, Signpost]
    countries: Mapping[str, Country]
    agency: Agency
    advice: Mapping[Language, AdviceLibrary]
    ways_back: WaysBack
    assets: Mapping[str, Asset]
    origin: str
    agency_name: str
    agency_contact: str
    banner: str
    state_key: bytes
    drafts_max_rows: int
    drafts_max_rows_per_network: int
    is_practice: bool
    campaigns: frozenset[str]

    @property
    def wording(self) -> Wording:
        """The wording in the language of this request."""
        return self.wordings[get_language()]

    def get_sealing_key(self) -> tuple[AcceptedKeys, SealingKey]:
        """Return the agency's keys and the one to seal with, if a report could be stored now.

        Raises NoActiveKeyError, StorageUnavailableError.
        """
        found = self.key_state.find_active_key()
        if found is None:
            raise NoActiveKeyError("The agency has no active sealing key.")
        self.intake.check_receipt_key(found[0])
        return found

    def count(self, event: str) -> None:
        """Count an event anonymously: a name, a week (e.g. `2026-W48`) and a number.

        Does nothing in practice mode. A count that cannot be stored is lost; the page is still shown.
        """
        if self.is_practice:
            return
        try:
            with self.store.write_beside() as connection:
                add_count(connection, name=event, week=self.clock().strftime("%G-W%V"))  # ISO 8601
        except StorageUnavailableError as error:
            # A count that is off by one is no reason to show a child an error.
            log_failure(error, event="count-lost")


def get_door() -> PublicDoor:
    """Return the public door of the current app."""
    door = current_app.extensions[EXTENSION]
    if not isinstance(door, PublicDoor):
        raise TypeError("app.extensions['public_door'] was replaced.")
    return door


SIDE_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "talk": "1a",
        "no_name": "1b",
        "saw_picture": "1c",
        "own_thoughts": "1d",
        "what_to_report": "1e",
        "privacy": "1f",
        "accessibility": "1g",
        "problem": "1h",
        "you_matter": "1i",
        "no_voice": "1j",
        "stay_safe": "2a",
    }
)
# Linked at the foot of every page.
ABOUT_PAGES: Final = ("what_to_report", "privacy", "accessibility", "problem")

COME_BACK: Final = "come_back"  # asks for the reference and the five words
REPLIES: Final = "replies"  # shown once both are right
SEALED_PLACE: Final = "sealed_place"  # a page that derives the key itself asks here, and opens what it gets
PHONE: Final = "phone"  # the form as one document, for the person's own phone
PHONE_CY: Final = "phone_cy"
PHONE_VISIT: Final = "phone_visit"  # what that document asks for at the start, and before Send
LEAVE: Final = "leave"
FOR_SERVICES: Final = "for_services"  # the request for the button
FOR_SERVICES_SENT: Final = "for_services_sent"
POSTER: Final = "poster"  # printed by schools and clubs

_PATHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{screen.name: f"/{screen.path}" for screen in SCREENS},
        **{side: f"/{path}" for side, path in SIDE_PATHS.items()},
        COME_BACK: "/16",
        REPLIES: "/17",
        SEALED_PLACE: "/16/sealed",
        PHONE: "/form",
        PHONE_CY: "/cy/form",
        PHONE_VISIT: "/form/visit",
        LEAVE: "/leave",
        FOR_SERVICES: "/for-services",
        FOR_SERVICES_SENT: "/for-services/sent",
        POSTER: "/poster",
    }
)


ACTION_FIELD: Final = "action"

Opinion = Literal["yes", "partly", "no"]
OPINIONS: Final[tuple[Opinion, ...]] = ("yes", "partly", "no")
OPINION_PART: Final = "ok"  # the place of these buttons on their page, where the tap is answered

_SEE: Final = "see:"
_OPINION: Final = "ok:"


class Action(StrEnum):
    """The action of a button."""

    START = "start"
    CARRY_ON = "carry_on"  # from the blank first page, within minutes
    CONTINUE = "continue"
    BACK = "back"
    LANGUAGE = "language"
    SEND = "send"
    SKIP = "skip"  # discard the addition
    ADD = "add"
    RETURN = "return"  # from a side page back into the form
    KEEP_SAVED = "keep_saved"
    KEEP_TYPED = "keep_typed"
    LINES = "lines"  # show a service the lines of its button, beside a request that was begun
    LEAVE_OUT = "leave_out"  # remove the page context that a service sent


def get_path(place: str) -> str:
    """Return the path of a screen, a side page or one of the other places. Raises KeyError."""
    return _PATHS[place]


def make_see_action(side: str) -> str:
    """Return the action of a button that saves this page and shows a side page."""
    return f"{_SEE}{side}"


def find_wanted_side(action: str) -> str | None:
    """Find the side page of a button's action."""
    side = action.removeprefix(_SEE)
    return side if action.startswith(_SEE) and side in SIDE_PATHS else None


def make_opinion_action(opinion: Opinion) -> str:
    """Return the action of a feedback button at the end."""
    return f"{_OPINION}{opinion}"


def find_opinion(action: str) -> Opinion | None:
    """Find the feedback in a button's action."""
    return next((one for one in OPINIONS if make_opinion_action(one) == action), None)
