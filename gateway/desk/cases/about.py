"""The service that a case is about: set from the button's place, or by an analyst, for a service with keys or without.

A name that a person typed is matched with the names and ids of the register; a new one is added only on purpose. The
words of a report only suggest a service: the analyst decides. The sender of a report is not taken for the service.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, insert, or_, update

from gateway.desk import audit
from gateway.desk.cases.holding import get_lead
from gateway.desk.cases.model import CaseError, CaseRow, get_case
from gateway.desk.cases.steps import StepText, add_step, get_clean_reason
from gateway.desk.identifiers.normalising import squeeze_service, strip_address
from gateway.desk.placements.merges import add_merge, follow, get_successor, read_merges
from gateway.desk.placements.register import find_owner_name, get_owner_names, has_keys, list_placements
from gateway.desk.store.placement_tables import ADOPTERS
from gateway.desk.store.schema import CASES
from gateway.desk.wiring import Desk
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import format_time
from partner_sdk.wire.submission import PUBLIC_SENDER, check_partner_id

MAX_SERVICE_CHARACTERS: Final = 80
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_MOST_ID_CHARACTERS: Final = 64  # of a partner id


def set_about(
    desk: Desk, wanted: str, service: str | None, *, reason: str, actor: str, is_new: bool = False
) -> CaseRow:
    """Record the service that a case and its sender's later reports are about; None for no named one.

    `service` is an id, a name or a web address, e.g. `Other Chat` or `https://otherchat.example/u/1`; `is_new` adds an
    unknown one to the register, without keys. Raises `CaseError`: `unknown-case`, `unknown-service`, `bad-service`,
    `service-known`, `reason-missing`, `reason-too-long`, `unprintable`.
    """
    text, now = StepText(reason=get_clean_reason(reason)), desk.clock()
    with desk.store.write() as connection:
        found = get_case(connection, wanted)
        about = None if service is None else _find_successor(connection, service)
        if service is not None and about is None and not is_new:
            raise CaseError(
                "No service has this name or id. Check the spelling, or add it as a new one.", reason="unknown-service"
            )
        if service is not None and about is None:
            about = make_service_id(service)
            if find_owner_name(connection, about) is not None:
                raise CaseError(f"The register has a service with the id {about}: give that.", reason="service-known")
            name = " ".join(service.split())
            values = {"owner": about, "name": name, "added_at": format_time(now), "added_by": actor}
            connection.execute(insert(ADOPTERS).values(values))
            audit.append_entry(connection, "add-service", about, at=now, actor=actor)
        same = or_(CASES.c.case_id == found.case_id, CASES.c.joined_to == found.case_id)
        connection.execute(update(CASES).where(same).values(about=about))
        lead, codes = get_lead(connection, found.case_id), {"before": found.about, "service": about}
        add_step(desk, connection, lead.case_id, "set-service", actor=actor, text=text, codes=codes)
        return get_case(connection, found.case_id)


def merge_services(desk: Desk, service: str, into: str, *, reason: str, actor: str) -> str:
    """Record that a service without keys was entered twice and counts as another; return the id of that one.

    Digests that exist stay as they are, and no incident in them is counted again (digests/records.py). Raises
    `CaseError`: `unknown-service`, `same-service`, `merged-already`, `has-keys`, `has-placements`, `reason-missing`,
    `reason-too-long`, `unprintable`.
    """
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        for one in (service, into):
            if find_owner_name(connection, one) is None:
                raise CaseError(f"No service has the id {one}.", reason="unknown-service")
        into = get_successor(connection, into)
        if service == into:
            raise CaseError("Both are the same service already.", reason="same-service")
        if service in read_merges(connection):
            raise CaseError(f"{service} counts as another service already.", reason="merged-already")
        if has_keys(connection, service):
            raise CaseError(
                f"{service} was invited or has keys, so it stays. Merge the other one into it.", reason="has-keys"
            )
        if list_placements(connection, owner=service, states=("agreed", "suspended")):
            raise CaseError(f"{service} shows the button. End its placements first.", reason="has-placements")
        add_merge(connection, service, into=into, by=actor, now=now)
        proof = hashlib.sha256(reason.encode()).hexdigest()
        audit.append_entry(connection, "merge-services", service, at=now, actor=actor, into=into, reason_sha256=proof)
        return into


def part_service(desk: Desk, service: str, *, reason: str, actor: str) -> None:
    """Record that a merged service counts as itself again. Incidents that were counted stay counted.

    Raises `CaseError`: `not-merged`, `reason-missing`, `reason-too-long`, `unprintable`.
    """
    reason, now = get_clean_reason(reason), desk.clock()
    with desk.store.write() as connection:
        if service not in read_merges(connection):
            raise CaseError(f"{service} counts as itself.", reason="not-merged")
        add_merge(connection, service, into=None, by=actor, now=now)
        proof = hashlib.sha256(reason.encode()).hexdigest()
        audit.append_entry(connection, "part-service", service, at=now, actor=actor, reason_sha256=proof)


def suggest_service(connection: Connection, words: Iterable[str]) -> str | None:
    """Return the id of the first service of the register that these words name, or None."""
    return next((found for one in words if (found := _find_successor(connection, one)) is not None), None)


def _find_successor(connection: Connection, text: str) -> str | None:
    return find_service(get_owner_names(connection), text, merges=read_merges(connection))


def find_service(names: Mapping[str, str], text: str, *, merges: Mapping[str, str] = _NONE) -> str | None:
    """Return the id of the service with this id, name or web address, in any spelling; None if none or two fit.

    With `merges`, one that was entered twice is found under the id that it counts as.
    """
    if text in names:
        return follow(merges, text)
    wanted = squeeze_service(text)
    fitting = {
        follow(merges, owner)
        for owner, name in names.items()
        if wanted and wanted in {squeeze_service(owner), squeeze_service(name)}
    }
    return fitting.pop() if len(fitting) == 1 else None


def make_service_id(text: str) -> str:
    """Return the id for a new service, e.g. `other-chat` for `Other Chat`, `otherchat` for `www.otherchat.example`.

    Raises `CaseError` (`bad-service`).
    """
    if not 0 < len(text.strip()) <= MAX_SERVICE_CHARACTERS or not text.isprintable():
        raise CaseError(f"Give a name of up to {MAX_SERVICE_CHARACTERS} characters.", reason="bad-service")
    service_id = "-".join(re.findall(r"[a-z0-9]+", strip_address(text)))[:_MOST_ID_CHARACTERS].rstrip("-")
    try:
        check_partner_id(service_id)
    except FormatError:
        service_id = PUBLIC_SENDER
    if service_id == PUBLIC_SENDER:
        raise CaseError("Give a name with letters or digits, e.g. the web address.", reason="bad-service")
    return service_id
