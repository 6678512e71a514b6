"""Evidence refused at the industry door: each fault has its problem, and nothing of it is kept."""

import os

import pytest
from werkzeug.test import TestResponse

from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, MAX_PARTS, PART_BYTES, SEGMENT_BYTES
from partner_sdk.wire.signing import CONTENT_TYPE, PART_CONTENT_TYPE
from tests.builders import Door, House, Partner, seal_report, sign_request
from tests.builders.evidence import hand_over, list_blobs, make_evidence, put_part, send_parts
from tests.problem_shape import check_problem

UNKNOWN_ID = "0194f3a0-5b7c-7a3e-9c1d-2f4b6a8c0e12"


def check_nothing_is_kept(house: House) -> None:
    assert house.rows("evidence") == house.rows("evidence_parts") == []
    assert list_blobs(house) == []


def test_part_with_other_bytes_than_were_signed_is_401_and_leaves_nothing(house: House, industry: Door) -> None:
    evidence = make_evidence(PART_BYTES)
    other = make_evidence(PART_BYTES)

    answer = put_part(industry, f"{evidence.path}/0", evidence.parts[0], signed_body=other.parts[0])

    check_problem(answer, problems.NOT_AUTHORISED)
    check_nothing_is_kept(house)


def test_known_part_with_other_bytes_under_its_signature_is_401(industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    answer = put_part(industry, f"{evidence.path}/0", os.urandom(LEAST_SEALED_BYTES), signed_body=evidence.parts[0])
    check_problem(answer, problems.NOT_AUTHORISED)


def test_cut_part_is_refused_and_leaves_nothing(house: House, industry: Door) -> None:
    whole = os.urandom(SEGMENT_BYTES)
    answer = put_part(industry, f"/v1/evidence/{UNKNOWN_ID}/0", whole[:LEAST_SEALED_BYTES], signed_body=whole)
    check_problem(answer, problems.NOT_AUTHORISED)
    check_nothing_is_kept(house)


def test_other_bytes_for_a_part_are_409_and_the_first_stay(house: House, industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)

    answer = put_part(industry, f"{evidence.path}/0", os.urandom(LEAST_SEALED_BYTES))

    check_problem(answer, problems.CONFLICTING_EVIDENCE)
    assert industry.get(evidence.path).json["parts"] == [{"part": 0, "sha256": evidence.sha256[0]}]
    assert len(list_blobs(house)) == 1


def test_new_part_after_completion_is_409(house: House, industry: Door) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    check_problem(
        put_part(industry, f"{evidence.path}/1", os.urandom(LEAST_SEALED_BYTES)), problems.CONFLICTING_EVIDENCE
    )
    assert len(list_blobs(house)) == 1


@pytest.mark.parametrize("number", ["00", "01", "-1", "1.0", str(MAX_PARTS), "9999", "10000", "x", "0x1"])
def test_number_of_a_part_has_one_spelling_and_a_range(house: House, industry: Door, number: str) -> None:
    answer = put_part(industry, f"/v1/evidence/{UNKNOWN_ID}/{number}", os.urandom(LEAST_SEALED_BYTES))
    check_problem(answer, problems.MALFORMED_REQUEST)
    check_nothing_is_kept(house)


def test_highest_number_of_a_part_is_taken(industry: Door) -> None:
    answer = put_part(industry, f"/v1/evidence/{UNKNOWN_ID}/{MAX_PARTS - 1}", os.urandom(LEAST_SEALED_BYTES))
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "size", [0, 1, 65_536, LEAST_SEALED_BYTES - 1, LEAST_SEALED_BYTES + 1, SEGMENT_BYTES + 16, PART_BYTES - 1]
)
def test_size_that_no_sealing_gives_is_refused(house: House, industry: Door, size: int) -> None:
    answer = put_part(industry, f"/v1/evidence/{UNKNOWN_ID}/0", os.urandom(size))
    check_problem(answer, problems.MALFORMED_REQUEST)
    check_nothing_is_kept(house)


def test_part_over_the_ceiling_is_413(house: House, industry: Door) -> None:
    answer = put_part(industry, f"/v1/evidence/{UNKNOWN_ID}/0", bytes(PART_BYTES + 1))
    check_problem(answer, problems.BODY_TOO_LARGE)
    check_nothing_is_kept(house)


@pytest.mark.parametrize(
    "evidence_id",
    ["1", "..", "0194F3A0-5B7C-7A3E-9C1D-2F4B6A8C0E12", "0194f3a0-5b7c-4a3e-9c1d-2f4b6a8c0e12", UNKNOWN_ID + "0"],
)
def test_id_that_is_no_uuid7_names_no_file(house: House, industry: Door, evidence_id: str) -> None:
    answer = put_part(industry, f"/v1/evidence/{evidence_id}/0", os.urandom(LEAST_SEALED_BYTES))
    assert answer.status_code in {400, 404}
    check_nothing_is_kept(house)


@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "text/plain", "application/octet-stream; x=y"])
def test_part_of_another_type_is_415(house: House, industry: Door, content_type: str) -> None:
    answer = put_part(
        industry, f"/v1/evidence/{UNKNOWN_ID}/0", os.urandom(LEAST_SEALED_BYTES), content_type=content_type
    )
    check_problem(answer, problems.UNSUPPORTED_MEDIA_TYPE)
    check_nothing_is_kept(house)


def test_octet_stream_is_refused_everywhere_else(house: House, industry: Door, feed: Door, partner: Partner) -> None:
    report = seal_report(partner, key=house.agency.sealing_key)
    calls = [
        (industry, "POST", "/v1/reports", report.body),
        (industry, "POST", "/v1/mailbox/1/ack", b"{}"),
        (industry, "POST", f"/v1/evidence/{UNKNOWN_ID}/complete", encode(make_evidence().complete_post())),
        (feed, "POST", "/feed/acknowledgements", b'{"items":[],"kind":"evidence"}'),
        (feed, "PUT", "/feed/lists/keys", b"{}"),
    ]
    for door, method, path, body in calls:
        answer = send_octets(door, method, path, body)
        check_problem(answer, problems.UNSUPPORTED_MEDIA_TYPE, origin=door.origin)
    assert house.rows("reports") == []


def send_octets(door: Door, method: str, path: str, body: bytes) -> TestResponse:
    assert door.key is not None
    url = door.origin + path
    headers = sign_request(method, url, body=body, private_key=door.key, content_type=PART_CONTENT_TYPE)
    return door.send(method, path, body=body, headers=headers)


def test_part_signed_for_another_address_is_401(house: House, industry: Door) -> None:
    evidence = make_evidence()
    assert industry.key is not None
    headers = sign_request(
        "PUT",
        industry.origin + f"{evidence.path}/1",
        body=evidence.parts[0],
        private_key=industry.key,
        content_type=PART_CONTENT_TYPE,
    )
    answer = industry.send("PUT", f"{evidence.path}/0", body=evidence.parts[0], headers=headers)
    check_problem(answer, problems.NOT_AUTHORISED)
    check_nothing_is_kept(house)


def test_feed_routes_of_evidence_are_closed_to_partners(house: House, industry: Door, partner: Partner) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    feed_app = house.open_app("feed")
    caller = Door(feed_app, "https://feed.example", house.clock, partner.submission_key)
    part = f"/feed/evidence/{partner.partner}/{evidence.evidence_id}/0"
    for answer in (caller.get("/feed/items/evidence"), caller.get(part), caller.post("/feed/acknowledgements", {})):
        check_problem(answer, problems.NOT_AUTHORISED, origin="https://feed.example")
    for path in ("/feed/items/evidence", part):
        check_problem(industry.get(path), problems.NOT_FOUND)
