"""What the public door's views need, gathered once at the start and kept in `app.extensions`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from gateway.guidance.advice import AdviceLibrary
from gateway.guidance.agency import Agency
from gateway.guidance.countries import Country
from gateway.guidance.signposts import Signpost
from gateway.intake import Intake
from gateway.key_state import KeyState
from gateway.limits import Limits
from gateway.public.assets import Asset
from gateway.public.returning.way_back import WaysBack
from gateway.public.wording import ServiceWords, Wording, get_language
from gateway.store import Store
from partner_sdk.wire.public_codes import Language

EXTENSION = "public_door"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicDoor:
    """The door's words, helpers, files, and the gateway behind it."""

    store: Store
    intake: Intake
    key_state: KeyState
    limits: Limits
    clock: Callable[[], datetime]
    random: Callable[[int], bytes]
    wordings: Mapping[Language, Wording]
    service_words: Mapping[Language, ServiceWords]
    signposts: Mapping[str, Signpost]
    countries: Mapping[str, Country]
    agency: Agency
    advice: Mapping[Language, AdviceLibrary]
    ways_back: WaysBack
    assets: Mapping[str, Asset]
    agency_name: str
    agency_contact: str
    banner: str
    state_key: bytes
    drafts_max_rows: int
    drafts_max_rows_per_network: int
    is_practice: bool
    campaigns: frozenset[str]

    @property
    def words(self) -> Wording:
        """The words in the language of this request."""
        return self.wordings[get_language()]


def get_door() -> PublicDoor:
    """Return the door of the app that answers this request."""
    door = current_app.extensions[EXTENSION]
    if not isinstance(door, PublicDoor):
        raise TypeError("app.extensions['public_door'] was replaced.")
    return door
