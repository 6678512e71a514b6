"""The button at the gateway: each released version under addresses that never change, open to all alike."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import brotli
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from gateway.button import ICON, MEDIA_TYPES, SCRIPT, load_released_files, make_button_files
from partner_sdk.button.snippet import EARLIER_SCRIPTS, VERSION
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import make_public_house
from tests.gateway.public.person import Person

VERSIONS = (*EARLIER_SCRIPTS, VERSION)
RAWS = {
    version: {name: files("widget").joinpath(version, name).read_bytes() for name in MEDIA_TYPES}
    for version in VERSIONS
}
RAW = RAWS[VERSION]
DIGEST = hashlib.sha256(RAW[ICON]).hexdigest()
LASTING = [f"/button/{VERSION}/{SCRIPT}", f"/button/{VERSION}/{ICON}", f"/button/{DIGEST}/{ICON}"]
YEAR_SECONDS = 31536000


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """A gateway that serves the button."""
    return make_public_house(tmp_path_factory.mktemp("gateway")).app


def get(app: Flask, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None) -> TestResponse:
    return app.test_client().open(path, method=method, base_url=PUBLIC_ORIGIN, headers=dict(headers or {}))


@pytest.mark.parametrize("path", [*LASTING, f"/button/{ICON}"])
def test_file_comes_to_any_page_as_what_it_is_without_a_cookie(app: Flask, path: str):
    answer = get(app, path)
    name = path.rpartition("/")[2]
    assert (answer.status_code, answer.data) == (200, RAW[name])
    assert answer.content_type == MEDIA_TYPES[name]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for name in ("Set-Cookie", "Timing-Allow-Origin", "Access-Control-Allow-Credentials", "Report-To", "NEL"):
        assert name not in answer.headers


@pytest.mark.parametrize("path", LASTING)
def test_file_with_a_version_or_a_digest_is_kept_for_a_year(app: Flask, path: str):
    assert get(app, path).headers["Cache-Control"] == f"public, max-age={YEAR_SECONDS}, immutable"


def test_icon_without_a_version_is_kept_for_a_day(app: Flask):
    assert get(app, f"/button/{ICON}").headers["Cache-Control"] == "public, max-age=86400"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, *", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("*", "br"),
        ("deflate", None),
        ("", None),
        ("\u00e9;q=x,,br;q=-1", None),
    ],
)
def test_file_comes_in_the_coding_that_the_browser_likes_best(app: Flask, accepted: str, coding: str | None):
    answer = get(app, LASTING[0], headers={"Accept-Encoding": accepted})
    assert answer.status_code == 200
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Vary"] == "Accept-Encoding"
    opened = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[coding](answer.data)
    assert opened == RAW[SCRIPT]
    assert answer.content_length == len(answer.data)


def test_script_as_it_is_served_has_at_most_1200_bytes(app: Flask):
    assert len(get(app, LASTING[0], headers={"Accept-Encoding": "br"}).data) <= 1200


def test_each_coding_has_a_validator_of_its_own(app: Flask):
    tags = {
        coding: get(app, LASTING[0], headers={"Accept-Encoding": coding}).headers["ETag"]
        for coding in ("br", "gzip", "x")
    }
    assert len(set(tags.values())) == 3
    for coding, tag in tags.items():
        asked = {"Accept-Encoding": coding, "If-None-Match": tag}
        answer = get(app, LASTING[0], headers=asked)
        assert (answer.status_code, answer.data) == (304, b"")
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["Cache-Control"].endswith("immutable")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert get(app, LASTING[0], headers={"Accept-Encoding": "br", "If-None-Match": tags["gzip"]}).status_code == 200


def test_head_says_what_get_would_and_sends_nothing(app: Flask):
    asked = {"Accept-Encoding": "br"}
    full, head = (get(app, LASTING[0], method=method, headers=asked) for method in ("GET", "HEAD"))
    assert head.data == b""
    names = ("Content-Length", "Content-Type", "Content-Encoding", "ETag", "Cache-Control", "Vary")
    assert [head.headers[name] for name in names] == [full.headers[name] for name in names]


@pytest.mark.parametrize("part", ["bytes=0-9", "bytes=99999-", "bytes=-1", "bytes=5-1", "lines=1-2"])
def test_part_of_a_file_is_asked_for_and_the_whole_comes(app: Flask, part: str):
    answer = get(app, LASTING[0], headers={"Range": part})
    assert (answer.status_code, answer.data) == (200, RAW[SCRIPT])
    assert answer.headers["Accept-Ranges"] == "none"


def test_integrities_are_those_of_the_files_in_one_spelling(app: Flask):
    answer = get(app, "/button/sri.json")
    expected = {
        version: {
            name: {"integrity": "sha384-" + base64.b64encode(hashlib.sha384(raw).digest()).decode(), "size": len(raw)}
            for name, raw in raws.items()
        }
        for version, raws in RAWS.items()
    }
    said = json.loads(answer.data)
    assert said == expected
    assert said["1.0.0"][SCRIPT]["integrity"] == EARLIER_SCRIPTS["1.0.0"]
    assert answer.data == json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    assert answer.content_type == "application/json"
    assert "immutable" not in answer.headers["Cache-Control"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    "path",
    [
        f"/button/{'0' * 64}/{ICON}",
        f"/button/{DIGEST}/{SCRIPT}",
        f"/button/1.0.1/{SCRIPT}",
        f"/button/1.0/{SCRIPT}",
        "/button/1.0.0/package.json",
        "/button/1.0.0/../README.md",
        "/button/../1.0.0/button.svg",
        "/button/%2e%2e/README.md",
        f"/button/1.0.0/{SCRIPT}/",
        f"/button/1.0.0//{SCRIPT}",
        "/button/1.0.0/",
        "/button/README.md",
    ],
)
def test_nothing_else_stands_there(app: Flask, path: str):
    answer = get(app, path)
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_release_is_served_as_it_was_released(app: Flask, version: str):
    for name, raw in RAWS[version].items():
        answer = get(app, f"/button/{version}/{name}")
        assert (answer.status_code, answer.data) == (200, raw)
        assert "immutable" in answer.headers["Cache-Control"]


def test_gateway_says_the_digest_of_the_icon(app: Flask):
    assert get(app, "/button/sha256").text == f"{DIGEST}  button.svg\n"


def test_link_of_the_button_opens_the_form(app: Flask):
    person = Person(app)
    person.start("/?from=example-chat")
    assert person.path == "/2"


def write_release(folder: Path, version: str) -> None:
    (folder / version).mkdir()
    for name in MEDIA_TYPES:
        (folder / version / name).write_text(f"{name} of {version}", encoding="utf-8")


def test_new_version_is_a_new_folder_and_the_old_one_stays(tmp_path: Path):
    for version in ("1.9.0", "1.10.0", "1.0.0"):
        write_release(tmp_path, version)
    for other in ("__pycache__", "1.0", "01.0.0", "1.0.0-beta"):
        (tmp_path / other).mkdir()
    files = make_button_files(load_released_files(tmp_path))
    assert list(json.loads(files.integrities)) == ["1.0.0", "1.10.0", "1.9.0"]
    assert files.icon.version == "1.10.0"
    assert {edition for edition, name in files.lasting if name == SCRIPT} == {"1.0.0", "1.9.0", "1.10.0"}
    assert files.lasting["1.9.0", SCRIPT].raw == b"report-abuse-button.js of 1.9.0"


@pytest.mark.parametrize("missing", sorted(MEDIA_TYPES))
def test_release_without_one_of_its_files_does_not_start(tmp_path: Path, missing: str):
    write_release(tmp_path, "1.0.0")
    (tmp_path / "1.0.0" / missing).unlink()
    with pytest.raises(FileNotFoundError):
        load_released_files(tmp_path)


def test_gateway_without_any_release_does_not_start(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="holds no release"):
        load_released_files(tmp_path)
