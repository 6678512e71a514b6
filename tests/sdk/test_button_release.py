"""What the SDK knows of the released button is what `widget/` holds."""

from pathlib import Path

import pytest

from partner_sdk.button import release
from tests.sdk.button_builders import CASES, read_golden
from tests.sdk.renew_button_release import GOLDEN, REPOSITORY, WIDGET, read_shapes, spell_integrity

FOLDER = WIDGET / release.VERSION


@pytest.mark.parametrize(
    ("path", "integrity"),
    [(release.SCRIPT_PATH, release.SCRIPT_INTEGRITY), (release.ICON_PATH, release.ICON_INTEGRITY)],
)
def test_hash_is_that_of_the_released_file(path: str, integrity: str) -> None:
    assert path.startswith(f"/button/{release.VERSION}/")
    assert spell_integrity((FOLDER / Path(path).name).read_bytes()) == integrity


def test_icon_in_the_page_is_the_released_one() -> None:
    icon = (FOLDER / "button.svg").read_text(encoding="utf-8")
    assert read_shapes(icon) == release.ICON_SHAPES
    assert f'viewBox="{release.ICON_BOX}"' in icon


def test_golden_files_are_one_for_each_language_and_form() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{language}-{form}.html" for language, form in CASES}
    assert len(CASES) == 4


def test_golden_file_with_script_names_the_released_script() -> None:
    for language in ("en", "cy"):
        assert f'integrity="{release.SCRIPT_INTEGRITY}"' in read_golden(language, "script")


def test_flavours_are_found_where_the_sdk_is_installed() -> None:
    declared = (REPOSITORY / "partner_sdk" / "setup.cfg").read_text(encoding="utf-8")
    assert "button/flavours/*" in declared
    assert "button/golden/*.html" in declared
