"""Cases and orders for the tests of the digest: mild, made up, and as small as the rule under test needs."""

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert

from gateway.desk.digests import noise
from gateway.desk.digests.making import DigestOrder
from gateway.desk.digests.tables import MICRO, Cluster, FrozenClusters, freeze, make_labels
from gateway.desk.keyring.key_set import Quarter
from gateway.desk.store import DeskStore, open_store
from gateway.desk.store.schema import CASES
from tests.desk.made_models import copy_model

QUARTER = Quarter(2026, 3)
NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
PARTNER = "example-chat"
_NUMBERS = itertools.count(1)


def clock() -> datetime:
    return NOW


def make_store(folder: Path) -> DeskStore:
    copy_model("tables", lambda model: open_store(model / "desk.sqlite", create=True).close(), into=folder)
    return open_store(folder / "desk.sqlite")


def add_case(store: DeskStore, **changes: Any) -> str:
    """Add one closed case about the example partner and return its id."""
    values = make_case_values(**changes)
    with store.write() as connection:
        connection.execute(insert(CASES).values(values))
    return str(values["case_id"])


def add_cases(store: DeskStore, count: int, **changes: Any) -> None:
    """Add closed cases about the example partner, all in one transaction."""
    with store.write() as connection:
        for _ in range(count):
            connection.execute(insert(CASES).values(make_case_values(**changes)))


def make_case_values(**changes: Any) -> dict[str, Any]:
    number = next(_NUMBERS)
    values: dict[str, Any] = {
        "case_id": f"case-{number:06d}",
        "environment": "live",
        "partner": "public",
        "about": PARTNER,
        "report_id": f"report-{number:06d}",
        "reference": f"ref-{number:06d}",
        "door": "public",
        "placement": None,
        "priority": "P3",
        "received_at": "2026-08-01T08:00:00Z",
        "collected_at": "2026-08-01T09:00:00Z",
        "opened_at": "2026-08-01T10:00:00Z",
        "closed_at": "2026-08-02T08:00:00Z",
        "reply_owed": False,
        "kind": "grooming",
        "age_band": "13_15",
        "outcome": "used",
        "weakness_1": "open_direct_messages",
        "synthetic": False,
    }
    return values | changes


def make_order(**changes: Any) -> DigestOrder:
    values: dict[str, Any] = {
        "partner": PARTNER,
        "quarter": QUARTER,
        "environment": "live",
        "made_by": "Maker One",
        "adopted": True,
    }
    return DigestOrder(**(values | changes))


def draw_noise(source: Random, scale: float) -> int:
    """Return discrete Laplace noise, the difference of two geometric numbers: the law of a digest's noise."""
    up, down = (math.floor(-scale * math.log(1 - source.random())) for _ in range(2))
    return up - down


def seed_noise(patch: pytest.MonkeyPatch) -> None:
    """Draw noise of a digest's law, but the same in each run."""
    source = Random(43)

    def draw(counts: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> list[int]:
        return [count + draw_noise(source, sensitivity * MICRO / epsilon_micro) for count in counts]

    patch.setattr(noise, "draw", draw)


def make_cluster(name: str, **changes: Any) -> Cluster:
    values: dict[str, Any] = {
        "cases": (name,),
        "kind": "grooming",
        "age_band": "13_15",
        "placement": "profile",
        "outcome": "used",
        "weaknesses": ("open_direct_messages", "slow_response"),
    }
    return Cluster(**(values | changes))


def freeze_some(*clusters: Cluster) -> FrozenClusters:
    """Freeze clusters about a service with two agreed places of the button, `profile` and `chat`."""
    return freeze(
        ((one.cases, one.answers) for one in clusters),
        labels=make_labels((("profile", "Profile page"), ("chat", "Chat"))),
    )
