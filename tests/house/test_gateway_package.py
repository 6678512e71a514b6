"""The wheel takes all that the gateway needs: each folder with code is a package, each other file has a pattern."""

import configparser
from fnmatch import fnmatchcase
from pathlib import Path

from tests.house.sources import ROOT, list_files

GATEWAY = ROOT / "gateway"
FILES = sorted(list_files(GATEWAY))


def test_every_file_that_is_no_code_has_a_pattern_in_the_settings_of_the_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = settings["options.package_data"]["gateway"].split()
    (left_out,) = settings["options.exclude_package_data"]["gateway"].split()
    names = [path.relative_to(GATEWAY).as_posix() for path in FILES if path.suffix != ".py"]
    data = [name for name in names if not fnmatchcase(name, left_out)]
    assert len(data) > 60
    assert [name for name in data if f"**/*{Path(name).suffix}" not in patterns] == []
    # What the form's sealing script is built from stays out; the script and the licences of its libraries go along.
    assert {name.rpartition("/")[0] for name in names if name not in data} == {"public/phone"}
    assert {"public/static/sealing.js", "public/static/sealing.licences.txt"} < set(data)


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in FILES if path.suffix == ".py"}
    assert len(folders) > 20
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_every_file_of_the_button_has_a_pattern_in_the_settings_of_the_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = settings["options.package_data"]["widget"].split()
    found = [path.relative_to(ROOT / "widget") for path in sorted((ROOT / "widget").rglob("*")) if path.is_file()]
    data = [path for path in found if path.suffix not in (".py", ".pyc")]
    assert len(data) >= 4
    # A pattern without a folder must not seem to take what lies in one.
    taken = [
        path for path in data if any(len(path.parts) == len(Path(one).parts) and path.match(one) for one in patterns)
    ]
    assert taken == data
