"""The button: one icon, one plain link, the same words everywhere, and nothing that runs or remembers."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import brotli
import pytest
from flask import Flask

from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public_fixtures import make_public_house
from tests.gateway.public_person import Person

ICON = files("widget").joinpath("button.svg").read_bytes()
SNIPPET = files("widget").joinpath("report-abuse-button.html").read_text("utf-8")
README = files("widget").joinpath("README.md").read_text("utf-8")
# One icon everywhere (R35): a change of it is a decision, so its digest stands here.
ICON_SHA256 = "9fa7a7e0559b3511754e931a4d200f7106ee8501e11f60df09de247e69b2608f"


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """A gateway that serves the button."""
    return make_public_house(tmp_path).app


def test_icon_is_the_agreed_one():
    assert hashlib.sha256(ICON).hexdigest() == ICON_SHA256


def test_icon_is_square_small_and_holds_nothing_that_runs_or_loads():
    root = ET.fromstring(ICON)  # noqa: S314 - our own file
    assert root.attrib["viewBox"] == "0 0 48 48"
    assert root.attrib["aria-label"] == "Report Abuse"
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "rect", "path"}
    assert not re.search(rb"script|href|url\(|style|<!|on\w+=", ICON)
    assert len(brotli.compress(ICON)) < 1200


def test_snippet_is_one_plain_link_with_the_fixed_words():
    links = re.findall(r"<a [^>]*>(.*?)</a>", SNIPPET)
    assert len(links) == 1
    assert re.sub(r"<[^>]*>", "", links[0]).strip() == "Report Abuse"
    assert '<a href="GATEWAY/?from=PLACEMENT" rel="noreferrer">' in SNIPPET
    assert 'src="GATEWAY/button/button.svg" alt="" width="44" height="44"' in SNIPPET
    assert not re.search(r"<script|<style|<iframe|style=|\son\w+=|target=", SNIPPET)


def test_sentence_beside_the_button_tells_both_what_it_is_for_and_999():
    sentence = re.search(r"<p>(.*?)</p>", SNIPPET)
    assert sentence is not None
    assert "Has someone online scared you" in sentence[1]
    assert "They find those who do this" in sentence[1]
    assert "Call 999" in sentence[1]


def test_readme_names_every_file_and_says_that_own_reporting_stays():
    for name in ("button.svg", "report-abuse-button.html"):
        assert f"`{name}`" in README
    assert "does not take the place of" in README


@pytest.mark.parametrize("path", ["/button/button.svg", f"/button/{ICON_SHA256}/button.svg"])
def test_gateway_serves_the_icon_without_a_cookie(app: Flask, path: str):
    answer = app.test_client().get(path, base_url=PUBLIC_ORIGIN)
    assert answer.status_code == 200
    assert answer.data == ICON
    assert answer.content_type == "image/svg+xml"
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "max-age=" in answer.headers["Cache-Control"]


def test_gateway_says_the_digest_and_knows_no_other(app: Flask):
    client = app.test_client()
    assert client.get("/button/sha256", base_url=PUBLIC_ORIGIN).text == f"{ICON_SHA256}  button.svg\n"
    assert client.get(f"/button/{'0' * 64}/button.svg", base_url=PUBLIC_ORIGIN).status_code == 404


def test_link_of_the_snippet_opens_the_form(app: Flask):
    link = SNIPPET.replace("GATEWAY", PUBLIC_ORIGIN).replace("PLACEMENT", "example-chat")
    address = re.search(r'href="([^"]+)"', link)
    assert address is not None
    person = Person(app)
    person.start(address[1].removeprefix(PUBLIC_ORIGIN))
    assert person.path == "/2"
