"""When evidence is complete: all parts, their sizes and their digest; faults have pointers."""

from typing import Any

import pytest

from gateway.evidence.keeper import MAX_FAULTS
from partner_sdk.wire import problems
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.evidence import (
    LEAST_SEALED_BYTES,
    MAX_PARTS,
    MAX_SEALED_BYTES,
    PART_BYTES,
    SEGMENT_BYTES,
)
from tests.builders import Door, House, Partner
from tests.builders.evidence import (
    SealedEvidence,
    complete,
    get_blob,
    hand_over,
    make_evidence,
    name_in_report,
    put_part,
    send_parts,
)
from tests.problem_shape import check_problem

UNKNOWN_ID = "0194f3a0-5b7c-7a3e-9c1d-2f4b6a8c0e12"


def refuse(industry: Door, evidence: SealedEvidence, **changes: Any) -> list[str]:
    """Fail unless it is refused as incomplete and stays so; return the pointers."""
    document = check_problem(complete(industry, evidence, **changes), problems.INCOMPLETE_EVIDENCE)
    assert industry.get(evidence.path).json["digest"] is None
    return [fault["pointer"] for fault in document["errors"]]


def test_completion_may_be_repeated_and_answers_equally(industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    answers = [complete(industry, evidence) for _ in range(3)]
    assert [(answer.status_code, answer.data) for answer in answers] == [
        (200, b'{"digest":"%s"}' % evidence.digest.encode())
    ] * 3


def test_missing_parts_are_named_and_it_is_complete_once_they_came(industry: Door) -> None:
    evidence = make_evidence(PART_BYTES, PART_BYTES, LEAST_SEALED_BYTES)
    assert put_part(industry, f"{evidence.path}/1", evidence.parts[1]).status_code == 201

    assert refuse(industry, evidence) == ["#/parts/0", "#/parts/2"]

    for number in (0, 2):
        put_part(industry, f"{evidence.path}/{number}", evidence.parts[number])
    assert complete(industry, evidence).status_code == 200


def test_at_most_fifty_missing_parts_are_named(industry: Door) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    pointers = refuse(industry, evidence, parts=MAX_PARTS, size_bytes=MAX_SEALED_BYTES)
    assert pointers == [f"#/parts/{number}" for number in range(1, MAX_FAULTS + 1)]
    assert len(pointers) == 50


@pytest.mark.parametrize(
    ("sizes", "changes", "pointer"),
    [
        ((PART_BYTES, LEAST_SEALED_BYTES), {"parts": 1}, "#/parts"),  # behind the last one
        ((SEGMENT_BYTES, LEAST_SEALED_BYTES), {}, "#/parts/0"),  # short, and not the last
        *(
            ((SEGMENT_BYTES,), {"size_bytes": size}, "#/size_bytes")
            for size in (LEAST_SEALED_BYTES, 2 * LEAST_SEALED_BYTES, MAX_SEALED_BYTES)
        ),
        ((LEAST_SEALED_BYTES,), {"digest": "0" * 64}, "#/digest"),
    ],
)
def test_first_fault_of_a_completion_is_told(
    industry: Door, sizes: tuple[int, ...], changes: dict[str, Any], pointer: str
) -> None:
    evidence = make_evidence(*sizes)
    send_parts(industry, evidence)
    assert refuse(industry, evidence, **changes) == [pointer]


def test_parts_in_another_order_have_another_digest(industry: Door) -> None:
    evidence = make_evidence(PART_BYTES, PART_BYTES)
    swapped = SealedEvidence(evidence.evidence_id, evidence.parts[::-1])
    send_parts(industry, swapped)
    assert refuse(industry, evidence) == ["#/digest"]
    assert complete(industry, swapped).status_code == 200


def test_completed_evidence_keeps_its_digest_when_another_is_named(industry: Door) -> None:
    evidence = make_evidence()
    hand_over(industry, evidence)
    check_problem(complete(industry, evidence, digest="0" * 64), problems.CONFLICTING_EVIDENCE)
    assert industry.get(evidence.path).json["digest"] == evidence.digest
    assert complete(industry, evidence).status_code == 200


def test_evidence_that_a_report_named_and_nothing_came_of_misses_all_parts(
    house: House, industry: Door, partner: Partner
) -> None:
    evidence = make_evidence()
    name_in_report(house, partner, evidence.evidence_id)
    assert industry.get(evidence.path).json == {"digest": None, "parts": []}
    assert refuse(industry, evidence) == ["#/parts/0"]


@pytest.mark.parametrize("is_cut", [True, False])
def test_part_whose_bytes_were_lost_is_missing_and_can_be_sent_again(
    house: House, industry: Door, is_cut: bool
) -> None:
    """A database that was restored without the folder of evidence must not lead to evidence that is not there."""
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    send_parts(industry, evidence)
    path = house.state / "evidence" / get_blob(house, evidence, 1)
    path.unlink()
    if is_cut:
        path.write_bytes(evidence.parts[1][:-1])

    assert [part["part"] for part in industry.get(evidence.path).json["parts"]] == [0]
    assert refuse(industry, evidence) == ["#/parts/1"]

    assert put_part(industry, f"{evidence.path}/1", evidence.parts[1]).status_code in {200, 201}
    assert complete(industry, evidence).status_code == 200
    assert (house.state / "evidence" / get_blob(house, evidence, 1)).read_bytes() == evidence.parts[1]
    assert path.exists() is is_cut, "another name took its place, and the sweep takes the cut one"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"digest":"00","parts":1,"size_bytes":65552}',
        b'{"digest":"%s","parts":0,"size_bytes":65552}' % (b"0" * 64),
        b'{"digest":"%s","parts":1283,"size_bytes":65552}' % (b"0" * 64),
        b'{"digest":"%s","parts":1,"size_bytes":1}' % (b"0" * 64),
        b'{"digest":"%s","more":1,"parts":1,"size_bytes":65552}' % (b"0" * 64),
        b'{"parts":1,"digest":"%s","size_bytes":65552,"parts":2}' % (b"0" * 64),
    ],
)
def test_completion_that_does_not_fit_is_refused(industry: Door, body: bytes) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    answer = industry.post(f"{evidence.path}/complete", body)
    assert answer.status_code == 400
    assert industry.get(evidence.path).json["digest"] is None


def test_completion_of_an_id_that_is_no_uuid7_is_like_an_unknown_one(industry: Door) -> None:
    post = encode(make_evidence().complete_post())
    for evidence_id in ("1", UNKNOWN_ID.upper(), UNKNOWN_ID):
        check_problem(industry.post(f"/v1/evidence/{evidence_id}/complete", post), problems.NOT_FOUND)
        check_problem(industry.get(f"/v1/evidence/{evidence_id}"), problems.NOT_FOUND)
