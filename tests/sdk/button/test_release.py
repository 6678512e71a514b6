"""The SDK's constants of the released button match `widget/`, and the installed SDK is complete."""

import configparser
from pathlib import Path

import pytest

from partner_sdk.button import snippet
from tests.house.sources import list_files
from tests.sdk.button.button_builders import CASES, read_golden
from tests.sdk.renew_button_release import GOLDEN, REPOSITORY, WIDGET, format_integrity, read_shapes

FOLDER = WIDGET / snippet.VERSION
SDK = REPOSITORY / "partner_sdk"
# They are needed no more once it is installed.
FOR_BUILDING = {"setup.cfg", "pyproject.toml", "ABOUT.md", "LICENSE"}
FILES = sorted(
    path.relative_to(SDK)
    for path in list_files(SDK)
    # setuptools leaves the first behind; the second is a package of its own, for npm; the third is in no wheel
    if not path.parent.name.endswith(".egg-info") and path.relative_to(SDK).parts[0] not in {"npm", "vectors"}
)


@pytest.mark.parametrize(
    ("path", "integrity"),
    [(snippet.SCRIPT_PATH, snippet.SCRIPT_INTEGRITY), (snippet.ICON_PATH, snippet.ICON_INTEGRITY)],
)
def test_hash_is_that_of_the_released_file(path: str, integrity: str) -> None:
    assert path.startswith(f"/button/{snippet.VERSION}/")
    assert format_integrity((FOLDER / Path(path).name).read_bytes()) == integrity


def test_earlier_release_stays_as_it_was_and_keeps_its_hash() -> None:
    folders = {path.name for path in WIDGET.iterdir() if path.name[0].isdigit()}
    assert folders == {snippet.VERSION, *snippet.EARLIER_SCRIPTS}
    for version, integrity in snippet.EARLIER_SCRIPTS.items():
        assert format_integrity((WIDGET / version / Path(snippet.SCRIPT_PATH).name).read_bytes()) == integrity
        assert format_integrity((WIDGET / version / "button.svg").read_bytes()) == snippet.ICON_INTEGRITY
    assert snippet.EARLIER_SCRIPTS["1.0.0"] == (
        "sha384-RARdjo9dJcqi3ftDQRQS/JHNUH0zkfkfj/lJlKozhO/j6HU5zyvrecgOhmD5S3sk"
    )


def test_icon_in_the_page_is_the_released_one() -> None:
    icon = (FOLDER / "button.svg").read_text(encoding="utf-8")
    assert read_shapes(icon) == snippet.ICON_SHAPES
    assert f'viewBox="{snippet.ICON_BOX}"' in icon


def test_golden_files_are_one_for_each_language_and_form() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{language}-{form}.html" for language, form in CASES}
    assert len(CASES) == 4


def test_golden_file_with_script_names_the_released_script() -> None:
    for language in ("en", "cy"):
        assert f'integrity="{snippet.SCRIPT_INTEGRITY}"' in read_golden(language, "script")


@pytest.mark.parametrize(("folder", "package"), [(SDK, "partner_sdk"), (SDK / "console", "partner_sdk.console")])
def test_every_file_is_of_one_package_of_the_two_distributions(folder: Path, package: str) -> None:
    settings = configparser.ConfigParser()
    settings.read(folder / "setup.cfg", encoding="utf-8")
    patterns = {
        Path(*name.split(".")[package.count(".") + 1 :], one)
        for name, line in settings["options.package_data"].items()
        for one in line.split()
    }
    console, reader = SDK / "console", SDK / "reader"
    files = [
        path.relative_to(folder.relative_to(SDK))
        for path in FILES
        if (SDK / path).is_relative_to(folder)
        and (folder == console or not any((SDK / path).is_relative_to(one) for one in (console, reader)))
    ]
    # Specification, vectors and files for building go into no package; the console's README is for its page alone.
    unshipped = {"WIRE.md", *FOR_BUILDING, *({"README.md"} if folder == console else ())}
    data = [
        path for path in files if path.suffix != ".py" and path.parts[0] != "vectors" and path.name not in unshipped
    ]
    assert data
    # A pattern without a folder must not seem to take what lies in one.
    taken = {path for path in data for one in patterns if len(path.parts) == len(one.parts) and path.match(str(one))}
    assert [str(path) for path in data if path not in taken] == []
    # And no pattern is of files that went away.
    assert [str(one) for one in patterns if not any(path.match(str(one)) for path in data)] == []
    packages = {".".join((package, *path.parent.parts)) for path in files if path.suffix == ".py"}
    assert sorted(settings["options"]["packages"].split()) == sorted(packages)
