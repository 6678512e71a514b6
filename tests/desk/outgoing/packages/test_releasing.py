"""A package leaves once a second person has read and signed it; at night a duty officer alone, reviewed later.

The file of a released package: sealed under a passphrase of its page, read by the stand-alone reader.
"""

import hashlib
import html
import io
import re
import zipfile
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from gateway.desk.cases.actions.destinations import load_register
from gateway.desk.cases.actions.ledger import change_state, describe_action, get_signing, open_body
from gateway.desk.cases.actions.model import get_action
from gateway.desk.cases.model import get_case
from gateway.desk.cases.opening import open_case
from gateway.desk.cases.watch import UNREVIEWED, list_concerns
from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.releases import PACKAGE, list_open, verify_release
from gateway.desk.office.wiring import Desk
from gateway.desk.outgoing.package_archive import unpack
from gateway.desk.store.agency_tables import RELEASES
from gateway.desk.store.schema import CASES
from partner_sdk.reader.package_reader import unseal
from tests.desk.outgoing.packages.package_forms import (
    DUTY,
    MAKER,
    MARKER,
    SECOND,
    add_urgent,
    draft,
    find,
    find_begin,
    post,
    sign,
)
from tests.desk.view_builders import Browser, Clock, add_sealed_case
from tests.desk.work_builders import assess


@pytest.fixture
def case_id(desk: Desk) -> str:
    """An urgent case that its maker has read and assessed."""
    return add_urgent(desk)


@pytest.fixture
def maker(desk: Desk, case_id: str) -> Browser:
    """The maker's browser."""
    browser = Browser(desk).sign_in(MAKER)
    browser.get(f"/cases/{case_id}")
    return browser


@pytest.fixture
def second(desk: Desk) -> Browser:
    """The browser of another analyst."""
    return Browser(desk).sign_in(SECOND, [Role.ANALYST])


def list_alarms(desk: Desk) -> set[str]:
    with desk.store.read() as connection:
        return {one.code for one in list_concerns(connection, desk=desk)}


def read_signing(desk: Desk, action_id: str) -> tuple[str, bool]:
    """Return the next act of a package, and whether it waits for its review."""
    with desk.store.read() as connection:
        signing = get_signing(connection, get_action(connection, action_id))
    return signing.next, signing.is_unreviewed


def retire(desk: Desk, key: str) -> None:
    own = f'[{key}]\nretired_on = 2026-11-01\nchecked_on = 2026-11-28\nsource = "a letter"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    load_register.cache_clear()


@pytest.mark.databases("sqlite", "postgresql")
def test_second_person_signs_the_hash_of_the_archive_and_releases_it(
    desk: Desk, maker: Browser, second: Browser, case_id: str
) -> None:
    action = draft(desk, maker, case_id)
    assert sign(second, action).status_code == 303
    released = find(desk, action.action_id)
    assert (released.state, released.released_by) == ("released", SECOND)
    body = open_body(desk, action, actor=SECOND)
    assert released.body_sha256 == hashlib.sha256(body).hexdigest()
    with desk.store.read() as connection:
        row = connection.execute(select(RELEASES).where(RELEASES.c.kind == PACKAGE)).one()
        assert bytes(row.body_sha256) == hashlib.sha256(describe_action(released)).digest()
        assert verify_release(connection, row.id).signed_by == SECOND
    page = html.unescape(maker.get(f"/actions/{action.action_id}").text)
    assert "Released: send it, and record that it went" in page
    assert maker.post(f"/actions/{action.action_id}/sent").status_code == 303
    assert find(desk, action.action_id).state == "sent"


def test_same_person_is_refused_also_with_a_second_passkey(desk: Desk, maker: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    maker.passkey = maker.register(maker.make_link(MAKER), label="another key")
    page = maker.post(f"/actions/{action.action_id}/read").text
    assert "You prepared this" in page
    assert "data-begin" not in page
    with desk.store.read() as connection:
        (release,) = list_open(connection, PACKAGE)
    assert maker.post(f"/releases/{release.id}/begin").status_code == 409
    refused = maker.post(f"/actions/{action.action_id}/release", statement="x", answer="y")
    assert refused.status_code == 409
    assert "Another person must read it and sign it, whichever passkey you use" in refused.text
    assert find(desk, action.action_id).state == "drafted"


def test_person_who_did_not_read_it_signs_nothing(desk: Desk, maker: Browser, second: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    second.get(f"/actions/{action.action_id}")
    with desk.store.read() as connection:
        (release,) = list_open(connection, PACKAGE)
    refused = second.step_up(f"/releases/{release.id}/begin", f"/actions/{action.action_id}/release")
    assert refused.status_code == 409
    assert "Read it first" in refused.text
    assert find(desk, action.action_id).state == "drafted"


@pytest.mark.parametrize("change", ["read", "assessed"])
def test_case_that_changed_since_is_refused_with_the_remedy(
    desk: Desk, maker: Browser, second: Browser, case_id: str, change: str
) -> None:
    action = draft(desk, maker, case_id)
    if change == "read":
        reference = get_case_reference(desk, case_id)
        open_case(desk, add_sealed_case(desk, marker="", adds_to=reference, reply_owed=False), actor=MAKER)
    else:
        assess(desk, case_id, actor=MAKER, urgent_dissemination="yes", immediate_risk="yes", urgent="yes")
    refused = sign(second, action)
    assert refused.status_code == 409
    text = html.unescape(refused.text)
    assert "Withdraw the draft, and make a new one from it: its texts are kept." in text
    assert find(desk, action.action_id).state == "drafted"
    with desk.store.read() as connection:
        assert len(list_open(connection, PACKAGE)) == 1, "nothing was signed"
    again = html.unescape(maker.post(f"/cases/{case_id}/package/start", from_action=action.action_id).text)
    if change == "assessed":
        assert "Summary-Marker" in again
        assert '<option value="kent" selected>' in again


def get_case_reference(desk: Desk, case_id: str) -> str:
    with desk.store.read() as connection:
        return get_case(connection, case_id).reference


def test_body_that_retired_since_is_refused(desk: Desk, maker: Browser, second: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    retire(desk, "kent")
    refused = sign(second, action)
    assert refused.status_code == 409
    assert "Kent Police takes nothing more. Choose another body." in refused.text
    assert find(desk, action.action_id).state == "drafted"


def test_draft_is_withdrawn_and_a_sent_package_recalled_with_a_reason(
    desk: Desk, maker: Browser, second: Browser, case_id: str
) -> None:
    action = draft(desk, maker, case_id)
    path = f"/actions/{action.action_id}/withdraw"
    refused = maker.post(path, withdraw_reason="")
    assert (refused.status_code, 'id="withdraw_reason-fault"' in refused.text) == (409, True)
    assert maker.post(path, withdraw_reason="Wrong force.").status_code == 303
    assert find(desk, action.action_id).state == "withdrawn"
    assert maker.post(path, withdraw_reason="Again.").status_code == 409
    other = draft(desk, maker, case_id)
    sign(second, other)
    maker.post(f"/actions/{other.action_id}/sent")
    assert maker.post(f"/actions/{other.action_id}/withdraw", withdraw_reason="Wrong child.").status_code == 303
    page = html.unescape(maker.get(f"/actions/{other.action_id}").text)
    assert "The recall went out in its thread" in page
    assert '<h2 id="state-title">Recalled</h2>' in page
    assert "Call them now: they may have read it. Then make a new package." in page
    assert "Wrong child" not in page


def test_duty_officer_sends_nothing_alone_outside_the_crisis_lane(desk: Desk, maker: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    with desk.store.write() as connection:
        connection.execute(update(CASES).values(crisis=False, crisis_since=None))
    refused = Browser(desk).sign_in(DUTY, [Role.DUTY_OFFICER]).post(f"/actions/{action.action_id}/alone")
    assert refused.status_code == 403
    assert "Nobody may do this in this case" in refused.text
    assert find(desk, action.action_id).state == "drafted"


def test_duty_officer_sends_a_crisis_package_alone_and_a_second_person_reviews_it(
    desk: Desk, second: Browser, clock: Clock
) -> None:
    case_id = add_urgent(desk, actor=DUTY, roles=[Role.DUTY_OFFICER])
    duty = Browser(desk).sign_in(DUTY)
    duty.get(f"/cases/{case_id}")
    action = draft(desk, duty, case_id, officer=DUTY)
    page = html.unescape(duty.post(f"/actions/{action.action_id}/read").text)
    assert "Send it now, alone" in page
    assert duty.post(f"/actions/{action.action_id}/alone").status_code == 303
    assert (find(desk, action.action_id).state, find(desk, action.action_id).released_by) == ("released", DUTY)
    assert read_signing(desk, action.action_id) == ("send", True)
    assert "Save the sealed file" in duty.get(f"/actions/{action.action_id}").text, "at once, before any review"
    assert duty.post(f"/actions/{action.action_id}/sent").status_code == 303
    assert read_signing(desk, action.action_id) == ("review", True)
    assert UNREVIEWED in list_alarms(desk), "the desk is open"
    clock.now += timedelta(hours=12)
    assert UNREVIEWED not in list_alarms(desk), "and closed at night"
    clock.now -= timedelta(hours=12)
    review = "/actions?stage=review"
    assert action.action_id in second.get(review).text
    assert "Released by one person alone: read it and sign it" in html.unescape(
        second.get(f"/actions/{action.action_id}").text
    )
    assert sign(second, action).status_code == 303
    assert read_signing(desk, action.action_id) == ("", False)
    assert action.action_id not in second.get(review).text
    assert UNREVIEWED not in list_alarms(desk)
    assert "a second person has not reviewed it" not in second.get(f"/actions/{action.action_id}").text


def test_news_since_a_package_went_offers_a_supplementary_one(
    desk: Desk, maker: Browser, second: Browser, case_id: str
) -> None:
    action = draft(desk, maker, case_id)
    sign(second, action)
    maker.post(f"/actions/{action.action_id}/sent")
    assert "New since it went" not in maker.get(f"/actions/{action.action_id}").text
    reference = get_case_reference(desk, case_id)
    later = add_sealed_case(desk, marker="Later-Marker", adds_to=reference, reply_owed=False)
    open_case(desk, later, actor=MAKER)
    page = html.unescape(maker.get(f"/actions/{action.action_id}").text)
    assert "1 report was read since this was drafted" in page
    assess(desk, case_id, actor=MAKER, urgent_dissemination="yes", immediate_risk="yes", urgent="yes")
    form = html.unescape(maker.post(f"/cases/{case_id}/package/start", from_action=action.action_id).text)
    assert "It adds to the package" in form
    assert 'value="More on: A stranger in a game"' in form
    assert f'name="adds_to" value="{action.action_id}"' in form
    made = draft(desk, maker, case_id, reports=[case_id, later], adds_to=action.action_id)
    with desk.store.read() as connection:
        assert get_action(connection, made.action_id).covers == 2
    assert post(maker, case_id, "preview").status_code == 200
    assert find_begin(second.post(f"/actions/{made.action_id}/read").text)


def test_package_that_failed_before_it_went_is_released_again(
    desk: Desk, maker: Browser, second: Browser, case_id: str
) -> None:
    action = draft(desk, maker, case_id)
    sign(second, action)
    with desk.store.write() as connection:
        released = get_action(connection, action.action_id)
        change_state(desk, connection, released, "failed", actor="desk", act="fail-action", code="recipient-gone")
    page = html.unescape(second.get(f"/actions/{action.action_id}").text)
    assert "Not sent: release it" in page
    assert "This recipient is no longer registered, or has no mailbox." in page
    assert second.post(f"/actions/{action.action_id}/release").status_code == 303
    assert find(desk, action.action_id).state == "released"


PASSPHRASE = re.compile(r'name="passphrase" value="([^"]+)"')


def test_sealed_file_holds_the_archive_that_was_signed(desk: Desk, maker: Browser, case_id: str) -> None:
    action = draft(desk, maker, case_id)
    path = f"/actions/{action.action_id}"
    early = maker.post(f"{path}/file", passphrase="K7QF2-M9TXD-4BWRZ-0ACH8")
    assert (early.status_code, "Only a released sealed file" in early.text) == (409, True)
    assert sign(Browser(desk).sign_in(SECOND, [Role.ANALYST]), action).status_code == 303
    found = PASSPHRASE.search(maker.get(path).text)
    assert found is not None
    assert "Take the passphrase of this page" in maker.post(f"{path}/file", passphrase="short").text
    answer = maker.post(f"{path}/file", passphrase=found[1])
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].endswith('.sealed"')
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert MARKER.encode() not in answer.data
    archive = b"".join(unseal(io.BytesIO(answer.data), passphrase=found[1]))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.read("manifest.json") == unpack(action.way, open_body(desk, action, actor=MAKER)).manifest
        assert MARKER in html.unescape(opened.read("page.html").decode())


def test_letter_is_the_pdf(desk: Desk, maker: Browser, case_id: str) -> None:
    own = '[kent]\nchannel = "letter"\nchecked_on = 2026-11-28\nsource = "a letter"\n'
    desk.paths.destinations.write_text(own, "utf-8")
    load_register.cache_clear()
    action = draft(desk, maker, case_id)
    assert action.way == "letter"
    sign(Browser(desk).sign_in(SECOND, [Role.ANALYST]), action)
    path = f"/actions/{action.action_id}"
    assert "Save the letter, to print" in maker.get(path).text
    answer = maker.post(f"{path}/file")
    assert answer.data.startswith(b"%PDF-")
    assert maker.post(f"{path}/sent").status_code == 303
    assert find(desk, action.action_id).state == "sent"
