"""`report-abuse-partner button adopt`: a sealed request without a key, with its trust stated plainly."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from requests.adapters import BaseAdapter

from gateway.exchange.feed import ADOPTION_REQUEST, MAX_ADOPTION_BODY_BYTES
from gateway.testing.transport import WsgiTransport
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED
from partner_sdk.button.adoption import ask_for_the_button, parse_asking_file
from partner_sdk.errors import FormatError, KeySetError, ReportError
from partner_sdk.wire.button import (
    EXAMPLE,
    MAX_ADOPTION_BYTES,
    MAX_ADOPTION_ENVELOPE_BYTES,
    MAX_MESSAGE_CHARACTERS,
    AdoptionRequest,
    AskingService,
    format_request_number,
    parse_adoption,
    seal_adoption,
)
from partner_sdk.wire.canonical import encode, parse_exact, to_base64url
from partner_sdk.wire.signing import MAX_LIST_BYTES, KeySetBundle
from tests.builders import PUBLIC_ORIGIN, Agency, House, Partner, StillClock, make_house
from tests.gateway.adoption_builders import MAX_WAITING, fill_up, make_id, open_waiting
from tests.sdk.sdk_builders import ScriptedGateway, run_partner, session_for

AGENCIES = (Agency(), Agency(name="another-agency"))
FILLED_IN = msgspec.structs.replace(EXAMPLE, organisation="Hill Chat Ltd")
FILE: dict[str, Any] = msgspec.to_builtins(FILLED_IN)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = make_house(tmp_path / "gateway")
    house.publish(Partner().entry())
    return house


@pytest.fixture
def adapter(house: House) -> BaseAdapter:
    return WsgiTransport(house.open_app("industry"))


def run(folder: Path, adapter: BaseAdapter, *words: str) -> int:
    return run_partner("button", "adopt", *words, folder=folder / "no-folder", adapter=adapter)


def write(folder: Path, **changed: object) -> str:
    path = folder / "request.json"
    path.write_text(json.dumps({**FILE, **changed}, indent=2), encoding="utf-8")
    return str(path)


def get_fingerprint(house: House) -> str:
    return house.agency.pin().root_fingerprint


def test_example_is_a_file_that_can_be_sent_once_it_is_filled_in(
    tmp_path: Path, house: House, adapter: BaseAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, adapter, "--example") == EXIT_DONE
    path = tmp_path / "request.json"
    out, err = capsys.readouterr()
    assert "contact_role, contact_telephone, message" in err
    path.write_text(out, encoding="utf-8")

    assert run(tmp_path, adapter, str(path), "--gateway", PUBLIC_ORIGIN) == EXIT_FAILED
    assert "(unchanged-example)" in capsys.readouterr().err
    assert house.items(ADOPTION_REQUEST) == []

    path.write_text(out.replace(EXAMPLE.organisation, FILLED_IN.organisation), encoding="utf-8")
    assert run(tmp_path, adapter, str(path), "--gateway", PUBLIC_ORIGIN) == EXIT_DONE
    assert [one.service for one in open_waiting(house)] == [FILLED_IN]


@pytest.mark.parametrize(
    ("fingerprint", "said"), [("9f86d081", "one has 8."), ("0" * 65, "one has 65."), ("9f86d081…", "a-f only")]
)
def test_fingerprint_that_is_no_whole_one_is_named_as_that_and_the_gateway_is_never_asked(
    fingerprint: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = ScriptedGateway()
    words = ("--origin", PUBLIC_ORIGIN, "--root-fingerprint", fingerprint)

    assert run(tmp_path, nobody, write(tmp_path), *words) == EXIT_FAILED

    err = capsys.readouterr().err
    assert "64 hexadecimal digits" in err
    assert said in err
    assert "Phone the agency" not in err
    nobody.check_used(0)


def test_without_tls_and_a_fingerprint_no_certificate_is_spoken_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = "http://127.0.0.1:9400"
    gateway = ScriptedGateway((200, {"Content-Type": "application/json"}, AGENCIES[0].bundle()), (202, {}, b"{}"))
    words = ("button", "adopt", write(tmp_path), "--origin", here)
    assert run_partner(*words, folder=tmp_path / "no-folder", adapter=gateway, origin=here) == EXIT_DONE
    gateway.check_used(2)
    out, err = capsys.readouterr()
    assert "has no certificate" in err
    assert json.loads(out)["trusted_by"] == "nothing"


def test_request_checked_under_the_root_says_nothing_of_trust(
    tmp_path: Path, house: House, adapter: BaseAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--origin", PUBLIC_ORIGIN, "--root-fingerprint", get_fingerprint(house).upper())

    assert run(tmp_path, adapter, write(tmp_path), *words) == EXIT_DONE

    out, err = capsys.readouterr()
    (request,) = open_waiting(house)
    assert format_request_number(request.request_id) in out
    assert json.loads(out)["environment"] == "live"
    assert err == ""


def test_without_a_fingerprint_it_says_that_tls_alone_is_trusted_and_names_the_root(
    tmp_path: Path, house: House, adapter: BaseAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, adapter, write(tmp_path), "--origin", PUBLIC_ORIGIN) == EXIT_DONE

    out, err = capsys.readouterr()
    assert "Trusted by TLS alone" in err
    assert get_fingerprint(house) in err
    said = json.loads(out)
    assert (said["status"], said["trusted_by"], said["environment"]) == ("waiting", "tls", "live")
    assert said["root_fingerprint"] == get_fingerprint(house)


def test_other_root_than_the_given_one_is_refused_and_nothing_is_sent(
    tmp_path: Path, house: House, adapter: BaseAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--origin", PUBLIC_ORIGIN, "--root-fingerprint", "0" * 64)

    assert run(tmp_path, adapter, write(tmp_path), *words) == EXIT_FAILED

    assert "root" in capsys.readouterr().err
    assert house.items(ADOPTION_REQUEST) == []


def test_key_set_that_the_root_beside_it_did_not_sign_is_refused_without_a_fingerprint_too() -> None:
    ours, other = (parse_exact(one.bundle(), kind=KeySetBundle, max_bytes=MAX_LIST_BYTES) for one in AGENCIES)
    mixed = encode(msgspec.structs.replace(ours, key_set=other.key_set))
    gateway = ScriptedGateway((200, {"Content-Type": "application/json"}, mixed))

    with pytest.raises(KeySetError) as caught:
        ask_for_the_button(EXAMPLE, origin=PUBLIC_ORIGIN, session=session_for(gateway), clock=StillClock())

    assert caught.value.reason == "bad-signature"
    gateway.check_used(1)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"contact_email": "nobody"}, "#/contact_email"),
        ({"contact_telephone": "ask me"}, "#/contact_telephone"),
        ({"surfaces": []}, "#/surfaces"),
        ({"surfaces": ["chat", "chat"]}, "#/surfaces"),
        ({"surfaces": ["consent"]}, "#/surfaces"),
        ({"website": "chat.example"}, "#/website"),
        ({"website": "http://chat.example"}, "#/website"),
        ({"wants_to_report": "yes"}, "#/wants_to_report"),
        ({"message": "x" * 2001}, "#/message"),
        ({"message": "a bell \x07"}, "#/message"),
        ({"service_name": "x" * 81}, "#/service_name"),
        ({"organisation": "two\nlines"}, "#/organisation"),
        ({"child_use": "all"}, "#/child_use"),
        ({"language": "fr"}, "#/language"),
        ({"unknown": 1}, "#"),
    ],
)
def test_fault_of_a_field_is_told_with_its_pointer(
    tmp_path: Path,
    adapter: BaseAdapter,
    house: House,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, object],
    pointer: str,
) -> None:
    assert run(tmp_path, adapter, write(tmp_path, **changed), "--origin", PUBLIC_ORIGIN) == EXIT_FAILED

    assert f"  {pointer}: " in capsys.readouterr().err
    assert house.items(ADOPTION_REQUEST) == []


def test_all_faults_are_told_at_once_and_no_value_is_repeated() -> None:
    with pytest.raises(ReportError) as caught:
        parse_asking_file(b'{"contact_email": "hidden-value", "surprise": 1}')

    pointers = {fault.pointer for fault in caught.value.faults}
    assert {"#", "#/contact_email", "#/organisation", "#/website", "#/surfaces"} <= pointers
    assert "#/message" not in pointers  # it may be left out
    assert "hidden-value" not in str(caught.value.faults)
    assert "surprise" not in str(caught.value.faults)
    (too_many,) = [fault.detail for fault in caught.value.faults if fault.pointer == "#"]
    assert "contact_role" in too_many
    assert "Unknown field: number 2, counted from the top." in too_many


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"\xff", b" " * (4 * MAX_ADOPTION_BYTES + 1)])
def test_file_that_is_no_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ReportError):
        parse_asking_file(raw)


@pytest.mark.parametrize("words", [(), ("request.json", "--example")])
def test_neither_or_both_of_file_and_example_is_wrong_use(
    tmp_path: Path, adapter: BaseAdapter, words: tuple[str, ...]
) -> None:
    assert run(tmp_path, adapter, *words) == 2


def test_without_a_folder_and_an_address_it_asks_for_the_address(
    tmp_path: Path, adapter: BaseAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, adapter, write(tmp_path)) == EXIT_FAILED
    assert "--origin" in capsys.readouterr().err


def test_full_gateway_is_told_with_another_way(
    tmp_path: Path, house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = house.open_gateway()
    fill_up(gateway, MAX_WAITING)
    adapter = WsgiTransport(house.open_app("industry", gateway=gateway))

    assert run(tmp_path, adapter, write(tmp_path), "--origin", PUBLIC_ORIGIN) == EXIT_FAILED

    assert "/for-services" in capsys.readouterr().err


def test_longest_request_in_the_widest_script_fits_its_box() -> None:
    wide = "\N{GRINNING FACE}"
    service = AskingService(
        child_use="mostly_children",
        contact_email=wide * 64 + "@" + wide * 180 + "." + wide * 63,
        contact_name=wide * 100,
        contact_role=wide * 100,
        contact_telephone="+" + "4" * 40,
        language="cy",
        message=wide * MAX_MESSAGE_CHARACTERS,
        organisation=wide * 100,
        service_name=wide * 80,
        surfaces=("chat", "direct_message", "profile", "game_lobby", "stream", "comments", "help", "other"),
        wants_to_report=True,
        website="https://" + wide * 500,
    )
    msgspec.convert(msgspec.to_builtins(service), AskingService)
    request = AdoptionRequest(environment="sandbox", request_id=make_id(1), service=service)

    sealed = seal_adoption(request, sealing_key=Agency().sealing_key).to_bytes()

    assert len(sealed) == MAX_ADOPTION_ENVELOPE_BYTES
    assert len(to_base64url(sealed)) < MAX_ADOPTION_BODY_BYTES - 100


def test_request_with_a_surface_named_twice_is_not_sealed() -> None:
    service = msgspec.structs.replace(EXAMPLE, surfaces=("chat", "chat"))
    request = AdoptionRequest(environment="live", request_id=make_id(1), service=service)

    with pytest.raises(FormatError):
        seal_adoption(request, sealing_key=Agency().sealing_key)


@pytest.mark.parametrize("change", [{"request_id": "x"}, {"environment": "test"}])
def test_opened_request_is_read_strictly(change: dict[str, Any]) -> None:
    request = AdoptionRequest(environment="live", request_id=make_id(1), service=EXAMPLE)
    assert parse_adoption(encode(request)) == request

    with pytest.raises(FormatError):
        parse_adoption(encode(msgspec.structs.replace(request, **change)))


def test_nothing_of_the_people_stands_in_a_repr() -> None:
    assert "Safety" not in repr(AdoptionRequest(environment="live", request_id=make_id(1), service=EXAMPLE))
