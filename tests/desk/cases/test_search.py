"""One search box: typed text is read in every way, hashed by the vault, and kept nowhere."""

import logging

import msgspec
import pytest
from sqlalchemy import insert, select

from gateway.desk.cases.search import MOST_TYPED, index_cases, list_readings, search_cases
from gateway.desk.collection.identifiers import KINDS
from gateway.desk.store.schema import AUDIT, CASE_IDENTIFIERS, CASES
from partner_sdk.report import IndustryReport
from tests.builders import make_industry_report
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.identifier_builders import add_cases
from tests.desk.industry_builders import find, send
from tests.desk.view_builders import Browser
from tests.public_report_builders import make_contact, make_known_person

MD5 = "0123456789abcdef0123456789abcdef"
FIRST_PAGE = slice(0, 100)


def send_both(loop: Loop) -> tuple[str, str]:
    """File a report of the public and one of a partner, and return their references."""
    public = loop.send_public(
        name="Sam Example",
        person=make_known_person(app="Other Chat", handle="@Night_Owl7"),
        contact=make_contact(ways=("call",), phone="07700 900123"),
        story="See https://other.example/u/owl?x=1",
    ).reference
    raw = msgspec.to_builtins(make_industry_report())
    raw["reporter"] |= {"own_reference": "TS-2026/4417"}
    raw["suspects"] = [{"service_user_id": "u-900", "emails": [{"address": "Owl+x@other.example"}]}]
    raw["files"] = [
        {
            "file_id": "f1",
            "relevance": "reported",
            "viewed_by_staff": True,
            "exif_viewed_by_staff": False,
            "copy_kept_until": None,
            "hashes": [{"type": "md5", "value": MD5.upper()}],
        }
    ]
    industry = send(loop, msgspec.convert(raw, IndustryReport))
    loop.collect()
    return public, industry


def search(loop: Loop, text: str) -> dict[str, tuple[tuple[str, str], ...]]:
    result = search_cases(loop.desk, text, rows=FIRST_PAGE, actor=ACTOR)
    assert result.found == len(result.hits)
    return {hit.case.reference: hit.matched for hit in result.hits}


@pytest.mark.databases("sqlite", "postgresql")
def test_each_kind_is_found_in_any_spelling_and_the_result_names_what_matched(loop: Loop) -> None:
    public, industry = send_both(loop)
    for text, matched in (
        ("night_owl7 on Other Chat", ("account", "suspect")),
        ("@NIGHT_OWL7 on otherchat.example", ("account", "suspect")),
        ("night_owl7", ("username", "suspect")),
        ("+44 (0)7700 900123", ("phone", "reporter")),
        ("sam  EXAMPLE", ("name", "reporter")),
        ("other.example/u/owl", ("link", "text")),
        ("http://www.other.example/u/owl#top", ("link", "text")),
        (public.lower().replace("-", " "), ("case", "")),
        (find(loop, public).case_id, ("case", "")),
    ):
        assert search(loop, text) == {public: (matched,)}, text
    for text, matched in (
        ("owl@OTHER.example", ("email", "suspect")),
        (MD5, ("content", "file")),
        ("ts 2026 4417", ("reference", "report")),
        ("u-900", ("username", "suspect")),
    ):
        assert search(loop, text) == {industry: (matched,)}, text
    for text in ("night_owl8", "night_owl7 on Example Chat", "07700 900124", "nobody", "K7QF-2M9TX-D"):
        assert search(loop, text) == {}, text


def test_later_report_that_matches_gives_its_case_once(loop: Loop) -> None:
    first = send(loop)
    loop.collect()
    raw = msgspec.to_builtins(make_industry_report())
    raw["suspects"] = [{"service_user_id": "u-900"}]
    later = send(loop, msgspec.convert(raw, IndustryReport), kind="supplement", earlier_reference=first)
    loop.collect()
    assert search(loop, "u-900") == {first: (("username", "suspect"),)}
    assert search(loop, later) == {first: (("case", ""),)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("07700 900124", "a UK mobile number, +447700900124"),
        ("+44 1632 960001", "a UK telephone number, +441632960001"),
        ("+33 1 23 45 67 89", "a FR telephone number, +33123456789"),
        ("Owl@Other.example", "an e-mail address, owl@other.example"),
        ("https://www.other.example/a?b", "a link, other.example/a"),
        ("owl on Other Chat", "the user name owl on Other Chat"),
        ("@Owl7", "a user name on any service"),
        (MD5, "the MD5 hash of a file"),
    ],
)
def test_reading_is_put_in_words(text: str, words: str) -> None:
    assert words in [one.words for one in list_readings(text)]


@pytest.mark.parametrize("hostile", ["", " \n\t", "\u202e\u200b", "n" * (MOST_TYPED + 1), "n" * 100_000])
def test_text_that_is_nothing_is_read_as_nothing(hostile: str) -> None:
    assert list_readings(hostile) == []


@pytest.mark.parametrize(
    "hostile",
    [
        "' OR 1=1 --",
        "{0.__class__}",
        "%s%n",
        "<script>alert(1)</script>",
        "\u202egpj.owl",
        "javascript:alert(1)",
        "\ufdfa" * 16,
    ],
)
def test_hostile_text_finds_nothing_and_is_shown_harmless(loop: Loop, hostile: str) -> None:
    send_both(loop)
    page = Browser(loop.desk).sign_in()
    page.get("/search")
    answer = page.post("/search", wanted=hostile)
    assert answer.status_code == 200
    assert "Nothing found" in answer.text
    assert "<script>alert" not in answer.text
    assert "\u202e" not in answer.text


def test_page_says_how_the_text_was_read_and_what_matched(loop: Loop) -> None:
    public, _ = send_both(loop)
    browser = Browser(loop.desk).sign_in()
    assert "Search" in browser.get("/search").text
    found = browser.post("/search", wanted="07700 900123").text
    assert f">{public}</a>" in found
    assert "Telephone number of the person reporting" in found
    nothing = browser.post("/search", wanted="07700 900124").text
    assert "Nothing found" in nothing
    assert "a UK mobile number, +447700900124" in nothing
    empty = browser.post("/search", wanted=" ")
    assert empty.status_code == 409
    long = browser.post("/search", wanted="n" * 301)
    assert long.status_code == 409
    assert "300 characters at most" in long.text


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_searched_text_is_in_no_log_no_file_and_no_address(loop: Loop, logged: pytest.LogCaptureFixture) -> None:
    marker = "marker-owl-5521"
    browser = Browser(loop.desk).sign_in()
    browser.get("/search")
    answer = browser.post("/search", wanted=f"{marker} on Other Chat")
    assert answer.status_code == 200
    assert answer.request.path == "/search"
    assert answer.request.query_string == b""
    assert marker not in str(answer.headers)
    assert marker not in logged.text
    with loop.desk.store.read() as connection:
        (entry,) = connection.execute(select(AUDIT).where(AUDIT.c.action == "search")).all()
        digests = loop.desk.load_signer().hash_identifiers([(kind, f"otherchat\n{marker}") for kind in KINDS])
    assert entry.detail == '{"found":0,"kinds":"account,name,username"}'
    loop.desk.store.close()
    looked_at = 0
    for path in (loop.folder / "desk").rglob("*"):
        if path.is_file():
            raw = path.read_bytes()
            assert marker.encode() not in raw, path
            assert not any(digest in raw for digest in digests), path
            looked_at += 1
    assert looked_at >= 8


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("count", [150, 650])
def test_results_are_paged_in_the_order_of_the_queue(loop: Loop, count: int) -> None:
    person = make_known_person(app="Other Chat", handle="night_owl7")
    first = loop.send_public(person=person).reference
    loop.collect()
    with loop.desk.store.write() as connection:
        case_ids = add_cases(connection, count)
        (digest,) = loop.desk.load_signer().hash_identifiers([("username", "night_owl7")])
        fixed = {"digest": digest, "kind": "username", "place": "text", "strength": 1}
        connection.execute(insert(CASE_IDENTIFIERS), [fixed | {"case_id": one} for one in case_ids])
    pages = [
        search_cases(loop.desk, "night_owl7", rows=slice(start, start + 100), actor=ACTOR)
        for start in range(0, count + 1, 100)
    ]
    assert {one.found for one in pages} == {count + 1}
    hits = [hit.case for page in pages for hit in page.hits]
    assert len({case.case_id for case in hits}) == count + 1
    keys = [(not case.crisis, case.tier, -case.score, case.received_at, case.case_id) for case in hits]
    assert keys == sorted(keys)
    assert first in {case.reference for case in hits}
    browser = Browser(loop.desk).sign_in()
    browser.get("/search")
    shown = browser.post("/search", wanted="night_owl7", page="2").text
    assert hits[100].reference in shown
    assert hits[0].reference not in shown
    assert f"Page 2 of {-(-(count + 1) // 100)}" in shown


def test_page_explains_a_missing_key(loop: Loop) -> None:
    (loop.desk.paths.keys / "identifier.key").unlink()
    browser = Browser(loop.desk).sign_in()
    browser.get("/search")
    answer = browser.post("/search", wanted="night_owl7")
    assert answer.status_code == 409
    assert "no key for its index" in answer.text


def test_case_whose_page_was_never_opened_stays_unread_after_a_search(loop: Loop) -> None:
    public, _ = send_both(loop)
    search(loop, public)
    with loop.desk.store.read() as connection:
        assert connection.execute(select(CASES.c.opened_at)).scalars().all() == [None, None]


def test_nickname_in_a_childs_words_is_found_and_one_press_makes_it_an_account(loop: Loop) -> None:
    """The example of the search box finds the report that says it."""
    known = make_known_person(app="Other Chat")
    told = loop.send_public(person=known, story="He is night_owl7 there. His name is Jake.").reference
    other = loop.send_public(person=make_known_person(app="Example Chat", handle="night_owl7"), story="").reference
    loop.collect()
    assert search(loop, "night_owl7 on Other Chat") == {told: (("username", "text"),)}
    assert set(search(loop, "Night_Owl7")) == {told, other}
    assert search(loop, "jake") == {told: (("username", "text"),)}
    case_id, browser = find(loop, told).case_id, Browser(loop.desk).sign_in()
    browser.get(f"/cases/{case_id}")
    assert 'name="nickname" value="night_owl7"' in browser.post(f"/cases/{case_id}/read").text
    assert "no such name" in browser.post(f"/cases/{case_id}/account", nickname="night_owl8").text
    page = browser.post(f"/cases/{case_id}/account", nickname="night_owl7").text
    assert 'name="nickname" value="night_owl7"' not in page
    assert "named an account of the case" in page
    assert "already" in browser.post(f"/cases/{case_id}/account", nickname="night_owl7").text
    for _ in ("at once", "after the index was made anew"):
        assert search(loop, "night_owl7 on Other Chat") == {told: (("account", "incident"),)}
        index_cases(loop.desk, actor=ACTOR, is_anew=True)
    assert not any(b"night_owl7" in path.read_bytes() for path in loop.desk.paths.state.rglob("*") if path.is_file())


def test_search_ends_at_the_last_on_or_ar() -> None:
    assert "the user name owl on top on Other Chat" in [one.words for one in list_readings("owl on top ar Other Chat")]
