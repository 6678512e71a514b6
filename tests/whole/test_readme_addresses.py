"""Every address of the README's table answers as stated, in a running loop."""

import re
from urllib.parse import urlsplit

import pytest
import requests

from gateway.demo.loop import Loop
from tests.house.sources import ROOT

FIRST_PORT = 8700
# What tells that it is the right thing that answers, by the table's own words.
SIGNS = {
    "the form for people who report": 'name="action"',
    "the industry door": '"environment":"live"',
    "the feed, where the desk collects": '"status":"ok"',
    "the desk; `make demo` prints a link that signs you in, once": "sign",
    "an example service with the button": "Report Abuse",
}


def read_addresses() -> list[tuple[str, str]]:
    """Return address and description of each row of the README's table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (http://127\.0\.0\.1:\d+/\S*) \| (.+) \|$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def whole_loop(loop: Loop) -> Loop:
    """The loop with the desk's pages and the example service too."""
    loop.start_desk()
    loop.start_service()
    return loop


def test_table_has_a_sign_for_each_of_its_addresses() -> None:
    assert [says for _, says in read_addresses()] == list(SIGNS)
    assert len(re.findall(r"http://127\.0\.0\.1", (ROOT / "README.md").read_text(encoding="utf-8"))) == len(SIGNS)


@pytest.mark.parametrize(("address", "says"), read_addresses())
def test_address_answers_with_what_the_table_says(whole_loop: Loop, address: str, says: str) -> None:
    asked = urlsplit(address)
    assert asked.port is not None
    place = asked.port - FIRST_PORT
    assert 0 <= place <= 3
    answer = requests.get(f"http://127.0.0.1:{whole_loop.ports.first + place}{asked.path}", timeout=20)
    # The desk shows nobody in: without a sign-in its first page says how to get one.
    assert answer.status_code == (401 if says.startswith("the desk") else 200)
    assert SIGNS[says] in answer.text


def test_link_that_the_demo_prints_signs_in_at_the_desk_once(whole_loop: Loop) -> None:
    address = whole_loop.make_start_link().split()[0]
    assert address.startswith(f"http://127.0.0.1:{whole_loop.ports.desk}/start/")
    with requests.Session() as browser:
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(address, timeout=20).text)
        assert token is not None
        signed_in = browser.post(address, data={"csrf_token": token[1]}, headers={"Referer": address}, timeout=20)
        assert signed_in.status_code == 200
        assert browser.get(f"http://127.0.0.1:{whole_loop.ports.desk}/", timeout=20).status_code == 200
        again = browser.post(address, data={"csrf_token": token[1]}, headers={"Referer": address}, timeout=20)
        assert again.status_code in {400, 401}


def test_addresses_are_gone_after_the_end(whole_loop: Loop) -> None:
    whole_loop.stop()
    for place in range(4):
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{whole_loop.ports.first + place}/", timeout=5)
