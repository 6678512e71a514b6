"""References that people read aloud and type again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_sdk.errors import FormatError
from partner_sdk.wire.canonical import REFERENCE_RANDOM_BYTES, check_reference, make_reference, parse_reference

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
RANDOM = st.binary(min_size=REFERENCE_RANDOM_BYTES, max_size=REFERENCE_RANDOM_BYTES)
ENVIRONMENTS = st.sampled_from(["live", "sandbox"])


@given(ENVIRONMENTS, RANDOM)
def test_reference_is_read_back_however_it_is_typed(environment: str, random: bytes) -> None:
    reference = make_reference(environment, random=random)
    typed = [reference, reference.lower(), reference.replace("-", ""), f" {reference.replace('-', ' ')} "]
    # People read 0 as O, and 1 as I or L; the prefix is a word.
    body = reference.removeprefix("TEST-")
    misread = body.replace("0", "O").replace("1", "l")
    typed.append(reference.removesuffix(body) + misread)
    assert {parse_reference(text) for text in typed} == {reference}


@given(ENVIRONMENTS, RANDOM)
def test_sandbox_shows_and_live_does_not(environment: str, random: bytes) -> None:
    reference = make_reference(environment, random=random)
    assert reference.startswith("TEST-") is (environment == "sandbox")
    assert len(reference.removeprefix("TEST-")) == 12


def test_forty_five_random_bits_make_different_references() -> None:
    references = {make_reference("live", random=bytes([*bytes(5), low << 3])) for low in range(32)}
    references |= {make_reference("live", random=bytes([high, *bytes(5)])) for high in range(256)}
    assert len(references) == 32 + 256 - 1


@given(RANDOM, st.integers(0, 9), st.sampled_from(ALPHABET))
def test_one_wrong_symbol_is_always_noticed(random: bytes, place: int, symbol: str) -> None:
    body = make_reference("live", random=random).replace("-", "")
    if body[place] == symbol:
        return
    with pytest.raises(FormatError) as caught:
        parse_reference(body[:place] + symbol + body[place + 1 :])
    assert caught.value.reason == "bad-reference"


def test_exchanged_neighbours_are_almost_always_noticed() -> None:
    tried = missed = 0
    for seed in range(300):
        body = make_reference("live", random=(seed * 7_919_999_983 % 2**48).to_bytes(6, "big")).replace("-", "")
        for place in range(9):
            swapped = body[:place] + body[place + 1] + body[place] + body[place + 2 :]
            if swapped == body:
                continue
            tried += 1
            try:
                parse_reference(swapped)
            except FormatError:
                continue
            missed += 1
    assert tried > 2000
    assert missed / tried < 0.01


@given(st.text(max_size=24))
def test_any_text_is_a_reference_or_a_format_error(text: str) -> None:
    try:
        reference = parse_reference(text)
    except FormatError:
        return
    assert parse_reference(reference) == reference


@pytest.mark.parametrize("size", [0, 5, 7])
def test_other_amount_of_randomness_is_refused(size: int) -> None:
    with pytest.raises(FormatError):
        make_reference("live", random=bytes(size))


@given(ENVIRONMENTS, RANDOM)
def test_reference_in_its_one_spelling_passes_the_check(environment: str, random: bytes) -> None:
    check_reference(make_reference(environment, random=random))


@pytest.mark.parametrize(
    "text", ["k7qf-2m9tx-d", "K7QF2M9TXD", " K7QF-2M9TX-D", "K7QF-2M9TX-D\n", "K7QF-2M9TX-4", "x", ""]
)
def test_reference_in_another_spelling_fails_the_check(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        check_reference(text)
    assert caught.value.reason == "bad-reference"
