"""The keys of cases: one case, one row, one key, gone for good once it is destroyed."""

from pathlib import Path

import pytest

from gateway.desk.cases.opening import open_case
from gateway.desk.vault import HEAD_BYTES, CaseKey, CasePlace
from gateway.desk.vault.case_keys import CASE_KEYS_FILE, RECORD_BYTES, CaseKeys
from partner_sdk.errors import LocalStateError, OpeningError
from partner_sdk.key_files import KeyRole
from tests.builders import make_key
from tests.desk.people_builders import ACTOR
from tests.desk.vault.vault_process import run_vault
from tests.desk.view_builders import Clock, add_sealed_case, make_test_desk

UNDER = make_key(KeyRole.CASE, name="cases")
BOX = b"".join(number.to_bytes(2) for number in range(2500))


@pytest.fixture
def keys(tmp_path: Path) -> CaseKeys:
    return CaseKeys(tmp_path / "vault" / CASE_KEYS_FILE)


def place_of(number: int, case_id: str = "case-a", *, row_id: str = "row-1") -> CasePlace:
    return CasePlace(key=CaseKey(case_id=case_id, number=number), kind="report", row_id=row_id)


def close(keys: CaseKeys, place: CasePlace) -> bytes:
    (head,) = keys.close_heads([(place, BOX[:HEAD_BYTES])], under=UNDER)
    return head + BOX[HEAD_BYTES:]


def destroy(keys: CaseKeys, some: list[CaseKey]) -> list[int]:
    keys.change(some, to="closed", under=UNDER)
    return keys.change(some, to="destroyed", under=UNDER)


def test_closed_key_opens_nothing_until_it_is_opened_and_only_a_closed_one_is_destroyed(keys: CaseKeys) -> None:
    keys.make(["case-a"], under=UNDER)
    closed, mine = close(keys, place_of(0)), [CaseKey(case_id="case-a", number=0)]
    with pytest.raises(OpeningError) as caught:
        keys.change(mine, to="destroyed", under=UNDER)
    assert caught.value.reason == "not-closed"
    assert keys.change(mine, to="closed", under=UNDER) == [0]
    for refused in (lambda: close(keys, place_of(0)), lambda: keys.open_box(place_of(0), closed, under=UNDER)):
        with pytest.raises(OpeningError) as caught:
            refused()
        assert caught.value.reason == "destroyed"
    assert keys.change(mine, to="open", under=UNDER) == [0]
    assert keys.open_box(place_of(0), closed, under=UNDER) == BOX
    destroy(keys, mine)
    assert keys.change(mine, to="open", under=UNDER) == []


def test_box_opens_in_its_own_row_of_its_own_case_alone(keys: CaseKeys) -> None:
    assert keys.make(["case-a", "case-b"], under=UNDER) == [0, 1]
    mine = place_of(0)
    closed = close(keys, mine)
    assert keys.open_box(mine, closed, under=UNDER) == BOX
    assert BOX[:HEAD_BYTES] not in closed
    others = (
        place_of(1, "case-b"),
        place_of(0, "case-b"),
        place_of(1),
        place_of(0, row_id="row-2"),
        CasePlace(key=mine.key, kind="step", row_id=mine.row_id),
    )
    for other in others:
        with pytest.raises(OpeningError) as caught:
            keys.open_box(other, closed, under=UNDER)
        assert caught.value.reason == "does-not-open"
    with pytest.raises(OpeningError):
        keys.open_box(mine, closed, under=make_key(KeyRole.CASE, name="another"))


def test_destroyed_key_leaves_a_mark_of_its_case_and_its_number_is_never_used_again(
    keys: CaseKeys, tmp_path: Path
) -> None:
    keys.make(["case-a", "case-b"], under=UNDER)
    before = (tmp_path / "vault" / CASE_KEYS_FILE).read_bytes()
    closed = close(keys, place_of(0))
    mine = [CaseKey(case_id="case-a", number=0)]
    for _ in range(2):  # safe to repeat
        assert destroy(keys, mine) == [0]
    raw = (tmp_path / "vault" / CASE_KEYS_FILE).read_bytes()
    assert raw[:RECORD_BYTES] != before[:RECORD_BYTES]
    assert raw[RECORD_BYTES:] == before[RECORD_BYTES:]
    with pytest.raises(OpeningError) as caught:
        keys.open_box(place_of(0), closed, under=UNDER)
    assert caught.value.reason == "destroyed"
    with pytest.raises(OpeningError):
        close(keys, place_of(0))
    assert keys.make(["case-c"], under=UNDER) == [2]
    assert close(keys, place_of(1, "case-b"))


def test_number_of_another_case_destroys_nothing(keys: CaseKeys) -> None:
    keys.make(["case-a", "case-b"], under=UNDER)
    closed = close(keys, place_of(0))
    with pytest.raises(OpeningError) as caught:
        destroy(keys, [CaseKey(case_id="case-b", number=0)])
    assert caught.value.reason == "does-not-open"
    assert keys.open_box(place_of(0), closed, under=UNDER) == BOX


def test_key_that_an_older_file_never_had_does_not_count_as_destroyed(keys: CaseKeys, tmp_path: Path) -> None:
    path = tmp_path / "vault" / CASE_KEYS_FILE
    keys.make(["case-a"], under=UNDER)
    older = path.read_bytes()
    keys.make(["case-b"], under=UNDER)
    newest = path.read_bytes()
    both = [CaseKey(case_id=case_id, number=number) for number, case_id in enumerate(("case-a", "case-b"))]
    for lost in (b"", older, newest[:-1]):
        path.write_bytes(lost)
        with pytest.raises(LocalStateError) as caught:
            destroy(keys, both)
        assert caught.value.reason == "case-keys-behind"
        assert path.read_bytes() == lost
    path.unlink()  # e.g. a disk that is not mounted: a certificate now would say what is not so
    with pytest.raises(LocalStateError):
        destroy(keys, both)
    path.write_bytes(newest)
    assert destroy(keys, both) == [0, 1]


def test_mark_of_a_destroyed_case_certifies_no_other_one(keys: CaseKeys, tmp_path: Path) -> None:
    keys.make(["case-a", "case-b"], under=UNDER)
    closed = close(keys, place_of(1, "case-b"))
    destroy(keys, [CaseKey(case_id="case-a", number=0)])
    # The row of the living case was pointed at the destroyed number.
    with pytest.raises(OpeningError) as caught:
        destroy(keys, [CaseKey(case_id="case-b", number=0)])
    assert caught.value.reason == "does-not-open"
    path = tmp_path / "vault" / CASE_KEYS_FILE
    raw = path.read_bytes()
    path.write_bytes(raw[:RECORD_BYTES] * 2)  # or its mark was copied over the record of the living one
    with pytest.raises(OpeningError):
        destroy(keys, [CaseKey(case_id="case-b", number=1)])
    path.write_bytes(raw)
    assert keys.open_box(place_of(1, "case-b"), closed, under=UNDER) == BOX


def test_file_from_an_older_copy_gives_no_number_of_a_newer_case(keys: CaseKeys, tmp_path: Path) -> None:
    path = tmp_path / "vault" / CASE_KEYS_FILE
    keys.make(["case-a"], under=UNDER)
    older = path.read_bytes()
    keys.make(["case-b", "case-c"], under=UNDER)
    path.write_bytes(older)
    assert keys.make(["case-d"], under=UNDER, above=2) == [3]
    with pytest.raises(OpeningError) as caught:
        close(keys, place_of(2, "case-c"))
    assert caught.value.reason == "case-keys-behind"
    with pytest.raises(LocalStateError):
        destroy(keys, [CaseKey(case_id="case-c", number=2)])


def test_record_that_a_loss_of_power_cut_short_is_no_key(keys: CaseKeys, tmp_path: Path) -> None:
    keys.make(["case-a"], under=UNDER)
    path = tmp_path / "vault" / CASE_KEYS_FILE
    path.write_bytes(path.read_bytes() + b"half a record")
    with pytest.raises(OpeningError):
        close(keys, place_of(1, "case-b"))
    assert keys.make(["case-b"], under=UNDER) == [1]
    assert keys.open_box(place_of(1, "case-b"), close(keys, place_of(1, "case-b")), under=UNDER) == BOX


def test_file_that_cannot_be_written_gives_no_key(keys: CaseKeys, tmp_path: Path) -> None:
    (tmp_path / "vault" / CASE_KEYS_FILE).mkdir(parents=True)  # not even root can write it
    with pytest.raises(LocalStateError) as caught:
        keys.make(["case-a"], under=UNDER)
    assert caught.value.reason == "case-keys-unwritable"


def test_report_opens_through_a_vault_of_its_own_process(tmp_path: Path) -> None:
    desk = make_test_desk(tmp_path / "desk", Clock())
    case_id = add_sealed_case(desk, marker="Quetzalcoatlus")
    with run_vault(desk):
        opened = open_case(desk, case_id, actor=ACTOR)
        assert opened.content.story.endswith("Quetzalcoatlus")  # type: ignore[union-attr]  # a report of the public
