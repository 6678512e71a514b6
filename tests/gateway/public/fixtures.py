"""A gateway with a public door, the people at it, and ways to break the parts behind it."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from flask import Flask

from gateway.config import LimitsConfig
from gateway.exchange.public_report import PublicReport
from gateway.public.visit import Draft, make_journey_keys, open_draft
from gateway.web.web_app import CookieSerializer
from gateway.wiring import Gateway
from partner_sdk.key_files import KeyRole
from tests.builders import DAY, NOW, PUBLIC_ORIGIN, House, Partner, make_house, sealing_key_of
from tests.gateway.public.person import SHORT_ANSWERS, Person, open_public_reports
from tests.gateway.public.visits import bring_to
from tests.gateway.public.walks import ScreenAnswers


@dataclass
class PublicHouse:
    """A live gateway whose process has the public and the industry door."""

    house: House
    gateway: Gateway
    app: Flask
    serial: int = field(default=1)

    def person(
        self,
        *,
        keeps_cookies: bool = True,
        language: str = "",
        origin: str = PUBLIC_ORIGIN,
        address: str = "127.0.0.1",
    ) -> Person:
        """Return a new person with a new browser."""
        return Person(self.app, origin=origin, keeps_cookies=keeps_cookies, language=language, address=address)

    def person_at(
        self,
        path: str,
        way: ScreenAnswers = SHORT_ANSWERS,
        *,
        language: str = "",
        **changed: dict[str, str | list[str]],
    ) -> Person:
        """Return a new person at this page of a started form; at `/15` the report is sent. See `public_visits`."""
        person = self.person(language=language)
        bring_to(person, path, way, changed, house=self.house, gateway=self.gateway)
        return person

    def reports(self) -> list[PublicReport]:
        """Open all stored reports with the agency's key."""
        return open_public_reports(self.house, self.gateway)

    def drafts_of(self, person: Person) -> list[Draft]:
        """Open the rows of the drafts table that belong to a person's cookie."""
        keys = make_journey_keys(self.secret_of(person))
        rows = self.house.rows("drafts")
        return [open_draft(row[3], keys=keys, version=row[1]) for row in rows if row[0] == keys.draft_id]

    def session_of(self, person: Person) -> dict[str, object]:
        """Read a person's cookie with the gateway's own key."""
        cookie = person.client.get_cookie(self.app.config["SESSION_COOKIE_NAME"], domain="report.example")
        serializer = CookieSerializer(self.app.config["SECRET_KEY"])
        return {} if cookie is None else dict(serializer.loads(cookie.value))

    def secret_of(self, person: Person) -> bytes:
        """Return the secret in a person's cookie."""
        secret = self.session_of(person)["journey"]
        assert isinstance(secret, bytes)
        return secret

    def wait_for_no_drafts(self) -> bool:
        """Wait until the last draft is gone; return whether it ever is: it goes of itself, and a minute is for ever."""
        for _ in range(1200):
            if not self.house.rows("drafts"):
                return True
            time.sleep(0.05)
        return False

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """Take something away that Send needs, and give it back: the key, the lock, or the database file."""
        if fault == "no-key":
            retired = sealing_key_of(
                self.house.agency.key(KeyRole.SEALING), seal_until=NOW - DAY / 2, open_until=NOW + 3 * DAY
            )
            self._publish(sealing_keys=(retired,))
            yield
            self._publish()
        elif fault == "locked":
            other = sqlite3.connect(self.house.state / "gateway.sqlite", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")
            other.close()
        elif fault == "missing":
            path = self.house.state / "gateway.sqlite"
            aside = path.with_suffix(".aside")
            path.rename(aside)
            yield
            aside.rename(path)
        else:
            raise ValueError(fault)

    def _publish(self, **key_set: object) -> None:
        self.serial += 1
        self.house.publish(Partner().entry(), serial=self.serial, **key_set)


def make_public_house(
    folder: Path, *, limits: LimitsConfig | None = None, database_uri: str = "", **settings: object
) -> PublicHouse:
    """Make the gateway, publish its keys and one partner, and open its doors."""
    house = make_house(
        folder / "gateway",
        roles=("public", "industry"),
        limits=limits,
        partners=(Partner(),),
        database_uri=database_uri,
    )
    house.config = msgspec.structs.replace(house.config, **settings)
    gateway = house.open_gateway()
    return PublicHouse(house, gateway, house.open_app("public", "industry", gateway=gateway))


def put_over(public: PublicHouse, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let the named limits answer that this network is over."""
    is_over = public.gateway.limits.is_over

    def answer(name: str, *, subject: str | None = None) -> bool:
        return name in names or is_over(name, subject=subject)

    monkeypatch.setattr(public.gateway.limits, "is_over", answer)
