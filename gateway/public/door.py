"""The dependencies of the public door's views, built once at startup and kept in `app.extensions`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import current_app

from gateway.guidance.advice import AdviceLibrary
from gateway.guidance.agency import Agency
from gateway.guidance.countries import Country
from gateway.guidance.signposts import Signpost
from gateway.intake import Intake, NoActiveKeyError
from gateway.key_state import AcceptedKeys, KeyState
from gateway.limits import Limits
from gateway.public.assets import Asset
from gateway.public.returning.way_back import WaysBack
from gateway.public.wording import ServiceWording, Wording, get_language
from gateway.store import StorageUnavailableError, Store
from gateway.store.counts import add_count
from gateway.web.logs import log_failure
from partner_sdk.wire.keys import SealingKey
from partner_sdk.wire.public_codes import Language

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
