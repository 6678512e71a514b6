"""`report-abuse-gateway` as an operator meets it: real commands, real folders, real processes."""

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import requests

from gateway.cli import main
from gateway.commands.serve import choose_listeners, make_listener
from gateway.commands.terminal import DONE, FAULT, WRONG_USE, program
from gateway.config import ROLES, ListenerConfig, load_config, write_config
from gateway.doctor import _examine_proxies, examine
from gateway.exchange.feed import GatewayCard, GatewayKey
from gateway.web.serving import ServingError
from partner_sdk.key_files import KeyRole, read_key_file, write_key_file
from partner_sdk.lazy_group import ExampleCommand
from partner_sdk.wire.canonical import encode, parse_exact
from tests.builders import Agency, House, make_house, make_key
from tests.builders.local_servers import find_free_port
from tests.command_lines import list_commands, parse
from tests.gateway.web.process_watch import find_living, is_gone, is_listening, wait_until

COMMANDS = ("init", "serve", "doctor", "stale-data", "demo")
ORIGIN = "https://report.example"


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    path = tmp_path / "agency.pin"
    path.write_bytes(encode(Agency().pin()) + b"\n")
    return path


def init(state: Path, pin: Path, *more: str) -> int:
    return main(["init", "--state", str(state), "--pin", str(pin), "--origin", ORIGIN, *more])


def make_served_house(tmp_path: Path) -> House:
    """Return a gateway with an industry listener and a feed listener on free ports."""
    house = make_house(tmp_path / "gateway")
    listeners = (
        ListenerConfig(host="127.0.0.1", port=find_free_port(), roles=("industry",), workers=2, threads=2),
        ListenerConfig(host="127.0.0.1", port=find_free_port(), roles=("feed",), workers=1, threads=2),
    )
    house.config = msgspec.structs.replace(house.config, listeners=listeners)
    (house.state / "gateway.toml").unlink()
    write_config(house.state / "gateway.toml", house.config)
    return house


@contextmanager
def served(house: House, *more: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """Run `serve --json`; yield the process and its output at the moment it was ready."""
    command = [sys.executable, "-m", "gateway.cli", "serve", "--state", str(house.state), "--json", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == DONE
    text = capsys.readouterr().out
    assert f"Example:\n  report-abuse-gateway {command} --" in text
    assert "--json" in text
    assert "Exit codes: 0 done" in text


def test_example_of_each_command_is_parsed() -> None:
    commands = list(list_commands(program))
    assert len(commands) >= 9
    for words, command in commands:
        assert isinstance(command, ExampleCommand)
        assert parse(program, [*words, *shlex.split(command.example)]).command is command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "No such command 'fly'. See `report-abuse-gateway --help`.\n"),
        (["serve"], "Missing option '--state'. See `report-abuse-gateway serve --help`.\n"),
        (["init", "--state", "x"], "Missing option '--pin'. See `report-abuse-gateway init --help`.\n"),
        (["demo", "--port", "0"], "0 is not in the range 1<=x<=65534. See `report-abuse-gateway demo --help`.\n"),
        (["demo", "--port", "65535"], "is not in the range 1<=x<=65534. See `report-abuse-gateway demo --help`.\n"),
        (
            ["doctor", "--state", "x", "a\x1b[2J"],
            "Got unexpected extra argument (a?[2J). See `report-abuse-gateway doctor --help`.\n",
        ),
    ],
)
def test_wrong_use_names_the_command_and_its_help(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == WRONG_USE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("report-abuse-gateway: ")
    assert err.endswith(said)


def test_no_words_print_the_help_as_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == WRONG_USE
    out, err = capsys.readouterr()
    assert (out, err.startswith("Usage: report-abuse-gateway ")) == ("", True)


def test_init_makes_a_gateway_that_only_its_owner_can_read(
    tmp_path: Path, pin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert init(state, pin, "--port", "9000", "--instance", "one", "--banner", "A demonstration.", "--json") == DONE
    told = json.loads(capsys.readouterr().out)
    config = load_config(state)
    assert (config.instance, config.banner, config.public_origin) == ("one", "A demonstration.", ORIGIN)
    assert [(listener.port, listener.roles) for listener in config.listeners] == [
        (9000, ("public", "industry")),
        (9001, ("feed",)),
    ]
    assert told["feed_origin"] == config.feed_origin == "http://127.0.0.1:9001"
    assert (state / "evidence").is_dir()
    for path in [state, *state.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_init_gives_each_role_a_listener_of_its_own_if_asked(tmp_path: Path, pin: Path) -> None:
    assert init(tmp_path / "state", pin, "--industry-port", "8082") == DONE
    config = load_config(tmp_path / "state")
    listeners = {listener.roles: listener.port for listener in config.listeners}
    assert listeners == {("public",): 8080, ("industry",): 8082, ("feed",): 8081}
    for role in ROLES:
        assert [one.roles for one in choose_listeners(config, roles=(role,))] == [(role,)]


def test_card_names_the_receipt_key_and_holds_no_secret(tmp_path: Path, pin: Path) -> None:
    state = tmp_path / "state"
    assert init(state, pin) == DONE
    raw = (state / "gateway.card").read_bytes()
    card = parse_exact(raw.rstrip(b"\n"), kind=GatewayCard, max_bytes=4096)
    receipt = read_key_file(state / "keys" / "receipt.key", role=KeyRole.RECEIPT)
    cookie = read_key_file(state / "keys" / "cookie.key", role=KeyRole.COOKIE)
    assert card.receipt_key == GatewayKey(key_id=receipt.key_id, public_key=receipt.public_key)
    assert (card.environment, card.instance, card.origin) == ("live", "gateway-1", ORIGIN)
    assert receipt.secret.encode() not in raw
    assert cookie.secret.encode() not in raw


def test_init_on_a_sandbox_has_the_practice_form(tmp_path: Path) -> None:
    pin = tmp_path / "agency.pin"
    pin.write_bytes(encode(Agency(environment="sandbox").pin()))
    assert init(tmp_path / "state", pin) == DONE
    assert [listener.roles for listener in load_config(tmp_path / "state").listeners] == [
        ("public", "industry"),
        ("feed",),
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--instance", "Not A Name"], "instance"),
        (["--host", "not a host"], "feed_origin"),
    ],
)
def test_init_that_fails_leaves_nothing(
    tmp_path: Path, pin: Path, more: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "state", pin, *more) == WRONG_USE
    assert words in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_init_that_fails_on_the_way_takes_back_what_it_wrote(
    tmp_path: Path, pin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("gateway.new_gateway.write_config", fail)
    state = tmp_path / "state"
    with pytest.raises(OSError, match="full"):
        init(state, pin)
    assert not state.exists()


def test_init_never_writes_over_anything(tmp_path: Path, pin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    assert init(state, pin) == DONE
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    assert init(state, pin) == WRONG_USE
    assert "not empty" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before


def test_init_without_a_pin_or_with_a_damaged_one_is_refused(tmp_path: Path, pin: Path) -> None:
    assert init(tmp_path / "state", tmp_path / "nothing") == WRONG_USE
    pin.write_bytes(b"{}")
    assert init(tmp_path / "state", pin) == WRONG_USE
    assert not (tmp_path / "state").exists()


def test_serve_answers_on_each_listener_and_stops_on_a_signal(tmp_path: Path) -> None:
    house = make_served_house(tmp_path)
    with served(house) as (process, told):
        rows = told["listeners"]
        assert isinstance(rows, list)
        assert [row["roles"] for row in rows] == [["industry"], ["feed"]]
        masters = find_living(parent=process.pid)
        assert len(masters) == 2
        for row in rows:
            answer = requests.get(f"{row['address']}/health", timeout=10)
            assert answer.status_code == (200 if row["roles"] == ["feed"] else 503)
        # The feed is not on the other listener.
        assert requests.get(f"{rows[0]['address']}/feed/status", timeout=10).status_code == 404
        assert requests.get(f"{rows[1]['address']}/v1/status", timeout=10).status_code == 404
        command = [sys.executable, "-m", "gateway.cli", "serve", "--state", str(house.state)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == FAULT, "the ports are taken"
        assert "choose another port" in second.stderr
        assert "Traceback" not in second.stderr
        assert all(is_listening(listener.port) for listener in house.config.listeners)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == DONE
        assert all(find_living(group=master) == set() for master in masters)
        assert not any(is_listening(listener.port) for listener in house.config.listeners)


def test_killed_serve_leaves_no_process_and_can_be_started_again_at_once(tmp_path: Path) -> None:
    house = make_served_house(tmp_path)
    with served(house) as (process, _told):
        masters = find_living(parent=process.pid)
        everyone = set().union(*(find_living(group=master) for master in masters))
        assert len(everyone) >= 5
        os.kill(process.pid, signal.SIGKILL)
        with served(house, "--roles", "industry") as (again, told):
            assert len(find_living(parent=again.pid)) == 1
            assert told["instance"] == "gateway-test"
            assert wait_until(lambda: all(is_gone(pid) for pid in everyone), patience_seconds=5)
            industry, feed = house.config.listeners
            assert is_listening(industry.port)
            assert not is_listening(feed.port)


@pytest.mark.parametrize("damage", [b"no database at all", None], ids=["damaged", "missing"])
def test_serve_without_a_usable_database_answers_503_and_does_not_fail(tmp_path: Path, damage: bytes | None) -> None:
    house = make_served_house(tmp_path)
    for path in house.state.glob("gateway.sqlite*"):
        path.unlink()
    if damage is not None:
        (house.state / "gateway.sqlite").write_bytes(damage)
    with served(house, "--roles", "industry"):
        address = f"http://127.0.0.1:{house.config.listeners[0].port}"
        assert requests.get(f"{address}/health", timeout=10).status_code == 503
        answer = requests.get(f"{address}/v1/keys", timeout=10)
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_gateway_with_a_private_sealing_key_does_not_start(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    house = make_house(tmp_path / "gateway")
    write_key_file(house.state / "keys" / "sealing-1.key", make_key(KeyRole.SEALING, name="agency"))
    assert main([command, "--state", str(house.state)]) in {WRONG_USE, FAULT}
    told = capsys.readouterr()
    assert "is a private sealing key. A gateway holds only" in told.out + told.err


def test_serve_with_an_open_or_missing_key_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house = make_house(tmp_path / "gateway", roles=("public",))
    (house.state / "keys" / "cookie.key").chmod(0o644)
    assert main(["serve", "--state", str(house.state)]) == WRONG_USE
    assert "chmod 600" in capsys.readouterr().err
    (house.state / "keys" / "cookie.key").unlink()
    assert main(["serve", "--state", str(house.state)]) == WRONG_USE


def test_roles_choose_among_the_configured_listeners(tmp_path: Path) -> None:
    config = make_served_house(tmp_path).config
    industry, feed = config.listeners
    assert choose_listeners(config, roles=ROLES) == (industry, feed)
    assert choose_listeners(config, roles=("public", "industry")) == (industry,)
    assert choose_listeners(config, roles=("feed",)) == (feed,)
    with pytest.raises(ServingError):
        choose_listeners(config, roles=("public",))
    assert make_listener(feed, state=tmp_path).environment["REPORT_ABUSE_GATEWAY_ROLES"] == "feed"


@pytest.mark.parametrize("roles", ["desk", "", "public,"])
def test_unknown_roles_are_refused(tmp_path: Path, roles: str) -> None:
    house = make_house(tmp_path / "gateway")
    assert main(["serve", "--state", str(house.state), "--roles", roles]) == WRONG_USE


def test_doctor_says_what_a_new_gateway_still_needs(
    tmp_path: Path, pin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "state", pin) == DONE
    capsys.readouterr()
    assert main(["doctor", "--state", str(tmp_path / "state"), "--json"]) == FAULT
    told = json.loads(capsys.readouterr().out)
    assert told["well"] is False
    verdicts = {finding["name"]: finding["verdict"] for finding in told["findings"]}
    assert verdicts.pop("evidence") in {"ok", "warning", "fault"}, "it says how full the disk of this machine is"
    assert verdicts == {
        "settings": "ok",
        "folder": "ok",
        "hours": "ok",
        "words": "warning",
        "proxies": "warning",
        "store": "ok",
        "pages": "ok",
        "clock": "ok",
        "key set": "fault",
        "log": "ok",
    }


def find_verdicts(house: House) -> dict[str, str]:
    found = examine(house.state, clock=house.clock, measure=lambda _folder: house.free_share)
    return {finding.name: finding.verdict for finding in found}


def test_doctor_finds_a_published_gateway_well_until_its_lists_grow_old(house: House) -> None:
    verdicts = find_verdicts(house)
    assert verdicts.pop("words") == "warning", "nobody has checked the words of this release yet"
    assert set(verdicts.values()) == {"ok"}
    house.clock.advance(days=31)
    assert find_verdicts(house)["key set"] == "warning"
    house.clock.advance(days=60)
    assert find_verdicts(house)["key set"] == "fault"


def test_doctor_finds_a_receipt_key_that_nobody_published(tmp_path: Path) -> None:
    house = make_house(tmp_path / "gateway")
    house.publish(receipt_keys=())
    assert find_verdicts(house)["receipt key"] == "fault"


def test_doctor_finds_a_missing_database_and_an_open_folder(house: House) -> None:
    house.state.chmod(0o755)
    assert find_verdicts(house)["folder"] == "warning"
    (house.state / "gateway.sqlite").unlink()
    assert find_verdicts(house)["store"] == "fault"


@pytest.mark.parametrize(
    ("host", "origin", "proxies", "verdicts"),
    [
        ("127.0.0.1", "https://report.example", 0, ["warning"]),
        ("::1", "https://report.example", 0, ["warning"]),
        ("localhost", "https://report.example", 0, ["warning"]),
        ("127.0.0.1", "https://report.example", 1, []),
        ("0.0.0.0", "https://report.example", 0, []),  # noqa: S104 - nothing listens here
        ("127.0.0.1", "http://127.0.0.1:8080", 0, []),
    ],
)
def test_doctor_warns_when_everybody_would_count_as_one_network_behind_a_proxy(
    house: House, host: str, origin: str, proxies: int, verdicts: list[str]
) -> None:
    listener = ListenerConfig(host=host, port=8080, roles=("public",))
    changes = {"listeners": (listener,), "public_origin": origin, "trusted_proxies": proxies}
    if origin.startswith("http:"):
        changes["environment"] = "test"
    changed = msgspec.structs.replace(house.config, **changes)
    assert [one.verdict for one in _examine_proxies(changed)] == verdicts


def test_init_takes_the_feeds_origin_and_the_proxies_in_front(tmp_path: Path, pin: Path) -> None:
    state = tmp_path / "state"
    assert init(state, pin, "--feed-origin", "https://feed.report.example", "--trusted-proxies", "1") == DONE
    config = load_config(state)
    assert (config.feed_origin, config.trusted_proxies) == ("https://feed.report.example", 1)
