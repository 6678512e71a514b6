"""A reference finds its receipt through a link, whatever the number of receipts, and no link is believed."""

from pathlib import Path

import pytest

from partner_sdk.client._receipts import get_report_id
from partner_sdk.errors import LocalStateError
from tests.sdk.client.test_client import KEYS, RAW, ReceivingGateway, open_client

FIRST, SECOND, NEITHER = "K7QF-2M9TX-D", "0W3G-E1R70-Z", "TEST-K7QF-2M9TX-D"


def submit(folder: Path, *, reference: str, priority: str = "P3") -> str:
    """Submit a report whose receipt has a reference; returns its id."""
    client = open_client(folder, ReceivingGateway(KEYS, reference=reference))
    return client.submit(RAW, priority=priority).report_id


def test_reference_finds_its_receipt_without_a_look_into_the_others(tmp_path: Path) -> None:
    report_id = submit(tmp_path / "p", reference=FIRST)
    other = submit(tmp_path / "p", reference=SECOND, priority="P2")
    (tmp_path / "p" / "receipts" / f"{other}.json").write_bytes(b"damaged")
    state = open_client(tmp_path / "p", ReceivingGateway()).state
    assert get_report_id(state, FIRST.lower()) == report_id


def test_receipt_without_a_link_is_found_and_linked(tmp_path: Path) -> None:
    ids = [submit(tmp_path / "p", reference=one, priority=place) for one, place in ((FIRST, "P2"), (SECOND, "P3"))]
    links = tmp_path / "p" / "references"
    for link in links.iterdir():
        link.unlink()
    links.rmdir()
    state = open_client(tmp_path / "p", ReceivingGateway()).state
    assert get_report_id(state, FIRST) == ids[0]
    assert (links / FIRST).read_bytes() == state.find_receipt(ids[0])
    with pytest.raises(LocalStateError) as caught:
        get_report_id(state, NEITHER)
    assert caught.value.reason == "no-such-receipt"


def test_link_to_another_receipt_is_not_believed(tmp_path: Path) -> None:
    ids = [submit(tmp_path / "p", reference=one, priority=place) for one, place in ((FIRST, "P2"), (SECOND, "P3"))]
    link = tmp_path / "p" / "references" / FIRST
    state = open_client(tmp_path / "p", ReceivingGateway()).state
    for target in (f"../receipts/{ids[1]}.json", "/etc/passwd", "../receipts/"):
        link.unlink()
        link.symlink_to(target)
        assert get_report_id(state, FIRST) == ids[0]
