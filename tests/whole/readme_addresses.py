"""Asks each address of the README's table in a running demonstration, and signs in at the desk with its link."""

import re
from urllib.parse import urlsplit

import requests

from tests.house.sources import ROOT

FIRST_PORT = 8700
# A part of the right answer, by the table's description.
SIGNS = {
    "the form for people who report": 'name="action"',
    "the industry door": '"environment":"live"',
    "the feed, where the desk collects": '"status":"ok"',
    "the desk; `make demo` prints a link for each of five people, which signs in once": "sign",
    "an example service with the button": "Report Abuse",
}


def read_addresses() -> list[tuple[str, str]]:
    """Return address and description of each row of the README's table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (http://(?:127\.0\.0\.1|localhost):\d+/\S*) \| (.+) \|$", text, re.MULTILINE)


def count_addresses() -> int:
    """Return how many addresses of this machine the README names."""
    return len(re.findall(r"http://(?:127\.0\.0\.1|localhost)", (ROOT / "README.md").read_text(encoding="utf-8")))


def ask_addresses(first_port: int) -> dict[str, requests.Response]:
    """Return the answer of each address, by its description in the table."""
    answers = {}
    for address, description in read_addresses():
        asked = urlsplit(address)
        assert asked.port is not None
        place = asked.port - FIRST_PORT
        assert 0 <= place <= 3
        address = f"http://{asked.hostname}:{first_port + place}{asked.path}"
        answers[description] = requests.get(address, timeout=20)
    return answers


def sign_in_twice(link: str) -> list[int]:
    """Return the status of a sign-in with the printed link, of the desk's first page then, and of a second sign-in."""
    desk = link.partition("/start/")[0]
    with requests.Session() as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(link, timeout=20).text)
        assert token is not None
        form, headers = {"csrf_token": token[1]}, {"Referer": link}
        signed_in = browser.post(link, data=form, headers=headers, timeout=20)
        page = browser.get(f"{desk}/", timeout=20)
        again = browser.post(link, data=form, headers=headers, timeout=20)
    return [signed_in.status_code, page.status_code, again.status_code]
