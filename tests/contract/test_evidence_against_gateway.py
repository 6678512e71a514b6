"""Evidence from the SDK to the real gateway, without a socket: whole, cut in the middle, resumed, refused."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests

from gateway.testing.transport import WsgiTransport
from partner_sdk.client._evidence_upload import find_state
from partner_sdk.client.partner import Partner as Client
from partner_sdk.errors import NotAuthorisedError, TransportError
from partner_sdk.wire.evidence import count_sealed_bytes
from partner_sdk.wire.submission import ReportPost
from tests.builders import House
from tests.sdk.evidence_builders import THREE_PARTS, make_report, read_post, write_plain
from tests.sdk.sdk_builders import make_state, session_for

REPORT = make_report("file-1")


class CutWire(WsgiTransport):
    """The way to the app; while `is_cut`, only so many parts get through, and nothing else of evidence."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.is_cut = False
        self.parts_left = 0

    def send(self, request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:
        """Send it, or lose it."""
        if self.is_cut and "/v1/evidence/" in request.path_url:
            if request.method != "PUT" or not self.parts_left:
                raise requests.ConnectionError
            self.parts_left -= 1
        return super().send(request, *args, **settings)

    def list_parts(self) -> list[str]:
        """Return the addresses of the parts that got through, in order."""
        return [request.path_url for request in self.requests if request.method == "PUT"]

    def list_posts(self) -> list[ReportPost]:
        """Return the reports that got through, in order."""
        bodies = [request.body for request in self.requests if request.path_url == "/v1/reports"]
        return [msgspec.json.decode(body or b"", type=ReportPost) for body in bodies]


@pytest.fixture
def wire(house: House) -> CutWire:
    return CutWire(house.open_app("industry"))


@pytest.fixture
def client(house: House, wire: CutWire, tmp_path: Path) -> Client:
    make_state(tmp_path / "partner", agency=house.agency)
    return Client.open(tmp_path / "partner", session=session_for(wire), clock=house.clock, sleep=lambda _: None)


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, THREE_PARTS])
def test_evidence_is_held_whole_before_the_report_names_its_digest(
    client: Client, wire: CutWire, house: House, tmp_path: Path, size_bytes: int
) -> None:
    handed = client.submit(REPORT, priority="P2", evidence={"file-1": write_plain(tmp_path, "a", size_bytes)})
    assert handed.is_complete
    (post,) = wire.list_posts()
    (reference,) = read_post(post, agency=house.agency).evidence
    state = find_state(client.session, reference.evidence_id)
    assert state is not None
    assert state.digest == reference.digest
    assert len(state.parts) == len(wire.list_parts()) == -(-count_sealed_bytes(size_bytes) // 8_388_608)


def test_p1_is_stored_while_its_evidence_is_still_on_the_way(client: Client, wire: CutWire, tmp_path: Path) -> None:
    stored: list[int] = []
    handed = client.submit(
        REPORT,
        priority="P1",
        evidence={"file-1": write_plain(tmp_path, "a", 5)},
        on_receipt=lambda _: stored.append(len(wire.list_parts())),
    )
    assert handed.is_complete
    assert stored == [0]
    assert handed.supplement is not None
    assert handed.supplement.statement.clear.earlier_reference == handed.reference


@pytest.mark.parametrize("priority", ["P1", "P2"])
def test_upload_that_is_cut_goes_on_where_it_was(client: Client, wire: CutWire, tmp_path: Path, priority: Any) -> None:
    wire.is_cut, wire.parts_left = True, 2
    files = {"file-1": write_plain(tmp_path, "a", THREE_PARTS)}
    handed = client.submit(REPORT, priority=priority, evidence=files)
    assert isinstance(handed.error, TransportError)
    there = wire.list_parts()
    assert len(there) == 2
    wire.is_cut = False
    (resumed,) = client.resume_evidence()
    assert resumed.is_complete
    assert len(wire.list_parts()) == 3
    assert len(set(wire.list_parts())) == 3  # no part went twice
    assert client.resume_evidence() == []


def test_same_part_again_is_no_fault_at_the_gateway(client: Client, wire: CutWire, tmp_path: Path) -> None:
    """The answers were lost on the way, so that every part goes twice."""
    original, lost = wire.send, set[str]()

    def lose_each_once(request: requests.PreparedRequest, *args: Any, **settings: Any) -> requests.Response:
        response = original(request, *args, **settings)
        if "/v1/evidence/" in request.path_url and request.path_url not in lost:
            lost.add(request.path_url)
            raise requests.ConnectionError
        return response

    wire.send = lose_each_once
    handed = client.submit(REPORT, priority="P2", evidence={"file-1": write_plain(tmp_path, "a", THREE_PARTS)})
    assert handed.is_complete
    assert len(wire.list_parts()) == 6


def test_evidence_id_that_nobody_sent_is_unknown(client: Client) -> None:
    assert find_state(client.session, "01a211d3-7340-7ff3-b7d7-b412be473e63") is None


def test_stranger_cannot_send_a_part(client: Client, house: House, wire: CutWire, tmp_path: Path) -> None:
    house.publish(serial=2)  # a register without this partner
    path = write_plain(tmp_path, "a", 5)
    with pytest.raises(NotAuthorisedError):
        client.submit(REPORT, priority="P2", evidence={"file-1": path})
    assert house.rows("evidence") == []
