"""A package of a partner's case: its people, accounts and files; evidence enclosed; into the mailbox of a force."""

import html
import io
import zipfile

from gateway.desk.cases.actions.ledger import open_body
from gateway.desk.cases.opening import open_case
from gateway.desk.office.people.permissions import Role
from gateway.desk.outgoing.package_archive import unpack
from partner_sdk.reader.package_reader import unseal
from partner_sdk.report.model import Suspect
from partner_sdk.wire.canonical import parse_base64url
from partner_sdk.wire.mailbox import Package, parse_body
from tests.builders.evidence import hand_over
from tests.desk.desk_loop import ACTOR, Loop
from tests.desk.evidence_builders import collect_all, make_film, newest_case, open_door, post, seal_with, send_film
from tests.desk.industry_builders import make_full_report, read, read_mailbox
from tests.desk.outbox_builders import send_out
from tests.desk.outgoing.packages.package_forms import SECOND, draft, find, give_mailbox, sign
from tests.desk.outgoing.packages.package_forms import post as post_form
from tests.desk.view_builders import Browser
from tests.desk.work_builders import assess

MAKER = "o-maker"


def sign_in(loop: Loop, person: str) -> Browser:
    return Browser(loop.desk).sign_in(person, [Role.ANALYST])


def assess_newest(loop: Loop) -> str:
    case_id = newest_case(loop).case_id
    open_case(loop.desk, case_id, actor=MAKER)
    assess(loop.desk, case_id, actor=MAKER, urgent_dissemination="yes")
    return case_id


def test_full_report_of_a_partner_fits_its_page_and_no_secret_of_a_file_leaves(loop: Loop) -> None:
    maker = sign_in(loop, MAKER)
    case = read(loop, make_full_report())
    assess(loop.desk, case.case_id, actor=MAKER, urgent_dissemination="yes")
    start = html.unescape(maker.post(f"/cases/{case.case_id}/package/start").text)
    assert "What goes" in start
    page = html.unescape(post_form(maker, case.case_id, "preview", officer=MAKER).text)
    assert "This is the page that the officer reads" in page
    assert "People and accounts" in page
    hidden = html.unescape(post_form(maker, case.case_id, "preview", officer=MAKER, reporter="left_out").text)
    submitter = make_full_report().reporter.submitter_email
    assert submitter in page
    assert submitter not in hidden.partition('class="sheet package-page"')[2].partition("</section>")[0]


def test_person_known_by_an_account_id_alone_has_it_on_the_page(loop: Loop) -> None:
    maker = sign_in(loop, MAKER)
    case = read(loop, make_full_report(suspects=(Suspect(service_user_id="example-user-1001"),)))
    assess(loop.desk, case.case_id, actor=MAKER, urgent_dissemination="yes")
    page = html.unescape(post_form(maker, case.case_id, "preview", officer=MAKER).text)
    suspect = page.partition("<h3>Suspect 1</h3>")[2].partition("<h2>")[0]
    assert '<dt>Account id at Example Chat</dt><dd dir="auto">example-user-1001</dd>' in suspect


def test_enclosed_file_is_in_the_archive_and_one_that_is_not_here_is_refused(loop: Loop) -> None:
    maker = sign_in(loop, MAKER)
    film = send_film(loop)
    collect_all(loop)
    case_id = assess_newest(loop)
    enclosed = {"evidence": [film.evidence_id], "evidence_as": "enclosed", "officer": MAKER}
    action = draft(loop.desk, maker, case_id, **enclosed)
    assert action.way == "sealed-file"
    stored = open_body(loop.desk, action, actor=MAKER)
    assert film.reference.secret.encode() not in stored
    assert b"a made-up film" not in stored
    assert sign(sign_in(loop, SECOND), action).status_code == 303
    passphrase = "K7QF2-M9TXD-4BWRZ-0ACH8"
    answer = maker.post(f"/actions/{action.action_id}/file", passphrase=passphrase)
    archive = b"".join(unseal(io.BytesIO(answer.data), passphrase=passphrase))
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.read("evidence/e1.mp4") == b"a made-up film"
        assert opened.read("manifest.json") == unpack(action.way, stored).manifest
    loop.clock.advance(seconds=1)
    late = make_film(file_id="file-2")
    post(open_door(loop), seal_with(loop, [late.reference]))
    collect_all(loop)
    other = assess_newest(loop)
    refused = post_form(maker, other, "draft", evidence=[late.evidence_id], evidence_as="enclosed", officer=MAKER)
    assert "A file that has not reached the desk cannot be enclosed" in refused.text


def test_file_that_arrives_after_the_package_offers_a_supplementary_one(loop: Loop) -> None:
    maker, film = sign_in(loop, MAKER), make_film()
    post(open_door(loop), seal_with(loop, [film.reference]))
    collect_all(loop)
    case_id = assess_newest(loop)
    action = draft(loop.desk, maker, case_id, evidence=[film.evidence_id], officer=MAKER)
    sign(sign_in(loop, SECOND), action)
    maker.post(f"/actions/{action.action_id}/sent")
    assert "New since it went" not in maker.get(f"/actions/{action.action_id}").text
    loop.clock.advance(minutes=1)
    hand_over(open_door(loop), film.sealed)
    collect_all(loop)
    assert "1 file arrived since this was drafted" in maker.get(f"/actions/{action.action_id}").text


def test_package_goes_into_the_mailbox_of_the_force_as_it_was_signed(loop: Loop) -> None:
    maker = sign_in(loop, MAKER)
    case = read(loop, make_full_report())
    assess(loop.desk, case.case_id, actor=MAKER, urgent_dissemination="yes", immediate_risk="yes")
    give_mailbox(loop.desk, partner=loop.partner.partner)
    action = draft(loop.desk, maker, case.case_id, officer=MAKER)
    assert action.way == "mailbox"
    send_out(loop.desk, "message")
    assert read_mailbox(loop) == [], "nothing goes before the second signature"
    assert sign(sign_in(loop, SECOND), action).status_code == 303
    send_out(loop.desk, "message")
    (message,) = read_mailbox(loop)
    body = parse_body(parse_base64url(message.body), body=Package)
    assert (message.message_id, body.urgent) == (action.action_id, True)
    with zipfile.ZipFile(io.BytesIO(body.read_archive())) as archive:
        manifest = archive.read("manifest.json")
    assert unpack("mailbox", open_body(loop.desk, action, actor=ACTOR)).manifest == manifest
    assert find(loop.desk, action.action_id).state == "sent"
