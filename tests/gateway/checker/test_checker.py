"""The runner visits registered pages, connects only to judged public addresses, and survives any page."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.checker.visiting import (
    PAUSE_SECONDS,
    Runtime,
    Visit,
    check_hop,
    is_public,
    pick_address,
    take_turns,
    visit_pages,
)
from partner_sdk.button.snippet import make_snippet
from partner_sdk.console.findings import NEVER_ASKED, CheckList, CheckTarget
from partner_sdk.errors import TransportError
from tests.gateway.checker.site import HOST, Site, SitePage, serve_site

AGENCY = "https://report.example"
NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
HERE = "127.0.0.1"


def make_page(*, origin: str = AGENCY) -> bytes:
    snippet = make_snippet(origin, placement="example-chat-profile")
    return f"<!doctype html><html lang=en><title>Chat</title><body><h1>Sam</h1>{snippet}</body></html>".encode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serve_site(tmp_path, pages={"/people/sam": SitePage(make_page())}) as served:
        yield served


class Names:
    """Answers look-ups from a list, and counts them."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def resolve(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def make_runtime(site: Site, *, names: Names | None = None) -> Runtime:
    return Runtime(
        resolve=(names or Names([HERE])).resolve,
        is_allowed=lambda address: address == HERE,
        now=lambda: NOW,
        sleep=lambda _seconds: None,
        ca_file=site.ca_file,
        port=site.port,
    )


def visit(site: Site, *paths: str, runtime: Runtime | None = None) -> list[Visit]:
    addresses = [path if "://" in path else site.address(path) for path in paths]
    targets = tuple(CheckTarget(address=one, placement="example-chat-profile") for one in addresses)
    check_list = CheckList(agency_origin=AGENCY, made_at="2026-11-25T08:00:00Z", targets=targets)
    return list(visit_pages(check_list, runtime=runtime or make_runtime(site)))


def test_page_with_the_agreed_button_passes(site: Site):
    (found,) = visit(site, "/people/sam")
    assert (found.check.result, found.trouble) == ("passes", "")
    assert found.check.placement == "example-chat-profile"
    assert found.check.address == site.address("/people/sam")
    assert found.check.checked_at == "2026-11-25T08:30:00Z"


def test_page_without_a_button_has_faults(site: Site):
    site.pages["/people/sam"] = SitePage(b"<!doctype html><title>Chat</title><p>Nothing here</p>")
    (found,) = visit(site, "/people/sam")
    assert found.check.result == "faults"
    assert found.check.findings


def test_runner_says_who_it_is_and_asks_under_the_name_of_the_host(site: Site):
    visit(site, "/people/sam")
    (_, headers), *_ = site.asked
    assert headers["Host"] == f"{HOST}:{site.port}"
    assert headers["User-Agent"].startswith("report-abuse-button-check/")
    assert headers["User-Agent"].endswith(f"(+{AGENCY})")
    assert not {"Cookie", "Referer", "Authorization"} & set(headers)


def test_cookie_is_never_sent_back(site: Site):
    site.pages["/in"] = SitePage(status=302, headers={"Location": "/people/sam", "Set-Cookie": "who=runner; Path=/"})
    (found,) = visit(site, "/in")
    assert found.check.result == "passes"
    assert found.check.address == site.address("/in")
    assert [path for path, _ in site.asked][:2] == ["/in", "/people/sam"]
    assert all("Cookie" not in headers for _, headers in site.asked)


@pytest.mark.parametrize(
    "location",
    [
        "https://other.example/",
        "http://chat.example/people/sam",
        "https://a:b@chat.example/",
        "//evil.example/x",
        "/round",
    ],
)
def test_redirect_is_followed_on_the_same_host_alone_and_not_for_ever(site: Site, location: str):
    site.pages["/round"] = SitePage(status=302, headers={"Location": location})
    (found,) = visit(site, "/round")
    assert found.check.result == "unreachable"
    assert found.trouble
    assert len(site.asked) <= 4


def test_name_that_leads_inside_is_never_connected_to(site: Site):
    waited: list[float] = []
    runtime = replace(make_runtime(site), is_allowed=is_public, sleep=waited.append)
    found = visit(site, "/people/sam", "/people/kim", runtime=runtime)
    assert [one.check.findings[0].code for one in found] == ["not-public", "not-public"]
    assert "not public" in found[0].trouble
    assert (site.asked, waited) == ([], [])


def test_name_that_leads_inside_with_one_of_its_addresses_is_never_connected_to(site: Site):
    (found,) = visit(site, "/people/sam", runtime=make_runtime(site, names=Names([HERE, "10.0.0.7"])))
    assert found.check.result == "unreachable"
    assert site.asked == []


def test_answer_of_the_dns_that_changes_is_judged_again_at_the_next_request(site: Site):
    site.pages["/in"] = SitePage(status=302, headers={"Location": "/people/sam"})
    names = Names([HERE], ["169.254.169.254"])
    (found,) = visit(site, "/in", runtime=make_runtime(site, names=names))
    assert found.check.result == "unreachable"
    assert names.asked == [HOST, HOST]
    assert [path for path, _ in site.asked] == ["/in"]


def test_certificate_of_another_name_is_refused(tmp_path: Path):
    with serve_site(tmp_path, pages={"/": SitePage(make_page())}, name="other.example") as site:
        (found,) = visit(site, "/")
    assert found.check.result == "unreachable"
    assert "certificate" in found.trouble


@pytest.mark.parametrize(
    "page",
    [
        SitePage(b"<p>" * (5 * 1024 * 1024 // 3 + 1)),
        SitePage(b"<a>" * 1_000_000),  # more tags than can be judged
        SitePage(make_page(), status=500),
        SitePage(make_page(), headers={"Content-Type": "image/png"}),
        SitePage(make_page(), status=302, headers={"Location": ""}),
        SitePage(make_page(), status=302, headers={"Location": "https://[::1"}),
    ],
    ids=["too-large", "tags", "fault", "no-page", "nowhere", "misspelled"],
)
def test_page_that_does_not_come_says_nothing_of_the_button(site: Site, page: SitePage):
    site.pages["/odd"] = page
    (found,) = visit(site, "/odd")
    assert found.check.result == "unreachable"
    assert found.check.placement == "example-chat-profile"
    (reason,) = found.check.findings
    assert (reason.severity, reason.what) == ("unseen", found.trouble)
    assert reason.code not in NEVER_ASKED
    assert found.trouble


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00" * 999,
        bytes(range(256)) * 20,
        b"<div>" * 20_000,
        b"<a href='" * 999,
        b"<!--" * 5000,
        b"&#x110000;" * 99,
    ],
    ids=["empty", "zeros", "every-byte", "deep", "open", "comments", "entities"],
)
def test_hostile_page_ends_neither_the_run_nor_the_next_page(site: Site, body: bytes):
    site.pages["/hostile"] = SitePage(body)
    first, second = visit(site, "/hostile", "/people/sam")
    assert first.check.result in {"faults", "unreachable"}
    assert second.check.result == "passes"


def test_page_that_keeps_the_parser_busy_is_left_and_the_next_is_judged(site: Site):
    site.pages["/endless"] = SitePage(b"<div><a href=/x>" * 49_000)
    first, second = visit(site, "/endless", "/people/sam", runtime=replace(make_runtime(site), judging_seconds=0.2))
    assert first.check.result == "unreachable"
    assert "0.2 seconds" in first.trouble
    assert second.check.result == "passes"


def test_fault_that_nobody_foresaw_ends_one_page_and_its_words_are_not_shown(site: Site):
    def resolve(host: str, _port: int) -> Sequence[str]:
        raise RuntimeError(f"words about {host}")

    first, second = visit(site, "/people/sam", "/people/sam", runtime=replace(make_runtime(site), resolve=resolve))
    assert [one.check.result for one in (first, second)] == ["unreachable"] * 2
    assert "RuntimeError" in first.trouble
    assert "words" not in first.trouble


def test_hop_is_https_on_the_registered_host_and_nothing_else():
    check_hop("https://chat.example/x", host=HOST)
    check_hop("https://chat.example:443/x", host=HOST)
    inner = tuple(f"https://chat.example:{port}/" for port in (22, 80, 444, 6379, 8443))
    for address in ("http://chat.example/", "https://other.example/", "https://a@chat.example/", "x", *inner):
        with pytest.raises(TransportError):
            check_hop(address, host=HOST)


def test_page_at_another_port_than_that_of_https_is_not_asked_for(site: Site):
    names = Names([HERE])
    (found,) = visit(site, "/people/sam", runtime=replace(make_runtime(site, names=names), port=None))
    assert found.check.result == "unreachable"
    assert (names.asked, site.asked) == ([], [])


def test_runner_waits_between_two_pages_of_one_host(site: Site):
    waited: list[float] = []
    moments = iter(range(0, 100, 1))
    runtime = replace(make_runtime(site), sleep=waited.append, monotonic=lambda: float(next(moments)))
    visit(site, "/people/sam", "/people/sam", "https://x", "/people/sam", runtime=runtime)
    assert len(waited) == 2
    assert all(0 < seconds <= PAUSE_SECONDS for seconds in waited)


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        (
            "http://127.0.0.1:8703/chat",
            "not-public",
            "127.0.0.1 is not public: the runner never visits its own machine.",
        ),
        ("http://chat.example/people/sam", "not-https", "The runner visits pages only over https, on port 443."),
        ("ftp://chat.example/", "not-https", "The runner visits pages only over https, on port 443."),
        ("odd", "no-address", "This is not the address of a web page."),
        ("https://", "no-address", "This is not the address of a web page."),
        ("https://a:b@chat.example/", "no-address", "This is not the address of a web page."),
    ],
)
def test_page_that_is_never_asked_for_says_why_and_makes_nobody_wait(site: Site, address: str, code: str, said: str):
    waited: list[float] = []
    names = Names([HERE])
    found = visit(site, address, address, runtime=replace(make_runtime(site, names=names), sleep=waited.append))
    assert [one.check.result for one in found] == ["unreachable", "unreachable"]
    assert [(one.code, one.severity, one.what) for one in found[0].check.findings] == [(code, "unseen", said)]
    assert (waited, names.asked, site.asked) == ([], [], [])


def test_hosts_take_turns():
    addresses = ("https://a.example/1", "https://a.example/2", "https://a.example/3", "https://b.example/1", "odd")
    targets = [CheckTarget(address=one, placement="p") for one in addresses]
    assert [one.address for one in take_turns(targets)] == [
        "https://a.example/1",
        "https://b.example/1",
        "odd",
        "https://a.example/2",
        "https://a.example/3",
    ]


NOT_PUBLIC = (
    *("127.0.0.1", "127.255.0.1", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254"),
    *("192.0.0.8", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1"),
    *("168.63.129.16", "::ffff:168.63.129.16", "::ffff:0:168.63.129.16", "64:ff9b::a83f:8110", "2002:a83f:8110::"),
    *("fec0::1", "feff:ffff::1", "3fff::1", "3fff:fff:ffff::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
    *(
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:7f00:1::",
        "",
        "localhost",
        "127.1",
        "0x7f000001",
        "1.1.1.1 ",
        "1.1.1.1%x",
    ),
)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_address_that_is_not_of_the_open_internet_is_refused(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "1.1.1.1", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:1.1.1.1"]
)
def test_address_of_the_open_internet_is_taken(address: str):
    assert is_public(address)


def test_name_without_an_address_is_refused_and_the_older_kind_comes_first():
    found = pick_address("x", 443, resolve=Names(["2606:4700::1", "1.1.1.1"]).resolve, is_allowed=is_public)
    assert found == "1.1.1.1"
    with pytest.raises(TransportError):
        pick_address("x", 443, resolve=Names([]).resolve, is_allowed=is_public)
