"""A visit as it stands at some page: walked once in a process, and put into other new houses with the same settings.

For tests whose subject begins at that page. Database, cookie and page are those of a real walk; the process's own state
(the counts of limits) begins anew. A house in which something has happened already is walked for real. A walk posts
every page on its way and looks at none of them: they are not the subject.
"""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass

import msgspec
from werkzeug.test import TestResponse

from gateway.wiring import Gateway
from tests.builders import House
from tests.gateway.public.person import CHECK, THANKS, Person
from tests.gateway.public.walks import ScreenAnswers


@dataclass(frozen=True, slots=True)
class Visit:
    """The gateway's database, the browser's cookie, and the shown page."""

    database: bytes
    cookie: str
    page: TestResponse
    path: str


_VISITS: dict[str, Visit] = {}


def bring_to(
    person: Person, path: str, way: ScreenAnswers, changed: ScreenAnswers, *, house: House, gateway: Gateway
) -> None:
    """Bring a new person to a page, as `start` and `walk_to` do; to the thank-you page as `send` does."""
    if not house.is_new():
        _walk(person, path, way, changed)
        return
    key = repr((house.agency, msgspec.json.encode(house.config), person.language, path, way, changed))
    visit = _VISITS.get(key)
    if visit is None:
        _walk(person, path, way, changed)
        database, cookie = _read_database(house), person.cookie
        _VISITS[key] = Visit(database, cookie, person.page, person.path)
        return
    gateway.store.close()
    _replace_database(house, visit.database)
    person.cookie = visit.cookie
    person.page, person.path = visit.page, visit.path


def _walk(person: Person, path: str, way: ScreenAnswers, changed: ScreenAnswers) -> None:
    end = CHECK if path == THANKS else path
    person.start().hurry_to(end, way, **changed).walk_to(end, way, **changed)
    if path == THANKS:
        person.send()


def _read_database(house: House) -> bytes:
    """Read the whole database as a backup would: its log belongs to it."""
    with closing(sqlite3.connect(house.state / "gateway.sqlite")) as connection:
        return connection.serialize()


def _replace_database(house: House, raw: bytes) -> None:
    """Put another file in the place of the one that is there, as a restore does."""
    path = house.state / "gateway.sqlite"
    other = path.with_suffix(".other")
    with os.fdopen(os.open(other, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(raw)
    other.replace(path)
