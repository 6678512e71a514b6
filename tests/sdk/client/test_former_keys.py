"""A gateway's false claim that new keys count destroys nothing: the old ones are kept, and come back."""

import json
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from gateway.testing.transport import WsgiTransport
from partner_sdk.client._keys import FORMER_KEYS_KEPT_FOR, list_changes, list_former_keys, list_mailbox_keys
from partner_sdk.client.account import describe_rotation, rotate_keys
from partner_sdk.client.exchange import RetryPolicy
from partner_sdk.client.partner import Partner
from partner_sdk.errors import NotAuthorisedError
from partner_sdk.key_files import KeyRole
from partner_sdk.report import parse_report
from tests.builders import EXAMPLE_REPORT, NOW, PUBLIC_ORIGIN, make_house
from tests.sdk.client.rotation_builders import AGENCY, Crash, World, power_cut
from tests.sdk.sdk_builders import session_for

REPORT = parse_report(EXAMPLE_REPORT.read_bytes(), priority="P2")


class LyingTransport(WsgiTransport):
    """Answers each question for the status as if the key that signed it were the partner's."""

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:  # type: ignore[override]  # whatever the session gives is handed on
        """Run one request, and lie about the status."""
        response = super().send(request, **settings)
        if str(request.url).endswith("/v1/status"):
            key_id = request.headers["Signature-Input"].split('keyid="')[1].split('"')[0]
            caller = {"environment": "live", "key_id": key_id, "partner": "example-chat"}
            told = {"caller": caller, "environment": "live", "ready": True}
            response.status_code = 200
            response.headers["Content-Type"] = "application/json"
            response.raw = BytesIO(json.dumps(told, separators=(",", ":"), sort_keys=True).encode())
        return response


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(make_house(Path(tmp_path_factory.mktemp("house")), agency=AGENCY))


@pytest.fixture
def enrolled(world: World, tmp_path: Path) -> World:
    world.enrol(tmp_path / "partner")
    return world


def be_lied_to(world: World) -> None:
    """Go over to keys about which the agency has decided nothing."""
    world.rotate()
    honest, world.adapter = world.adapter, LyingTransport(world.house.open_app("industry"))
    assert world.rotate() is True
    world.adapter = honest


def key_ids_of(world: World) -> dict[str, str]:
    """Return the ids of the keys in use."""
    return describe_rotation(world.open().state).key_ids


def test_old_keys_come_back_when_the_gateway_lied_about_the_new_ones(enrolled: World) -> None:
    enrolled.rotate()
    before = describe_rotation(enrolled.open().state)
    be_lied_to(enrolled)
    assert key_ids_of(enrolled) == before.new_key_ids
    told: list[str] = []
    partner = Partner.open(
        enrolled.folder,
        session=session_for(enrolled.adapter, PUBLIC_ORIGIN),
        clock=enrolled.house.clock,
        policy=RetryPolicy(tries=1),
        notify=told.append,
    )
    spooled = partner.seal_report(REPORT, priority="P3")  # signed with the key that counts nowhere
    assert partner.deliver(spooled).report_id == spooled
    assert describe_rotation(partner.state) == before
    assert len(told) == 1
    assert before.key_ids["submission"] in told[0]
    assert before.new_key_ids["submission"] in told[0]
    assert enrolled.decide()
    assert enrolled.rotate() is True
    assert key_ids_of(enrolled) == before.new_key_ids


def test_former_keys_are_closed_to_others_and_listed(enrolled: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = key_ids_of(enrolled)
    be_lied_to(enrolled)
    files = [path for path in (enrolled.folder / "keys" / "former").iterdir() if path.is_file()]
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert enrolled.run("keys", "list") == 0
    assert before["submission"] in json.loads(capsys.readouterr().out)["former_keys"]


@pytest.mark.parametrize("is_half_done", [False, True])
def test_step_back_that_is_stopped_at_any_change_of_the_folder_goes_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_half_done: bool
) -> None:
    for step in count():
        world.enrol(tmp_path / f"partner-{step}")
        first = {key.key_id for key in list_mailbox_keys(world.open().state)}
        old = key_ids_of(world)
        be_lied_to(world)
        new = key_ids_of(world)
        world.tell()
        is_stopped = False
        with power_cut(monkeypatch, world.folder / "keys", after=step, is_half_done=is_half_done):
            try:
                world.open().status()
            except Crash:
                is_stopped = True
        partner = world.open()  # another process
        assert partner.submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id
        assert key_ids_of(world) == old
        assert describe_rotation(partner.state).new_key_ids == new
        assert partner.collect_mailbox().alarms == ()
        assert {key.key_id for key in list_mailbox_keys(partner.state)} >= first | {new["mailbox"]}
        assert world.rotate() is False
        assert world.decide()
        assert world.rotate() is True
        assert key_ids_of(world) == new
        if not is_stopped:
            break
    assert step >= (10 if is_half_done else 18)


def test_two_lies_in_a_row_lead_back_to_the_first_keys(enrolled: World) -> None:
    old = key_ids_of(enrolled)
    be_lied_to(enrolled)
    first = key_ids_of(enrolled)
    enrolled.adapter = LyingTransport(enrolled.house.open_app("industry"))
    with pytest.raises(NotAuthorisedError):  # the true gateway behind the liar refuses the question
        enrolled.rotate()
    assert key_ids_of(enrolled) not in (old, first)
    enrolled.adapter = WsgiTransport(enrolled.house.open_app("industry"))
    assert enrolled.open().submit(EXAMPLE_REPORT.read_bytes(), priority="P2").report_id
    assert key_ids_of(enrolled) == old
    assert describe_rotation(enrolled.open().state).new_key_ids == first


@pytest.mark.parametrize(
    ("days_before", "is_told", "is_kept"), [(14, True, False), (14, False, True), (13, True, True)]
)
def test_former_keys_go_after_14_days_once_the_agency_wrote_to_the_new_mailbox(
    enrolled: World, days_before: int, *, is_told: bool, is_kept: bool
) -> None:
    old = key_ids_of(enrolled)
    enrolled.rotate()
    enrolled.tell()  # sealed to the mailbox key of before: no proof
    assert enrolled.decide()
    switched_at = NOW - FORMER_KEYS_KEPT_FOR * days_before / 14
    assert rotate_keys(enrolled.open(), now=switched_at).is_done
    if is_told:
        enrolled.tell()
    partner = enrolled.open()
    assert partner.collect_mailbox().alarms == ()
    kept = [key.key_id for key in list_former_keys(partner.state, KeyRole.SUBMISSION)]
    assert kept == ([old["submission"]] if is_kept else [])
    assert bool(list_former_keys(partner.state, KeyRole.CONTEXT)) is is_kept
    assert bool(list_changes(partner.state)) is is_kept
    assert old["mailbox"] in {key.key_id for key in list_mailbox_keys(partner.state)}


def test_suspended_partner_goes_back_to_nothing(enrolled: World) -> None:
    go_over_ids = key_ids_of(enrolled)
    enrolled.rotate()
    assert enrolled.decide()
    assert enrolled.rotate() is True
    new = key_ids_of(enrolled)
    assert new != go_over_ids
    enrolled.house.publish(serial=next(enrolled.serials))
    with pytest.raises(NotAuthorisedError):
        enrolled.open().status()
    assert key_ids_of(enrolled) == new
