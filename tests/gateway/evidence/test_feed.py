"""Evidence in the desk's feed: complete and named by a report, in order, until it is acknowledged."""

import pytest

from gateway.exchange.feed import EVIDENCE
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode, make_report_id
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES
from tests.builders import FEED_ORIGIN, NOW, Door, House, Partner
from tests.builders.evidence import (
    SealedEvidence,
    hand_over,
    list_blobs,
    make_evidence,
    name_in_report,
    send_parts,
)
from tests.problem_shape import check_problem

pytestmark = pytest.mark.databases("sqlite", "postgresql")


def make_id(number: int) -> str:
    """Return an id that sorts by its number."""
    return make_report_id(NOW, number.to_bytes(10, "big"))


def hand_over_many(house: House, partner: Partner, *, count: int) -> list[str]:
    """Hand over and name so many pieces of evidence, the newest first; return their ids in order."""
    industry = house.open_industry(partner)
    parts = (bytes(LEAST_SEALED_BYTES),)
    ids = [make_id(number) for number in range(count)]
    for evidence_id in reversed(ids):
        hand_over(industry, SealedEvidence(evidence_id, parts))
    name_in_report(house, partner, *ids)
    return ids


def ack_of(evidence: SealedEvidence, partner: Partner, /, **changes: str) -> dict[str, str]:
    return {
        "address": partner.partner,
        "item_id": evidence.evidence_id,
        "sha256": evidence.digest,
        **changes,
    }


def test_pages_are_in_the_order_of_coming_and_say_that_more_wait(house: House, feed: Door, partner: Partner) -> None:
    ids = hand_over_many(house, partner, count=EVIDENCE.max_items + 3)[::-1]  # the newest was handed over first

    first = feed.get("/feed/items/evidence").json
    second = feed.get(f"/feed/items/evidence?after={first['last']}").json

    assert [row["evidence_id"] for row in first["items"]] == ids[: EVIDENCE.max_items]
    assert [row["evidence_id"] for row in second["items"]] == ids[EVIDENCE.max_items :]
    assert (first["more"], second["more"]) == (True, False)
    nothing = {"items": [], "last": second["last"], "more": False, "unreadable": []}
    assert feed.get(f"/feed/items/evidence?after={second['last']}").json == nothing


def test_evidence_of_two_partners_under_one_id_is_on_two_pages_and_neither_is_passed_over(
    house: House, feed: Door
) -> None:
    partners = [Partner(name) for name in ("a-chat", "b-chat", "c-chat")]
    house.publish(*(one.entry() for one in partners), serial=2)
    shared = SealedEvidence(make_id(1), (bytes(LEAST_SEALED_BYTES),))
    for one in partners:
        hand_over(house.open_industry(one), shared)
        name_in_report(house, one, shared.evidence_id)

    page = feed.get("/feed/items/evidence?limit=2").json
    rest = feed.get(f"/feed/items/evidence?limit=2&after={page['last']}").json

    assert [row["partner"] for row in page["items"]] == ["a-chat", "b-chat"]
    assert [row["partner"] for row in rest["items"]] == ["c-chat"]
    acks = [ack_of(shared, one) for one in partners[:2]]
    assert feed.post("/feed/acknowledgements", {"items": acks, "kind": "evidence"}).json == {"acknowledged": 2}
    assert [row["partner"] for row in feed.get("/feed/items/evidence").json["items"]] == ["c-chat"]


@pytest.mark.databases("sqlite")  # refused or counted before a row is read
@pytest.mark.parametrize("query", ["after=x", "after=", "after=1&after=2", "limit=51", f"after={make_id(1)}"])
def test_cursor_that_is_no_position_and_a_page_that_is_too_long_are_refused(feed: Door, query: str) -> None:
    check_problem(feed.get(f"/feed/items/evidence?{query}"), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


def test_incomplete_or_unnamed_evidence_is_not_listed_and_incomplete_parts_are_not_served(
    house: House, industry: Door, feed: Door, partner: Partner
) -> None:
    incomplete, unnamed = make_evidence(), make_evidence()
    send_parts(industry, incomplete)
    name_in_report(house, partner, incomplete.evidence_id)
    hand_over(industry, unnamed)

    assert feed.get("/feed/items/evidence").json["items"] == []
    part = feed.get(f"/feed/evidence/{partner.partner}/{incomplete.evidence_id}/0")
    check_problem(part, problems.NOT_FOUND, origin=FEED_ORIGIN)


def test_parts_that_are_not_there_are_404(house: House, industry: Door, feed: Door, partner: Partner) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    name_in_report(house, partner, evidence.evidence_id)
    name = f"{partner.partner}/{evidence.evidence_id}"
    for path in (f"{name}/1", f"other-chat/{evidence.evidence_id}/0", f"{partner.partner}/{make_id(7)}/0", "../../0"):
        answer = feed.get(f"/feed/evidence/{path}")
        check_problem(answer, problems.NOT_FOUND, origin=FEED_ORIGIN)
    check_problem(feed.get(f"/feed/evidence/{name}/00"), problems.MALFORMED_REQUEST, origin=FEED_ORIGIN)


def test_part_that_the_disk_has_lost_is_503_and_stays_listed(
    house: House, industry: Door, feed: Door, partner: Partner
) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    name_in_report(house, partner, evidence.evidence_id)
    (name,) = list_blobs(house)
    (house.state / "evidence" / name).unlink()

    answer = feed.get(f"/feed/evidence/{partner.partner}/{evidence.evidence_id}/0")

    check_problem(answer, problems.STORAGE_UNAVAILABLE, origin=FEED_ORIGIN)
    assert len(feed.get("/feed/items/evidence").json["items"]) == 1


def test_acknowledgement_counts_only_with_partner_id_and_digest(
    house: House, industry: Door, feed: Door, partner: Partner
) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    name_in_report(house, partner, evidence.evidence_id)
    wrong = [
        ack_of(evidence, partner, sha256="0" * 64),
        ack_of(evidence, partner, address="other-chat"),
        ack_of(evidence, partner, item_id=make_id(3)),
    ]

    assert feed.post("/feed/acknowledgements", {"items": wrong, "kind": "evidence"}).json == {"acknowledged": 0}
    assert len(feed.get("/feed/items/evidence").json["items"]) == 1

    acks = [*wrong, ack_of(evidence, partner)]
    assert feed.post("/feed/acknowledgements", {"items": acks, "kind": "evidence"}).json == {"acknowledged": 1}
    assert feed.get("/feed/items/evidence").json["items"] == []


def test_incomplete_evidence_cannot_be_acknowledged(house: House, industry: Door, feed: Door, partner: Partner) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    name_in_report(house, partner, evidence.evidence_id)
    assert feed.post("/feed/acknowledgements", {"items": [ack_of(evidence, partner)], "kind": "evidence"}).json == {
        "acknowledged": 0
    }


@pytest.mark.databases("sqlite")  # refused or counted before a row is read
def test_a_thousand_acknowledgements_fit_into_one_body(feed: Door) -> None:
    acks = [{"address": "p" * 64, "item_id": make_id(number), "sha256": "0" * 64} for number in range(1000)]
    assert len(encode({"items": acks, "kind": "evidence"})) > 200_000
    assert feed.post("/feed/acknowledgements", {"items": acks, "kind": "evidence"}).json == {"acknowledged": 0}
    assert feed.post("/feed/acknowledgements", {"items": [*acks, acks[0]], "kind": "evidence"}).status_code == 400
