"""A partner's folder with known keys, and a gateway that answers from a script."""

import io
import json
import os
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from gateway.desk.digests.own_facts import make_exact_cell
from gateway.desk.digests.payload import make_cell
from partner_sdk._commands.runtime import STATE_VARIABLE, Runtime
from partner_sdk.cli import main
from partner_sdk.client._partner_state import PARTNER_ROLES, PartnerState
from partner_sdk.client.transport import make_session
from partner_sdk.key_files import write_key_file
from partner_sdk.wire.digest import Digest, DigestAdvice, DigestTable, Overview, OverviewLine, OverviewTable
from partner_sdk.wire.enrolment import Invitation
from tests.builders import NOW, PUBLIC_ORIGIN, Agency, Partner, StillClock

Answer = tuple[int, Mapping[str, str], bytes] | BaseException
DOWN: list[Answer] = [TimeoutError()] * 90  # more tries than any command makes


class ScriptedGateway(BaseAdapter):
    """Gives the answers in turn, and keeps the requests and their settings."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.answers = deque(answers)
        self.requests: list[requests.PreparedRequest] = []
        self.settings: list[dict[str, Any]] = []

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Give the next answer."""
        self.requests.append(request)
        self.settings.append(settings)
        answer = self.answers.popleft()
        if isinstance(answer, BaseException):
            raise answer
        response = requests.Response()
        response.status_code = answer[0]
        response.headers = CaseInsensitiveDict(answer[1])
        response.raw = io.BytesIO(answer[2])
        response.url = request.url or ""
        response.request = request
        return response

    def close(self) -> None:
        """There is nothing to close."""

    def check_used(self, times: int) -> None:
        """Assert that exactly so many requests came and no answer is left."""
        assert len(self.requests) == times
        assert not self.answers


def session_for(adapter: BaseAdapter, origin: str = PUBLIC_ORIGIN) -> requests.Session:
    """Return a session of the SDK that speaks with this adapter."""
    session = make_session()
    session.mount(origin, adapter)
    return session


def run_partner(
    *words: str,
    folder: Path,
    adapter: BaseAdapter,
    clock: Callable[[], datetime] | None = None,
    origin: str = PUBLIC_ORIGIN,
) -> int:
    """Run `report-abuse-partner` with this folder in its environment variable; return the exit code."""
    runtime = Runtime(
        clock=clock or StillClock(), open_session=lambda: session_for(adapter, origin), sleep=lambda _: None
    )
    with mock.patch.dict(os.environ, {STATE_VARIABLE: str(folder)}):
        return main(words, runtime=runtime)


class Terminal:
    """A command line with a state folder, and its output."""

    def __init__(
        self,
        folder: Path,
        adapter: BaseAdapter,
        capsys: pytest.CaptureFixture[str],
        *,
        clock: StillClock | None = None,
        origin: str = PUBLIC_ORIGIN,
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.origin = origin
        self.adapter = adapter
        self.capsys = capsys
        self.out = ""
        self.err = ""

    def run(self, *words: str) -> int:
        code = run_partner(*words, folder=self.folder, adapter=self.adapter, clock=self.clock, origin=self.origin)
        self.out, self.err = self.capsys.readouterr()
        return code

    def json(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def make_invitation(agency: Agency, service: Partner, **changes: Any) -> Invitation:
    """Return an invitation; its secret is 32 zero bytes."""
    settings = {
        "environment": agency.environment,
        "expires_at": "2026-12-24T00:00:00Z",
        "name": "Example Chat",
        "origin": PUBLIC_ORIGIN,
        "partner": service.partner,
        "next_root_fingerprint": agency.pin().next_root_fingerprint,
        "root_fingerprint": agency.pin().root_fingerprint,
        "secret": "A" * 43,
        **changes,
    }
    return Invitation(**settings)


def make_state(
    folder: Path, *, agency: Agency | None = None, partner: Partner | None = None, origin: str = PUBLIC_ORIGIN
) -> PartnerState:
    """Make the folder of a partner whose keys are those of tests/builders/parties.py."""
    agency, partner = agency or Agency(), partner or Partner()
    (folder / "keys").mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    for role in PARTNER_ROLES:
        write_key_file(folder / "keys" / f"{role.value}.key", partner.key(role))
    return PartnerState.create(folder, invitation=make_invitation(agency, partner, origin=origin), now=NOW)


def make_overview(**changes: Any) -> Overview:
    """Return a small overview of made-up cases."""
    kinds = OverviewTable(
        name="kind",
        title="Most frequent kind of report",
        unit="services, each counted once",
        note="Each service counts once, under what its digests of the year have most often.",
        epsilon_micro=460_000,
        sensitivity=1,
        lines=[
            OverviewLine("grooming", "Grooming", value=26, low=20, high=32, share_low=40, share_high=90),
            OverviewLine("something_else", "Something else", value=None, low=0, high=None),
        ],
    )
    total = OverviewTable(
        name="total",
        title="All incidents",
        unit="incidents, at most 100 from each service",
        note="",
        epsilon_micro=100_000,
        sensitivity=100,
        lines=[OverviewLine("total", "All incidents", value=None, low=5200, high=None)],
    )
    settings: dict[str, Any] = {
        "overview_version": "1",
        "environment": "live",
        "period": "2025",
        "first_day": "2025-01-01",
        "last_day": "2025-12-31",
        "made_at": "2026-11-25T08:30:00Z",
        "synthetic": True,
        "epsilon_micro": 1_000_000,
        "interval_permille": 950,
        "tables": [total, kinds],
        "missing_tables": [],
        "patterns": ["First contact moves from direct messages to voice chat."],
        "changes": ["Eleven services close direct messages to children by default."],
    }
    return Overview(**(settings | changes))


def make_digest(**changes: Any) -> Digest:
    """Return a small digest of made-up cases."""
    settings: dict[str, Any] = {
        "digest_version": "2",
        "environment": "live",
        "epsilon_micro": 800_000,
        "first_day": "2026-07-01",
        "interval_permille": 950,
        "last_day": "2026-09-30",
        "made_at": "2026-11-25T08:30:00Z",
        "missing_tables": [],
        "partner": "example-chat",
        "period": "2026-Q3",
        "recommendations": [
            DigestAdvice(
                rank=1,
                label="open_direct_messages",
                weakness="Strangers can write to children directly",
                feature="Direct messages",
                text="An adult whom a child does not know can write to that child.",
                change="Close them by default.",
                solved="Services let a child decline a request unseen.",
            )
        ],
        "span": "quarter",
        "status": "published",
        "synthetic": True,
        "tables": [
            DigestTable(
                name="kind",
                title="What happened",
                exact=False,
                epsilon_micro=550_000,
                sensitivity=1,
                cells=[
                    make_cell("grooming", title="Grooming", value=12, low=7, high=17, own=2, evidence="clear"),
                    make_cell(
                        "meet_offline",
                        title="Asked to meet in person",
                        value=3,
                        low=0,
                        high=6,
                        own=0,
                        evidence="not-clear",
                    ),
                ],
                note="",
            ),
            DigestTable(
                name="weakness",
                title="Weaknesses",
                exact=False,
                epsilon_micro=250_000,
                sensitivity=2,
                cells=[
                    make_cell(
                        "open_direct_messages",
                        title="Strangers can write to children directly",
                        value=11,
                        low=5,
                        high=18,
                        evidence="clear",
                    ),
                    make_cell("slow_response", title="Slow response", value=0, low=0, high=8, evidence="not-clear"),
                ],
                note="An incident with two weaknesses counts half for each.",
            ),
            DigestTable(
                name="own",
                title="Your own reports",
                exact=True,
                epsilon_micro=0,
                sensitivity=0,
                cells=[make_exact_cell("sent", title="Sent", value=3)],
                note="",
            ),
        ],
        "total": make_cell("total", title="Cases", value=12, low=7, high=17),
        **changes,
    }
    return Digest(**settings)
