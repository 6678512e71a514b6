"""Shared by the fuzz tests: a gateway with one of everything, and the requirements for every answer."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
from flask import Flask
from hypothesis import HealthCheck, settings

from gateway.web.wsgi_bridge import Answer, collect_answer
from gateway.wiring import Gateway
from partner_sdk.wire.problems import MEDIA_TYPE, find_problem
from tests.builders import PUBLIC_ORIGIN, Door, House, Partner, make_house, seal_report
from tests.gateway.industry.kept_state import read_kept
from tests.gateway.industry.partner_calls import PartnerCall, invite_newcomer, make_calls, put_message, send_call

# Refusals that are no problem of the table: they say no more than their status (RFC 9457 §4.2.1).
BLANK: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.LENGTH_REQUIRED}
# Nothing that an unlucky seed decides: the same requests in every run, and no file that remembers them.
SAME_EVERY_TIME: Final[dict[str, Any]] = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}


def fuzz(examples: int) -> settings:
    """Return the settings of a fuzz test of so many examples; FUZZ=20 in the environment gives twenty times as many."""
    return settings(max_examples=examples * int(os.environ.get("FUZZ", "1")), **SAME_EVERY_TIME)


@dataclass(frozen=True)
class FuzzedHouse:
    """A gateway whose partner has sent one of everything; its state is compared around every request."""

    house: House
    gateway: Gateway
    app: Flask
    partner: Partner

    @property
    def calls(self) -> Mapping[str, PartnerCall]:
        """Return the good request of each call. Made when it is asked for: Hypothesis prints every field."""
        return make_calls(self.house.agency.sealing_key, self.partner)

    @property
    def door(self) -> Door:
        """Return the door as the partner calls it."""
        return Door(self.app, PUBLIC_ORIGIN, self.house.clock, self.partner.submission_key)

    @property
    def nobody(self) -> Door:
        """Return the door without a key."""
        return Door(self.app, PUBLIC_ORIGIN, self.house.clock)

    def read_kept(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that is stored."""
        return read_kept(self.house, gateway=self.gateway)

    def forget_counts(self) -> None:
        """Reset every limit, so that the next request reaches its target."""
        self.gateway.limits.store.storage.reset()

    def ask(self, environ: dict[str, Any]) -> Answer:
        """Return the app's answer to an environ, as the server hands one over."""
        return collect_answer(self.app, environ)


def open_fuzzed_house(folder: Path) -> FuzzedHouse:
    """Make the gateway, and let its partner send, hand over and receive one of everything."""
    house, partner = make_house(folder / "gateway"), Partner()
    house.publish(partner.entry(), Partner("second-service").entry())
    invite_newcomer(house)
    put_message(house, partner)
    gateway = house.open_gateway()
    fuzzed = FuzzedHouse(house, gateway, house.open_app("industry", gateway=gateway), partner)
    for name in ("post_report", "put_evidence_part", "post_evidence_complete", "post_account"):
        assert send_call(fuzzed.door, fuzzed.calls[name]).status_code in {200, 201, 202}
    assert fuzzed.door.post("/v1/reports", seal_report(partner, key=house.agency.sealing_key).body).status_code == 201
    return fuzzed


def check_answer(
    status: int, headers: dict[str, str], body: bytes, *, allowed: Iterable[str] | None = None, is_head: bool = False
) -> bool:
    """Fail unless an answer is a good one or a problem of the table, among `allowed` slugs where those are given.

    Returns whether it is a good one.
    """
    assert status < 500, (status, body[:200])
    assert "X-Request-Id" in headers
    if status < 400:
        return True
    if is_head:
        return False
    assert headers["Content-Type"] == MEDIA_TYPE, (status, body[:200])
    document = msgspec.json.decode(body)
    assert document["status"] == status
    if document["type"] == "about:blank":
        assert status in BLANK, document
        return False
    problem = find_problem(document["type"])
    assert problem is not None
    assert (problem.status, problem.title) == (status, document["title"])
    assert document["detail"]
    assert allowed is None or problem.slug in allowed, problem.slug
    if status == 429:
        assert int(headers["Retry-After"]) >= 1
    return False
