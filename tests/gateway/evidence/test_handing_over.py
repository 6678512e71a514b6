"""Evidence from a partner to the desk: parts in any order, completion, the report that names it, the feed."""

import re
import stat

import pytest

from gateway.store.evidence import count_evidence
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES, SEGMENT_BYTES
from tests.builders import Door, House, Partner
from tests.builders.evidence import (
    complete,
    hand_over,
    list_blobs,
    lose_blob,
    make_evidence,
    make_two_parts,
    name_in_report,
    put_part,
    send_parts,
)

pytestmark = [pytest.mark.databases("sqlite", "postgresql"), pytest.mark.places("folder", "bucket")]


def test_parts_are_stored_and_told_back_in_order_when_they_come_out_of_order(industry: Door) -> None:
    evidence = make_evidence(PART_BYTES, PART_BYTES, LEAST_SEALED_BYTES)

    for number in (2, 0, 1):
        answer = put_part(industry, f"{evidence.path}/{number}", evidence.parts[number])
        assert (answer.status_code, answer.json) == (201, {"part": number, "sha256": evidence.sha256[number]})

    state = industry.get(evidence.path)
    assert state.status_code == 200
    parts = [{"part": number, "sha256": digest} for number, digest in enumerate(evidence.sha256)]
    assert state.json == {"digest": None, "parts": parts}


def test_evidence_goes_from_partner_to_desk_byte_for_byte(
    house: House, industry: Door, feed: Door, partner: Partner
) -> None:
    evidence = make_two_parts()
    hand_over(industry, evidence)
    assert industry.get(evidence.path).json["digest"] == evidence.digest
    assert feed.get("/feed/items/evidence").json["items"] == [], "nothing has named it yet"
    name_in_report(house, partner, evidence.evidence_id)

    page = feed.get("/feed/items/evidence")

    row = {
        "digest": evidence.digest,
        "evidence_id": evidence.evidence_id,
        "part_sha256": list(evidence.sha256),
        "partner": partner.partner,
        "size_bytes": evidence.size_bytes,
    }
    assert page.json == {"items": [row], "last": 1, "more": False, "unreadable": []}
    for number, part in enumerate(evidence.parts):
        answer = feed.get(f"/feed/evidence/{partner.partner}/{evidence.evidence_id}/{number}")
        assert (answer.status_code, answer.content_type) == (200, "application/octet-stream")
        assert answer.data == part
    ack = {"address": partner.partner, "item_id": evidence.evidence_id, "sha256": evidence.digest}
    for _ in range(2):
        assert feed.post("/feed/acknowledgements", {"items": [ack], "kind": "evidence"}).json == {"acknowledged": 1}
    assert feed.get("/feed/items/evidence").json["items"] == []


def test_same_part_again_is_200_with_the_same_answer_and_stored_once(house: House, industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)

    again = put_part(industry, f"{evidence.path}/0", evidence.parts[0])

    assert (again.status_code, again.json) == (200, {"part": 0, "sha256": evidence.sha256[0]})
    assert len(house.rows("evidence_parts")) == len(list_blobs(house)) == 1


def test_part_that_is_sent_again_after_completion_is_200(industry: Door) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    assert put_part(industry, f"{evidence.path}/0", evidence.parts[0]).status_code == 200


@pytest.mark.parametrize("size", [LEAST_SEALED_BYTES, SEGMENT_BYTES, SEGMENT_BYTES + 2 * 65_536 + 16, PART_BYTES])
def test_every_size_that_sealing_gives_is_taken(industry: Door, size: int) -> None:
    evidence = make_evidence(size)
    hand_over(industry, evidence)
    assert industry.get(evidence.path).json["digest"] == evidence.digest


def test_two_partners_may_use_one_id_and_neither_learns_of_the_other(house: House, feed: Door) -> None:
    first, second = Partner("first-chat"), Partner("second-chat")
    house.publish(first.entry(), second.entry(), serial=2)
    ours = make_evidence()
    theirs = make_evidence(SEGMENT_BYTES, evidence_id=ours.evidence_id)
    hand_over(house.open_industry(first), ours)
    assert house.open_industry(second).get(ours.path).status_code == 404
    hand_over(house.open_industry(second), theirs)

    assert house.open_industry(first).get(ours.path).json["digest"] == ours.digest
    assert house.open_industry(second).get(ours.path).json["digest"] == theirs.digest

    name_in_report(house, first, ours.evidence_id)
    assert [row["partner"] for row in feed.get("/feed/items/evidence").json["items"]] == ["first-chat"]
    name_in_report(house, second, ours.evidence_id)
    rows = feed.get("/feed/items/evidence").json["items"]
    assert [(row["partner"], row["digest"]) for row in rows] == [
        ("first-chat", ours.digest),
        ("second-chat", theirs.digest),
    ]


@pytest.mark.places("folder")
def test_files_of_evidence_are_for_their_owner_alone(house: House, industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)

    folder = house.state / "evidence"
    (name,) = list_blobs(house)
    path = folder / name
    assert path.read_bytes() == evidence.parts[0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_name_of_a_blob_tells_nothing_and_is_new_for_each_upload(house: House, industry: Door) -> None:
    evidence = make_evidence()
    names = set()
    for _ in range(2):
        put_part(industry, f"{evidence.path}/0", evidence.parts[0])
        (name,) = list_blobs(house)
        names.add(name)
        lose_blob(house, name)
    assert len(names) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)
    assert evidence.sha256[0][:32] not in names


def test_rate_limit_of_parts_is_told_and_is_not_that_of_reports(house: House, industry: Door, partner: Partner) -> None:
    evidence = make_evidence()
    answer = put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    assert answer.headers["RateLimit"].startswith('"partner-part";r=5999;')
    assert industry.get(evidence.path).headers["RateLimit"].startswith('"partner-evidence";r=1199;')
    assert complete(industry, evidence).headers["RateLimit"].startswith('"partner-evidence";r=1198;')


def test_waiting_evidence_and_its_bytes_are_counted_in_whole_numbers(
    house: House, industry: Door, partner: Partner
) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    hand_over(industry, evidence)
    name_in_report(house, partner, evidence.evidence_id)
    with house.open_gateway().store.read() as connection:
        counted = count_evidence(connection)
    assert counted == (1, sum(len(part) for part in evidence.parts))
    assert [type(number) for number in counted] == [int, int]
