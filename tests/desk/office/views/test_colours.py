"""The desk's colours: each is named once for light and dark, and every text stands out from its ground."""

import re

import pytest

from gateway.desk.running.app import read_sheet
from tests.widget.test_element_file import contrast

STYLE = read_sheet()
LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S)
)
# Text colours with the grounds that they stand on, somewhere on a page.
TEXTS = {
    "ink": ("paper", "ground", "tint", "warm-ground", "made-up-ground"),
    "soft": ("paper", "ground", "warm-ground"),
    "act": ("paper", "ground", "warm-ground"),
    "act-dark": ("paper", "act-ground"),
    "hot": ("paper", "ground", "hot-ground", "warm-ground"),
    "warm": ("warm-ground",),
    "fine": ("fine-ground",),
    "made-up": ("made-up-ground",),
    "on-solid": ("button", "button-dark", "hot-solid", "bar", "bar-act"),
    "on-bar": ("bar",),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(scheme: str) -> None:
    colours = LIGHT if scheme == "light" else LIGHT | DARK
    pairs = [(text, ground) for text, grounds in TEXTS.items() for ground in grounds]
    weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: round(found, 2) for pair, found in weak.items() if found < 4.5} == {}
    # The frames of fields and choices: 3 to 1 (WCAG 2.2, 1.4.11).
    assert contrast(colours["edge"], colours["paper"]) >= 3


def test_colours_of_the_dark_are_those_of_the_light_and_no_rule_has_its_own() -> None:
    assert set(DARK) < set(LIGHT)
    rules = STYLE[STYLE.index("* { box-sizing") : STYLE.index("@media print")]
    # The small mark of the agency is the same on its dark bar, day and night.
    assert re.findall(r"#[0-9a-f]{3,6}\b(?!-)", rules) == ["#58b3a9"]
