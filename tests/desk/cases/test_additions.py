"""Later additions: never less urgent, linked, with the first report's safe contact, and proven or marked unproven."""

from typing import Any

import pytest

from gateway.desk.cases.model import CaseError, CaseRow
from gateway.desk.cases.opening import find_earlier, is_proven, open_case
from gateway.desk.cases.replies import ReplyDraft, ReplyError, record_reply, write_reply
from tests.builders import make_clear_fields
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.industry_builders import find
from tests.desk.view_builders import Browser, make_code_key, make_code_seed
from tests.desk.work_builders import make_talk
from tests.public_report_builders import make_contact, make_known_person

KEY = make_code_key(make_code_seed("lamp river coat seven"))
OTHER_KEY = make_code_key(make_code_seed("of somebody else"))
ORIGIN = "http://localhost:8003"
BLANK: dict[str, Any] = {"contact": make_contact(), "name": "", "danger": "", "age_band": ""}
REPLY = ReplyDraft("A teacher you named will speak to you.", is_the_reply=False)


def send_first(loop: Loop, *, priority: str = "P1", **changes: Any) -> str:
    contact = make_contact(
        who_must_not_know="my uncle", ways=("email", "school"), email="a@b.example", school="Mx Kite"
    )
    said = {"contact": contact, "name": "Robin", "reply_key": KEY, **changes}
    return loop.send_public(clear=make_clear_fields("public", priority=priority), **said).reference


def add(loop: Loop, reference: str, *, priority: str = "P3", **changes: Any) -> str:
    clear = make_clear_fields("public", kind="supplement", earlier_reference=reference, priority=priority)
    return loop.send_public(clear=clear, **{**BLANK, "reply_key": KEY, **changes}).reference


def is_theirs(loop: Loop, reference: str) -> bool:
    found = find(loop, reference)
    with loop.desk.store.read() as connection:
        return is_proven(found, earlier=find_earlier(connection, found))


@pytest.fixture
def browser(loop: Loop) -> Browser:
    return Browser(loop.desk).sign_in()


def read(browser: Browser, case: CaseRow) -> str:
    browser.get(f"/cases/{case.case_id}")
    return browser.post(f"/cases/{case.case_id}/read").text


@pytest.mark.parametrize("collects_between", [False, True], ids=["one batch", "two batches"])
@pytest.mark.parametrize(
    ("first", "added", "filed"), [("P1", "P3", "P1"), ("P2", "P3", "P2"), ("P3", "P1", "P1"), ("P3", "P3", "P3")]
)
def test_addition_is_as_urgent_as_the_more_urgent_of_both(
    loop: Loop, first: str, added: str, filed: str, *, collects_between: bool
) -> None:
    reference = send_first(loop, priority=first)
    if collects_between:
        loop.collect()
    second, third = add(loop, reference, priority=added), add(loop, reference)
    loop.collect()
    assert find(loop, second).priority == filed
    assert find(loop, third).priority == first
    assert find(loop, reference).priority == first


def test_list_and_pages_link_an_addition_and_its_first_report_both_ways(loop: Loop, browser: Browser) -> None:
    reference = send_first(loop)
    added = add(loop, reference)
    loop.collect()
    first, second = find(loop, reference), find(loop, added)
    assert f'adds to <a href="/cases/{first.case_id}">{reference}</a>' in browser.get("/").text
    assert f'Adds to <a href="/cases/{first.case_id}">{reference}</a>' in browser.get(f"/cases/{second.case_id}").text
    assert f'Added to: <a href="/cases/{second.case_id}">{added}</a>' in browser.get(f"/cases/{first.case_id}").text


def test_page_of_an_addition_shows_how_the_first_report_says_to_reach_the_person(loop: Loop, browser: Browser) -> None:
    reference = send_first(loop, person=make_known_person(near="yes"))
    added = add(loop, reference)
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    page = read(browser, find(loop, added))
    for said in (
        f"Before you contact anyone: from {reference}",
        "We must not contact",
        "my uncle",
        "Robin",
        "Mx Kite",
    ):
        assert said in page
    assert "Never text or e-mail." in page
    assert "They picked none" not in page
    assert "They gave no name" not in page
    assert page.index("We must not contact") < page.index("In their own words")


def test_addition_to_an_unread_report_names_the_report_with_the_contact(loop: Loop, browser: Browser) -> None:
    reference = send_first(loop)
    added = add(loop, reference)
    loop.collect()
    page = read(browser, find(loop, added))
    assert f"Contact is in {reference}: open that first." in page
    for absent in ("They picked none", "They gave no name", "my uncle", "Not proven"):
        assert absent not in page
    with pytest.raises(ReplyError) as refused:
        write_reply(loop.desk, added, REPLY, actor=ACTOR)
    assert refused.value.reason == "first-not-opened"


def test_way_that_the_first_report_bars_is_barred_in_what_was_added(loop: Loop, browser: Browser) -> None:
    reference = send_first(
        loop, person=make_known_person(near="yes"), contact=make_contact(ways=("school",), school="M")
    )
    added = add(loop, reference, contact=make_contact(ways=("email",), email="new@b.example"))
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    page = read(browser, find(loop, added))
    assert "Do not use" in page[page.index("From the later report") : page.index("new@b.example") + 200]


def test_sealed_reply_to_an_addition_counts_only_with_a_reason_where_the_first_report_names_a_way(loop: Loop) -> None:
    reference = send_first(loop)
    added = add(loop, reference)
    loop.collect()
    for one in (reference, added):
        open_case(loop.desk, one, actor=ACTOR)
    with pytest.raises(Exception, match="return code alone"):
        write_reply(loop.desk, added, ReplyDraft("Hello, we have read it.", is_the_reply=True), actor=ACTOR)


@pytest.mark.parametrize(("first", "second", "proven"), [(KEY, KEY, True), (KEY, OTHER_KEY, False)])
def test_key_of_the_return_code_proves_the_same_person(
    loop: Loop, browser: Browser, first: str, second: str, *, proven: bool
) -> None:
    reference = send_first(loop, reply_key=first)
    added = add(loop, reference, reply_key=second)
    loop.collect()
    assert is_theirs(loop, added) is proven
    assert (
        "Not proven to be the same person." in browser.get(f"/cases/{find(loop, added).case_id}").text
    ) is not proven


@pytest.mark.parametrize(("first", "second"), [(None, KEY), (KEY, None), (None, None)])
def test_addition_without_a_key_to_compare_is_not_proven(loop: Loop, first: str | None, second: str | None) -> None:
    reference = send_first(loop, reply_key=first)
    added = add(loop, reference, reply_key=second)
    loop.collect()
    assert is_theirs(loop, reference)
    assert not is_theirs(loop, added)


def test_addition_to_a_report_that_got_no_code_is_to_be_checked_and_not_thrown_away(
    loop: Loop, browser: Browser
) -> None:
    reference = send_first(loop, reply_key=None)
    added = add(loop, reference, reply_key=None, contact=make_contact(ways=("email",), email="kim@b.example"))
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    page = read(browser, find(loop, added))
    said = page.index("Check these details with the person first, in a way that the first report gives.")
    assert page.index("There is no proof that this is the same person.") < said < page.index("kim@b.example")
    assert "Do not use these contact details." not in page


def test_addition_to_a_report_that_is_not_here_is_not_proven(loop: Loop, browser: Browser) -> None:
    added = add(loop, "C5H6-6S35C-3")
    loop.collect()
    assert not is_theirs(loop, added)
    assert "C5H6-6S35C-3 is not at this desk." in browser.get(f"/cases/{find(loop, added).case_id}").text


def test_forged_addition_gets_no_reply_and_its_contact_carries_a_warning(loop: Loop, browser: Browser) -> None:
    reference = send_first(loop)
    forged = add(loop, reference, reply_key=OTHER_KEY, contact=make_contact(ways=("email",), email="eve@b.example"))
    # Another one that names the forged one: its key is the same, and proves nothing.
    chained = add(loop, forged, reply_key=OTHER_KEY)
    loop.collect()
    for one in (reference, forged, chained):
        open_case(loop.desk, one, actor=ACTOR)
    for one in (forged, chained):
        assert not is_theirs(loop, one)
        with pytest.raises(ReplyError) as refused:
            write_reply(loop.desk, one, REPLY, actor=ACTOR)
        assert refused.value.reason == "not-proven"
    assert loop.count("reply_messages") == 1  # that the first report was read
    page = read(browser, find(loop, forged))
    assert page.index("my uncle") < page.index("Do not use these contact details.") < page.index("eve@b.example")
    assert "Check it before you send it" not in page


def test_partners_addition_is_proven_by_its_signature(loop: Loop) -> None:
    first = loop.send_industry().reference
    loop.collect()
    added = loop.send_industry(kind="supplement", earlier_reference=first).reference
    loop.collect()
    assert (find(loop, added).adds_to, is_theirs(loop, added)) == (first, True)


def test_nothing_that_can_be_read_is_kept_of_the_key(loop: Loop) -> None:
    send_first(loop)
    loop.collect()
    database = loop.desk.paths.database
    written = [path.read_bytes() for path in database.parent.glob(f"{database.name}*")]  # the log of it too
    assert len(written) > 1
    assert KEY.encode() not in b"".join(written)


def test_addition_names_the_kind_that_the_first_report_told_in_words(loop: Loop) -> None:
    first = send_first(loop, kinds=())
    loop.collect()
    assert find(loop, first).kind == "untold"
    added = [add(loop, first, kinds=kinds) for kinds in ((), ("threatens_to_share",), ())]
    loop.collect()
    assert [find(loop, one).kind for one in (first, *added)] == ["coercion_blackmail"] * 4


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_only_a_proven_and_read_addition_opens_another_way(loop: Loop, key: str) -> None:
    reference = send_first(loop, under_18="yes")
    added = add(loop, reference, reply_key=key, contact=make_contact(ways=("call",), phone="0000"))
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    with pytest.raises(CaseError, match="did not open this way"):
        record_reply(loop.desk, reference, make_talk(loop.desk), actor=ACTOR)
    open_case(loop.desk, added, actor=ACTOR)
    if key == KEY:
        assert record_reply(loop.desk, reference, make_talk(loop.desk), actor=ACTOR).reply_code == "replied_by_call"
        return
    for one in (reference, added):
        with pytest.raises(CaseError, match="did not open this way"):
            record_reply(loop.desk, one, make_talk(loop.desk), actor=ACTOR)
