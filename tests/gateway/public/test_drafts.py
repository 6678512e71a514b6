import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.public import visit
from gateway.public.journey import FIELD_BY_NAME
from gateway.public.visit import (
    NONCE_BYTES,
    PADDED_SIZES,
    SECRET_BYTES,
    Draft,
    DraftTooBigError,
    DraftUnreadableError,
    is_known_mac,
    make_journey_keys,
    make_text_mac,
    open_draft,
    open_padded,
    seal_draft,
)

KEYS = make_journey_keys(b"\x01" * SECRET_BYTES)
OTHER_KEYS = make_journey_keys(b"\x02" * SECRET_BYTES)
MARKER = "a quiet marker"


def make_draft(**answers: list[str]) -> Draft:
    return Draft(
        report_id="01a211d3-7340-7810-9952-93b9f80e146c",
        started_at="2026-11-25T08:30:00Z",
        language="en",
        answers=answers,
    )


def box_of(draft: Draft, *, version: int = 1) -> bytes:
    return seal_draft(draft, keys=KEYS, version=version, nonce=os.urandom(NONCE_BYTES))


def test_draft_comes_back_letter_for_letter():
    draft = make_draft(story=["\r\n two lines \r\n\x00\x07 end "], kinds=["not_sure"])
    assert open_draft(box_of(draft), keys=KEYS, version=1) == draft


@pytest.mark.parametrize("words", ["", "x", "a few words", "w" * 2000])
def test_draft_has_the_same_size_whatever_short_text_it_holds(words: str):
    assert len(box_of(make_draft(story=[words]))) == len(box_of(make_draft()))


def test_long_stories_of_all_lengths_have_one_size():
    sizes = {len(box_of(make_draft(story=[character * 5000]))) for character in ("\U0001f642", "é" * 2)}
    assert sizes == {PADDED_SIZES[1] + NONCE_BYTES + 16}


def test_largest_possible_draft_fits():
    fullest = {
        name: ["\U0001f642" * field.max_characters] for name, field in FIELD_BY_NAME.items() if not field.options
    }
    fullest |= {name: list(field.options) for name, field in FIELD_BY_NAME.items() if field.options}
    assert len(box_of(make_draft(**fullest))) == PADDED_SIZES[1] + NONCE_BYTES + 16


def test_box_holds_no_word_that_was_typed():
    box = box_of(make_draft(story=[MARKER], name=[MARKER]))
    assert MARKER.encode() not in box


def test_draft_does_not_open_with_another_cookie():
    with pytest.raises(DraftUnreadableError):
        open_draft(box_of(make_draft()), keys=OTHER_KEYS, version=1)


def test_draft_does_not_open_as_another_version():
    with pytest.raises(DraftUnreadableError):
        open_draft(box_of(make_draft(), version=1), keys=KEYS, version=2)


@pytest.mark.parametrize("position", [0, NONCE_BYTES, -1])
def test_draft_does_not_open_after_one_bit_was_changed(position: int):
    box = bytearray(box_of(make_draft()))
    box[position] ^= 1
    with pytest.raises(DraftUnreadableError):
        open_draft(bytes(box), keys=KEYS, version=1)


@pytest.mark.parametrize("box", [b"", b"x", b"x" * NONCE_BYTES, b"x" * 40])
def test_rubbish_in_the_row_is_one_error(box: bytes):
    with pytest.raises(DraftUnreadableError):
        open_draft(box, keys=KEYS, version=1)


def test_two_boxes_of_the_same_draft_differ():
    assert box_of(make_draft()) != box_of(make_draft())


def test_row_id_and_form_token_do_not_tell_the_secret():
    secret = b"\x01" * SECRET_BYTES
    assert secret not in KEYS.draft_id
    assert KEYS.form_token != OTHER_KEYS.form_token
    assert len({KEYS.draft_id, KEYS.box_key, KEYS.mac_key}) == 3


def test_text_mac_needs_the_key_and_knows_the_same_text_again():
    answers = {"name": ["Sam"], "story": []}
    mac = make_text_mac(answers, keys=KEYS)
    assert mac == make_text_mac({"name": ["Sam"]}, keys=KEYS)
    assert is_known_mac(mac, known=[b"", mac])
    assert not is_known_mac(mac, known=[make_text_mac(answers, keys=OTHER_KEYS)])
    assert not is_known_mac(mac, known=[make_text_mac({"name": ["sam"]}, keys=KEYS)])


def test_draft_that_does_not_fit_is_an_error_of_its_own() -> None:
    with pytest.raises(DraftTooBigError):
        box_of(make_draft(story=["x" * PADDED_SIZES[1]]))


# The names of the form's fields since `_INFO` ends in v4; new ones are added here.
FIELDS_OF_V4 = """
    access_needs adult age already_told call_language called child_birth child_knows child_name child_place
    child_school contact_times contact_ways country danger email feels gave_a_time how_met in_real_life
    is_with_you kinds knows may_say_who_we_are may_send_note meeting_place meeting_when more more_person more_safe name
    near organisation other_language other_reference person_age person_app person_handle person_names phone
    pictures region relationship role safe_word school still story their_age there_too told when who
    who_must_not_know who_sees
"""


def test_field_that_is_gone_or_renamed_asks_for_a_new_label_of_drafts() -> None:
    assert visit._INFO.endswith(b"v4"), "A new label: list the fields of today here."
    # An open draft of before would lose its answer in silence, e.g. a meeting today.
    assert set(FIELDS_OF_V4.split()) == set(FIELD_BY_NAME), "Gone or renamed: raise _INFO. New: add it here."


def test_box_that_seals_less_than_a_length_is_unreadable() -> None:
    nonce = os.urandom(NONCE_BYTES)
    box = nonce + AESGCM(KEYS.box_key).encrypt(nonce, b"abc", b"label")
    with pytest.raises(DraftUnreadableError):
        open_padded(box, key=KEYS.box_key, label=b"label", kind=Draft)
