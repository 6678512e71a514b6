"""The digest on the wire: one spelling, no contradiction, and views that hide unshown figures."""

import csv
import io
import re

import msgspec
import pytest

from gateway.desk.digests.own_facts import make_exact_cell
from gateway.desk.digests.payload import make_cell
from partner_sdk.console.digests.view import format_epsilon
from partner_sdk.console.feedback import render_csv
from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import encode
from partner_sdk.wire.digest import (
    Digest,
    DigestAdvice,
    DigestTable,
    encode_digest,
    format_interval_share,
    parse_digest,
)

ADVICE = DigestAdvice(
    rank=1,
    label="no_block_tool",
    weakness="No good way to block",
    feature="Moderation",
    text="A child cannot stop a person from writing.",
    change="Put block beside report.",
    solved="Services keep a block for new accounts of the same person.",
)


def make_digest(**changes: object) -> Digest:
    kinds = [
        make_cell("grooming", title="Grooming", value=34, low=27, high=41, own=6),
        make_cell("meet_offline", title="Asked to meet in person", value=3, low=0, high=9),
    ]
    values: dict[str, object] = {
        "digest_version": "2",
        "partner": "example-chat",
        "environment": "live",
        "span": "quarter",
        "period": "2026-Q3",
        "first_day": "2026-07-01",
        "last_day": "2026-09-30",
        "made_at": "2026-11-25T08:30:00Z",
        "synthetic": False,
        "status": "published",
        "epsilon_micro": 900_000,
        "interval_permille": 950,
        "total": make_cell("total", title="All incidents", value=37, low=20, high=50),
        "tables": [
            DigestTable("kind", "Main kind of report", False, 400_000, 1, kinds, "One for each incident."),
            DigestTable("door", "Your own", True, 0, 1, [make_exact_cell("industry", title="You sent", value=2)], ""),
        ],
        "missing_tables": [],
        "recommendations": [ADVICE],
    }
    return Digest(**(values | changes))  # type: ignore[arg-type]  # the values are typed one by one above


def test_what_is_encoded_parses_back_to_the_same_bytes() -> None:
    raw = encode_digest(make_digest())
    assert encode_digest(parse_digest(raw)) == raw
    assert re.search(rb"[0-9][.][0-9]", raw) is None  # no float anywhere


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw + b" ", "not-canonical"),
        (lambda raw: raw[:-1], "malformed"),
        (lambda raw: raw.replace(b'"synthetic":false', b'"synthetic":null'), "malformed"),
        (lambda raw: raw.replace(b'"synthetic":false', b'"synthetic":false,"extra":1'), "malformed"),
        (lambda raw: raw.replace(b'"value":34', b'"value":34.0'), "malformed"),
        (lambda raw: raw.replace(b'"digest_version":"2"', b'"digest_version":"1"'), "unknown-version"),
        (lambda raw: raw + b" " * 262_144, "too-large"),
    ],
)
def test_bytes_that_are_not_a_digest_are_refused(change, reason: str) -> None:
    raw = encode_digest(make_digest())
    with pytest.raises(FormatError) as caught:
        parse_digest(change(raw))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "cell",
    [
        {"value": 3, "shown": "3"},  # a small value in the clear
        {"value": None, "shown": "3"},
        {"value": None, "low": 2},
        {"value": None, "high": 1},
        {"value": None, "shown": "fewer than 10"},
        {"value": 34, "shown": "34", "low": 0, "high": 40},  # chance could have made it
        {"own": -1},
        {"value": 34, "shown": "35"},
        {"value": 34, "shown": "34", "low": 35, "high": 40},
        {"value": -1, "shown": "-1"},
    ],
)
def test_a_cell_that_contradicts_itself_is_refused(cell: dict[str, object]) -> None:
    good = make_cell("grooming", title="Grooming", value=2, low=0, high=9)
    bad = msgspec.structs.replace(good, **cell)
    table = DigestTable("kind", "Main kind", False, 400_000, 1, [bad], "")
    with pytest.raises(FormatError) as caught:
        parse_digest(encode(make_digest(tables=[table])))
    assert caught.value.reason == "bad-digest"


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("weakness", {"own": 3}),
        ("age_band", {"own": 3}),
        ("age_band", {"evidence": "clear"}),
    ],
)
def test_own_numbers_stand_beside_kinds_alone_and_evidence_beside_weaknesses_and_kinds(
    name: str, changes: dict[str, object]
) -> None:
    cell = msgspec.structs.replace(make_cell("x", title="X", value=9, low=2, high=20), **changes)
    good = "kind" if "own" in changes else "weakness"
    for table, is_good in ((name, False), (good, True)):
        digest = make_digest(tables=[DigestTable(table, "T", False, 1, 1, [cell], "")])
        if is_good:
            encode_digest(digest)
        else:
            with pytest.raises(FormatError):
                parse_digest(encode(digest))


def test_total_has_no_own_number_and_a_table_comes_once() -> None:
    digest = make_digest()
    assert digest.total is not None
    for bad in (
        make_digest(total=msgspec.structs.replace(digest.total, own=1)),
        make_digest(tables=[digest.tables[1], digest.tables[1]]),
    ):
        with pytest.raises(FormatError):
            parse_digest(encode(bad))


def test_a_cost_that_does_not_cover_the_tables_is_refused() -> None:
    with pytest.raises(FormatError):
        encode_digest(make_digest(epsilon_micro=399_999))
    with pytest.raises(FormatError):
        encode_digest(make_digest(tables=[DigestTable("door", "Your own", True, 1, 1, [], "")]))


def test_a_value_under_five_is_in_no_view() -> None:
    cell = make_cell("x", title="X", value=4, low=1, high=2)
    assert (cell.value, cell.shown, cell.low, cell.high) == (None, "few", 0, 4)
    assert make_cell("x", title="X", value=5, low=1, high=9).value == 5
    chance = make_cell("x", title="X", value=26, low=-70, high=122)
    assert (chance.value, chance.shown, chance.low, chance.high) == (None, "few", 0, 122)
    below = make_cell("x", title="X", value=-20, low=-30, high=-10)
    assert (below.value, below.shown, below.low, below.high) == (None, "few", 0, 4)
    digest = make_digest()
    rows = {row["label"]: row for row in csv.DictReader(io.StringIO(render_csv(digest)))}
    assert (rows["meet_offline"]["value"], rows["meet_offline"]["shown"]) == ("", "few")
    assert b'"value":3,' not in encode_digest(digest)


def test_a_synthetic_digest_is_marked_in_table_and_json() -> None:
    digest = make_digest(synthetic=True)
    assert b'"synthetic":true' in encode_digest(digest)
    rows = list(csv.DictReader(io.StringIO(render_csv(digest))))
    assert len(rows) == 4
    assert {row["synthetic"] for row in rows} == {"yes"}


def test_a_digest_that_waits_has_no_figure() -> None:
    own = make_digest().tables[1:]
    waiting = {"status": "waiting", "total": None, "recommendations": []}
    assert parse_digest(encode_digest(make_digest(**waiting, tables=own))).total is None
    for contradiction in (
        {},
        {"tables": own, "total": make_digest().total},
        {"tables": own, "recommendations": [ADVICE]},
    ):
        with pytest.raises(FormatError):
            encode_digest(make_digest(**(waiting | contradiction)))
    few = make_cell("total", title="All incidents", value=14, low=0, high=28)
    for total in (None, few):
        with pytest.raises(FormatError):
            encode_digest(make_digest(total=total))


def test_the_own_reports_stand_beside_the_noisy_number() -> None:
    rows = {row["label"]: row for row in csv.DictReader(io.StringIO(render_csv(make_digest())))}
    assert (rows["grooming"]["own"], rows["meet_offline"]["own"]) == ("6", "")


def test_costs_and_shares_are_written_for_people() -> None:
    assert [format_epsilon(micro) for micro in (0, 1, 60_000, 400_000, 1_000_000)] == [
        "0.0",
        "0.000001",
        "0.06",
        "0.4",
        "1.0",
    ]
    assert [format_interval_share(permille) for permille in (950, 975)] == ["95", "97.5"]
