"""The desk's pages: no entry without a link, no forged post, no other host, and the report exactly as written."""

import html
import re
from datetime import timedelta

import pytest

from gateway.desk.cases import model as case_model
from gateway.desk.cases.model import get_case
from gateway.desk.cases.outbox_run import SentOut
from gateway.desk.digests import pages
from gateway.desk.digests.ledger import get_record, make_digest_id, make_message_id
from gateway.desk.office.config import DeskConfigError
from gateway.desk.office.people.passkeys import StartLink, StartLinkError, make_start_link, use_start_link
from gateway.desk.office.wiring import Desk
from gateway.desk.partners.placement_pages import PATH
from gateway.desk.running.app import make_desk_app
from gateway.web.rules import SAFE_METHODS, Login, find_rule
from partner_sdk.console.digests.page import read_style, render_page
from partner_sdk.wire.digest import parse_digest
from tests.desk import work_builders
from tests.desk.digests.digest_builders import PARTNER, QUARTER, add_cases
from tests.desk.view_builders import ORIGIN, Browser, Clock, add_sealed_case, count_openings
from tests.house.sources import files

MARKER = "MARKER-<b>&\"'é🙂\u202e end"
SHOWN = "MARKER-<b>&\"'é🙂[U+202E] end"  # as pages show it: a direction that is hidden would turn the text around it
ANSWERS = {"outcome": "used", "weakness": ["open_direct_messages", "slow_response"]}


def list_routes(browser: Browser) -> list[tuple[str, str]]:
    """Every route of the app as method and an address that fits it."""
    routes = []
    for route in browser.client.application.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "anything", route.rule)
        routes += [(method, path) for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"})]
    return routes


def test_no_page_of_the_desk_answers_without_a_sign_in(desk: Desk) -> None:
    browser = Browser(desk)
    app = browser.client.application
    guarded = 0
    for route in app.url_map.iter_rules():
        stated = find_rule(app, route.endpoint)
        assert stated is not None
        if stated.login is Login.OPEN:
            assert route.endpoint.split(".")[0] in {"sign_in", "problems", "passkeys"}
            continue
        guarded += 1
        path = re.sub(r"<[^>]+>", "anything", route.rule)
        if "GET" in (route.methods or set()):
            response = browser.get(path)
            assert response.status_code == 401
            assert "You are not signed in" in response.text
    assert guarded >= 9


def test_page_opens_the_database_once(desk: Desk, browser: Browser) -> None:
    """Seen: a dozen times, each of which took longer than all that was read."""
    case_id = add_sealed_case(desk, marker=MARKER)
    assert count_openings(desk, lambda: browser.get("/")) == 1
    assert count_openings(desk, lambda: browser.get(f"/cases/{case_id}")) == 1


def test_every_post_needs_the_token_of_the_session(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    # The runner's call reads no session: tests/desk/partners/placements/test_posts.py.
    posts = [path for method, path in list_routes(browser) if method not in SAFE_METHODS and path != PATH]
    assert len(posts) >= 13
    for path in posts:
        for token in ("", "forged"):
            assert browser.post(path, token=token).status_code == 400
    with desk.store.read() as connection:
        assert get_case(connection, case_id).opened_at is None


def test_a_post_that_another_site_made_is_refused(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert browser.post(f"/cases/{case_id}/read", headers=headers).status_code == 400


def test_a_link_signs_in_once(desk: Desk) -> None:
    first, second = Browser(desk), Browser(desk)
    link = first.make_link("a-assessor")
    second.get(link)  # looking does not use it up
    first.register(link)
    assert "A Assessor" in first.get("/").text
    refused = second.get(link)
    assert refused.status_code == 401
    assert "already been used" in refused.text
    assert "Ask the administrator of this desk for a link." in refused.text
    assert second.get("/").status_code == 401


def test_a_link_ends_after_ten_minutes(desk: Desk, clock: Clock) -> None:
    browser = Browser(desk)
    link = browser.make_link("a-assessor")
    browser.get(link)
    clock.now += timedelta(minutes=10)
    assert "expired" in browser.get(link).text
    assert browser.get("/").status_code == 401


def test_only_the_hash_of_a_link_is_kept(desk: Desk) -> None:
    folder = desk.paths.state / "start-links"
    link = StartLink.make("a-assessor", made_by="test", now=desk.clock())
    secret = make_start_link(folder, link, now=desk.clock(), random=desk.random)
    files = list(folder.iterdir())
    assert len(files) == 1
    assert secret not in files[0].name + files[0].read_text(encoding="utf-8")
    assert files[0].stat().st_mode & 0o077 == 0
    assert use_start_link(folder, secret, now=desk.clock()) == link
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("secret", ["", "unknown", "../keys/feed.key", "a" * 5000, "é"])
def test_a_made_up_link_is_refused(desk: Desk, secret: str) -> None:
    with pytest.raises(StartLinkError) as caught:
        use_start_link(desk.paths.state / "start-links", secret, now=desk.clock())
    assert caught.value.reason == "link-used"


def test_sign_out_ends_the_session_at_the_server_for_every_copy_of_its_cookie(desk: Desk) -> None:
    person, thief, colleague = Browser(desk), Browser(desk), Browser(desk).sign_in("b-colleague")
    person.sign_in("a-assessor")
    cookie = person.client.get_cookie("desk", domain="localhost")
    assert cookie is not None
    thief.client.set_cookie("desk", cookie.value, domain="localhost")
    assert "A Assessor" in thief.get("/").text
    assert person.post("/sign-out").status_code == 200
    assert thief.get("/").status_code == 401
    assert "B Colleague" in colleague.get("/").text
    person.sign_in("a-assessor")
    assert thief.get("/").status_code == 401


def test_store_holds_no_secret_that_would_sign_in(desk: Desk) -> None:
    person = Browser(desk).sign_in()
    with person.client.session_transaction(base_url=ORIGIN) as held:
        secret = held["secret"]
        assert set(held) == {"secret", "csrf_token"}
    files = list(desk.paths.state.glob("desk.sqlite*"))
    assert files
    assert all(secret.encode() not in path.read_bytes() for path in files)


def test_a_session_ends_after_eight_hours_and_by_signing_out(desk: Desk, clock: Clock) -> None:
    browser = Browser(desk).sign_in()
    for _ in range(5):
        clock.now += timedelta(minutes=11)
        page = browser.get("/").text
    assert "A short break is part of the work" in page
    assert browser.post("/sign-out").status_code == 200
    assert browser.get("/").status_code == 401
    browser.sign_in()
    for _ in range(8 * 6 - 1):
        clock.now += timedelta(minutes=10)
        assert browser.get("/desk.css").status_code == browser.get("/outbox").status_code == 200
    clock.now += timedelta(minutes=10)
    assert browser.get("/").status_code == 401


def test_another_name_for_this_machine_is_turned_away(desk: Desk) -> None:
    browser = Browser(desk).sign_in()
    for base_url in ("http://rebound.example:8003", "http://localhost:9999", "http://127.0.0.1:8003"):
        response = browser.get("/", base_url=base_url)
        assert response.status_code == 421
        assert "rebound" not in response.text


def test_the_desk_is_not_served_beyond_this_machine(desk: Desk) -> None:
    with pytest.raises(DeskConfigError):
        make_desk_app(desk, origin="http://10.0.0.5:8003", secret_key=b"k" * 32)


def test_the_cookie_is_strict_and_hidden_from_script(desk: Desk) -> None:
    browser = Browser(desk)
    cookie = browser.get(browser.make_link("a-assessor")).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_pages_allow_nothing_but_their_own_style(browser: Browser) -> None:
    page = browser.get("/")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert page.headers["Cache-Control"] == "no-store"
    for address in ("/", "/digests"):
        text = browser.get(address).text
        assert re.findall(r"<script[^>]*>[^<]*", text) == ['<script src="/desk.js" defer>']
        assert " style=" not in text
        assert set(re.findall(r'(?:src|href|action)="(https?:)?//', text)) == set()
    assert browser.get("/desk.css").headers["Content-Type"].startswith("text/css")
    script = browser.get("/desk.js")
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert "Storage" not in script.text  # the desk's machine keeps nothing readable
    assert "caches" not in script.text


def test_the_report_is_shown_as_it_was_written_after_opening_and_only_then(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    before = browser.get(f"/cases/{case_id}")
    assert "MARKER-" not in before.text
    opened = browser.post(f"/cases/{case_id}/read")
    assert opened.status_code == 200
    said = re.findall(r'<bdi class="words">(.*?)</bdi>', opened.text, re.DOTALL)
    assert f"Someone asks me to write elsewhere.\n{SHOWN}" in [html.unescape(text) for text in said]
    # Story, name and four lines of the contact: every field in which the marker was written.
    assert sum(SHOWN in html.unescape(text) for text in said) == 6
    assert "MARKER-<b>" not in opened.text  # escaped: no word of a report becomes markup
    assert "MARKER-" not in browser.get(f"/cases/{case_id}").text
    with desk.store.read() as connection:
        assert get_case(connection, case_id).opened_at is not None


def test_what_was_said_is_folded(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    text = browser.post(f"/cases/{case_id}/read").text
    folded = re.findall(r"<details[^>]*>", text)
    assert len(folded) >= 3
    assert not [tag for tag in folded if "open" in tag]
    said = [match.start() for match in re.finditer('<bdi class="words">', text)]
    assert len(said) >= 10
    for place in said:
        assert text.rfind("<details", 0, place) > text.rfind("</details>", 0, place)


def test_assessing_says_everything_that_is_missing_and_loses_no_answer(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    response = browser.post(f"/cases/{case_id}/assess", kind="sexual_talk", weakness=["no_block_tool"])
    assert response.status_code == 409
    for missing in (
        "Is a child at immediate risk?",
        "Is it urgent?",
        "Do police or child protection need it urgently?",
        "Choose who is best placed to act.",
        "Choose the priority.",
        "Choose the age of the child",
        "Decide whether to contact the adult",
        "Write why",
    ):
        assert missing in response.text.split("<h1>")[0]
    assert "Choose the outcome." in browser.post(f"/cases/{case_id}/close", kind="sexual_talk").text
    browser.post(f"/cases/{case_id}/read")
    response = browser.post(f"/cases/{case_id}/assess", kind="sexual_talk", weakness=["no_block_tool"])
    assert '<option value="sexual_talk" selected>' in response.text
    assert re.search(r'value="no_block_tool" checked', response.text)
    with desk.store.read() as connection:
        assert get_case(connection, case_id).holder is None


def test_three_weaknesses_are_too_many(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER)
    response = browser.post(f"/cases/{case_id}/close", **(ANSWERS | {"weakness": list(case_model.WEAKNESSES[:3])}))
    assert "Choose at most two weaknesses" in response.text


def test_a_child_is_answered_before_the_case_is_closed(desk: Desk, browser: Browser) -> None:
    case_id = add_sealed_case(desk, marker=MARKER, under_18="yes")
    browser.post(f"/cases/{case_id}/read")
    assert browser.post(f"/cases/{case_id}/assess", **work_builders.ANSWERS).status_code == 303
    assert (
        "A reply is owed to the person who reported. Record the reply below before you close the case."
        in browser.post(f"/cases/{case_id}/close", **ANSWERS).text
    )
    assert "Choose how the person was answered." in browser.post(f"/cases/{case_id}/reply").text
    assert "why there is no safe way" in browser.post(f"/cases/{case_id}/reply", code="no_safe_contact").text
    assert browser.post(f"/cases/{case_id}/reply", **work_builders.make_talk_form(desk)).status_code == 303
    assert browser.post(f"/cases/{case_id}/close", **ANSWERS).status_code == 303
    with desk.store.read() as connection:
        case = get_case(connection, case_id)
    assert (case.kind, case.weakness_1, case.weakness_2) == ("grooming", "open_direct_messages", "slow_response")
    page = browser.get(f"/cases/{case_id}").text
    assert "By A Assessor (a-assessor)" in page
    assert "Reopen the case" in page


def test_page_of_a_case_leads_to_the_next_one_to_read(desk: Desk, browser: Browser) -> None:
    first, second = (add_sealed_case(desk, marker=MARKER, score=score) for score in (90, 10))
    link = re.compile(r'href="/cases/([^"]+)"[^>]*>Next to read: ')
    assert link.findall(browser.get(f"/cases/{second}").text) == [first]
    assert link.findall(browser.get(f"/cases/{first}").text) == [second]
    assert link.findall(browser.post(f"/cases/{first}/read").text) == [second]


def test_the_queue_marks_the_crisis_lane_with_its_two_strongest_factors_and_made_up_cases(
    desk: Desk, browser: Browser
) -> None:
    factors = "danger_now still_going_on knows_home"
    add_sealed_case(desk, marker=MARKER, crisis=True, score=160, factors=factors, priority="P1")
    add_cases(desk.store, 1, synthetic=True, reference="SYNTHETIC-2026-Q3-00001")
    page = browser.get("/").text
    assert "Example Chat" in page[page.index('class="rows"') :]
    assert ">Crisis<" in page
    assert "<b>160</b>" in page
    assert "Says that someone is in danger right now" in page
    assert "Still going on" in page
    assert "knows where the child lives" not in page
    closed = browser.get("/?lane=closed").text
    assert "SYNTHETIC-2026-Q3-00001" in closed
    assert ">Synthetic<" in closed


def test_an_unknown_case_or_digest_is_a_page_of_ours(browser: Browser) -> None:
    for path in ("/cases/nothing", "/digests/nothing", "/nothing"):
        response = browser.get(path)
        assert response.status_code == 404
        assert "There is nothing at this address" in response.text


def test_a_digest_is_made_previewed_and_released_by_two_people(
    desk: Desk, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def store_message(_desk, _connection, *, partner, kind, body, actor, message_id):
        assert message_id == make_message_id(digest_id)
        sent.append((partner, kind, body, actor))
        return type("Message", (), {"message_id": "message-1"})

    monkeypatch.setattr(pages, "store_message", store_message)
    monkeypatch.setattr(pages, "send_due", lambda _desk, only: sent.append("sent") or SentOut())
    add_cases(desk.store, 60)
    add_cases(desk.store, 60, synthetic=True)  # no digest of a live desk counts them
    digest_id = make_digest_id(partner=PARTNER, quarter=QUARTER)
    browser.get("/digests")
    made = browser.post("/digests", partner=PARTNER, quarter=QUARTER.name, adopted="yes")
    assert made.headers["Location"] == f"/digests/{digest_id}"
    preview = browser.get(f"/digests/{digest_id}").text
    assert f"<h1>{QUARTER.name}, Example Chat</h1>" in preview
    for needed in ("0.8 of 1.0", "A second person reads it and signs it", "2026-Q3 kind", "0.55"):
        assert needed in preview
    assert "made-up cases" not in preview
    with desk.store.read() as connection:
        body = get_record(connection, digest_id).body
    # The same article as in the file that the partner's program writes, under rules that the desk serves.
    partner_file = render_page(parse_digest(body))
    article = partner_file[partner_file.index("<article") : partner_file.index("</article>")]
    assert article in preview
    assert read_style() in browser.get("/desk.css").text
    assert 'style="' not in preview
    assert browser.post(f"/digests/{digest_id}/release").status_code == 409
    refused = browser.post("/releases/1/begin")
    assert (refused.status_code, "Another person must read it" in refused.text) == (409, True)
    assert sent == []
    second = Browser(desk).sign_in("second-two")
    second.get(f"/digests/{digest_id}")
    assert second.step_up("/releases/1/begin", f"/digests/{digest_id}/release").status_code == 303
    assert sent == [(PARTNER, "digest", body, "second-two"), "sent"]
    assert "The partner&#39;s copy" in second.get(f"/digests/{digest_id}").text


def test_a_digest_of_a_running_quarter_or_unknown_partner_is_refused_in_words(browser: Browser) -> None:
    browser.get("/digests")
    for fields, said in (
        ({"partner": PARTNER, "quarter": "2026-Q4"}, "runs until"),
        ({"partner": PARTNER, "quarter": "nonsense"}, "Write the quarter like this: 2026-Q3"),
        ({"partner": "nobody", "quarter": "2026-Q3"}, "Choose the partner"),
    ):
        response = browser.post("/digests", **fields)
        assert response.status_code == 409
        assert said in response.text
        assert "nonsense" not in response.text


def test_token_of_a_form_is_written_in_one_place() -> None:
    templates = files(".html", below=("gateway/desk/office/views/templates",))
    assert len(templates) >= 40
    assert [path.name for path in templates if "csrf_token()" in path.read_text("utf-8")] == ["parts.html"]
