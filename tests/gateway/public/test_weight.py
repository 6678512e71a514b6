"""The weight of each page of the form, before anything is typed, and the pictures beside the options."""

import re
from pathlib import Path

import gateway.public
from gateway.public.journey import FIELD_BY_NAME, SCREENS
from partner_sdk.wire.public_codes import LANGUAGES
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.public.person import Person
from tests.gateway.public.test_pages import header_bytes
from tests.gateway.public.walks import ALL_WAYS

PAGE_BYTES = 8_000
PICTURED = ("kinds", "contact_ways")
# They show what was typed, so their weight is not theirs alone.
SHOW_ANSWERS = {"/14", "/15"}


def weigh_pages(public: PublicHouse, language: str) -> dict[str, int]:
    """Walk every way in a language and return the weight of each blank page on the wire."""
    weights: dict[str, int] = {}
    for way in ALL_WAYS:
        person: Person = public.person().start(f"/?lang={language}")
        while person.path not in SHOW_ANSWERS:
            weight = len(person.page.data) + header_bytes(person.page)
            weights[person.path] = max(weights.get(person.path, 0), weight)
            person.press(**way.get(person.path, {}))
    return weights


def test_every_blank_page_is_small_in_each_language(public: PublicHouse):
    for language in LANGUAGES:
        weights = weigh_pages(public, language)
        assert {f"/{screen.path}" for screen in SCREENS if screen.path} - SHOW_ANSWERS <= set(weights)
        assert {path: weight for path, weight in weights.items() if weight > PAGE_BYTES} == {}, language


def test_every_option_with_a_picture_has_one_and_no_picture_is_left_over(public: PublicHouse):
    drawn = (Path(gateway.public.__file__).parent / "static" / "icons.svg").read_text(encoding="utf-8")
    codes = {code for name in PICTURED for code in FIELD_BY_NAME[name].options}
    assert set(re.findall(r'<symbol id="(\w+)"', drawn)) == codes
    shown: set[str] = set()
    for path in ("/7", "/12"):
        text = public.person().start().walk_to(path).text()
        files = re.findall(r'<use href="(/s/icons\.\w+\.svg)#(\w+)"', text)
        shown |= {code for _, code in files}
        answer = public.person().client.get(files[0][0], base_url=PUBLIC_ORIGIN)
        assert answer.content_type == "image/svg+xml"
        assert answer.get_data(as_text=True) == drawn
    assert shown == codes


def test_pictures_hold_no_script_no_style_and_no_words():
    folder = Path(gateway.public.__file__).parent / "static"
    pictures = sorted(folder.glob("*.svg"))
    assert len(pictures) == 3
    for path in pictures:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<(script|style|text|image|foreignObject)|\s(style|href|on\w+)=", text), path.name
