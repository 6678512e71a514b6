"""Passphrases over the key files: one custodian or two, set, changed, and interrupted at every write."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.desk.keyring import commands as keyring_commands
from gateway.desk.keyring.commands import protect_keys
from gateway.desk.office.terminal import DONE, WRONG_USE
from gateway.desk.office.wiring import Desk
from gateway.desk.running.cli import main
from gateway.desk.vault import Unlock, VaultError, key_folder
from gateway.desk.vault.key_folder import (
    PROTECTION_FILE,
    KeyFolder,
    Protection,
    add_new_key,
    check_passphrase,
    find_protection,
    open_protection,
    parse_protected_key,
    write_protection,
)
from gateway.keys import is_private_key_text
from partner_sdk.durable_files import write_durably
from partner_sdk.errors import FormatError, LocalStateError
from partner_sdk.key_files import KeyRole
from partner_sdk.wire.canonical import encode
from tests.desk.view_builders import Clock, make_test_desk

FIRST, SECOND, THIRD = "correct horse battery staple", "violet cabin under snowfall", "seven quiet otters at noon"
ACTOR = "a-okafor"
pytestmark = pytest.mark.usefixtures("quick")


class PowerCutError(Exception):
    """The machine stops here."""


def protect(desk: Desk, passphrases: Mapping[str, str], *former: str) -> int:
    found = find_protection(desk.paths.keys)
    secrets = None if found is None else open_protection(found, former)
    return protect_keys(desk, secrets=secrets, passphrases=passphrases, actor=ACTOR)


def read_all(desk: Desk, *passphrases: str) -> dict[str, str]:
    """Return every secret of the desk as these passphrases open it."""
    found = find_protection(desk.paths.keys)
    secrets = None if found is None else open_protection(found, passphrases)
    folder = KeyFolder(desk.paths.keys, secrets)
    return {
        path.stem: folder.read(path.stem, role=KeyRole(path.stem.partition("-20")[0])).secret
        for path in sorted(desk.paths.keys.glob("*.key"))
    }


def test_real_parameters_are_those_of_the_document() -> None:
    defaults = (key_folder.LANES, key_folder.LEAST_PASSPHRASE_CHARACTERS)
    assert defaults == (4, 15)
    text = Path(key_folder.__file__).read_text("utf-8")
    assert "PASSES: Final = 3\n" in text
    assert "MEMORY_KIB: Final = 256 * 1024\n" in text


def test_protected_files_open_with_the_passphrase_and_hold_no_secret(desk: Desk) -> None:
    before = read_all(desk)
    assert len(before) == 8
    assert protect(desk, {ACTOR: FIRST}) == 8
    assert read_all(desk, FIRST) == before
    for path in desk.paths.keys.iterdir():
        raw = path.read_bytes()
        assert not any(secret.encode() in raw for secret in before.values())
        assert FIRST.encode() not in raw
        assert path.stat().st_mode & 0o777 == 0o600
        # A gateway refuses to start beside such a file too.
        assert path.suffix != ".key" or is_private_key_text(raw)
    with desk.store.read() as connection:
        actions = connection.exec_driver_sql("SELECT action, subject FROM audit ORDER BY id").all()
    assert tuple(actions[-1]) == ("protect-keys", ACTOR)


@pytest.mark.parametrize("wrong", ["", FIRST.upper(), FIRST + " ", SECOND])
def test_wrong_passphrase_opens_nothing(desk: Desk, wrong: str) -> None:
    protect(desk, {ACTOR: FIRST})
    with pytest.raises(VaultError) as caught:
        read_all(desk, wrong)
    assert caught.value.reason == "wrong-passphrase"


def test_both_custodians_are_needed_and_the_error_does_not_tell_whose_was_wrong(desk: Desk) -> None:
    before = read_all(desk)
    protect(desk, {"a-okafor": FIRST, "b-lee": SECOND})
    assert read_all(desk, FIRST, SECOND) == before
    said = set()
    for wrong in ((FIRST, THIRD), (THIRD, SECOND), (SECOND, FIRST), (FIRST, FIRST)):
        with pytest.raises(VaultError) as caught:
            read_all(desk, *wrong)
        said.add(str(caught.value))
    assert said == {"One of the passphrases is wrong."}
    for few in ((FIRST,), (SECOND,), ()):
        with pytest.raises(VaultError) as caught:
            read_all(desk, *few)
        assert caught.value.reason == "wrong-passphrase"


def test_change_ends_the_former_passphrase_also_for_an_old_copy_and_a_later_key(desk: Desk) -> None:
    protect(desk, {ACTOR: FIRST})
    old_copy = (desk.paths.keys / PROTECTION_FILE).read_bytes()
    before = read_all(desk, FIRST)
    protect(desk, {ACTOR: SECOND}, FIRST)
    assert read_all(desk, SECOND) == before
    with pytest.raises(VaultError):
        read_all(desk, FIRST)
    # A thief with an old copy and the old passphrase opens no file of today.
    (desk.paths.keys / PROTECTION_FILE).write_bytes(old_copy)
    with pytest.raises(LocalStateError) as caught:
        read_all(desk, FIRST)
    assert caught.value.reason == "bad-key-file"


def test_same_passphrase_in_another_form_of_its_letters_opens(desk: Desk) -> None:
    before = read_all(desk)
    protect(desk, {ACTOR: "caf\u00e9 lanterns in winter"})
    # Also from a keyboard that types no-break spaces, or letters that look alike in full width.
    for typed in (
        "cafe\u0301 lanterns in winter",
        "caf\u00e9\u00a0lanterns\u00a0in\u00a0winter",
        "caf\u00e9 lanterns in \uff57inter",
    ):
        assert read_all(desk, typed) == before


@pytest.mark.parametrize("weak", ["", "short", "a" * 40, "fourteen chars", "x" * 2000])
def test_weak_passphrase_is_refused_before_anything_is_written(desk: Desk, weak: str) -> None:
    with pytest.raises(VaultError) as caught:
        protect(desk, {ACTOR: weak})
    assert caught.value.reason == "weak-passphrase"
    assert find_protection(desk.paths.keys) is None


@pytest.mark.parametrize("names", [(), ("a", "b", "c"), ("",), ("x" * 81,)])
def test_one_custodian_or_two_are_named(desk: Desk, names: tuple[str, ...]) -> None:
    with pytest.raises(VaultError) as caught:
        protect(desk, dict.fromkeys(names, FIRST))
    assert caught.value.reason == "wrong-custodians"


def test_custodian_who_is_named_twice_is_refused_before_anyone_types(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(keyring_commands, "ask_passphrase", lambda title: asked.append(title) or FIRST)
    state = ["--state", str(desk.paths.state)]
    assert main(["keys", "protect", "--custodian", ACTOR, "--custodian", ACTOR, *state]) == WRONG_USE
    assert "two different ones" in capsys.readouterr().err
    assert (asked, find_protection(desk.paths.keys)) == ([], None)


def test_root_keys_get_passphrases_of_their_own_which_each_use_asks_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, typed = desk.paths.root, [FIRST, FIRST]
    in_daily_use = KeyFolder(desk.paths.keys).count_open_files()
    monkeypatch.setattr(keyring_commands, "ask_passphrase", lambda _: typed.pop(0))

    def run(*words: str) -> int:
        return main([*words, "--root", str(root), "--state", str(desk.paths.state)])

    assert run("keys", "protect", "--custodian", ACTOR) == DONE
    assert "2 key files are under the passphrase of a-okafor." in capsys.readouterr().out
    assert KeyFolder(root).count_open_files() == 0
    assert KeyFolder(desk.paths.keys).count_open_files() == in_daily_use >= 7
    before = desk.paths.delegation.read_bytes()
    typed = [SECOND]
    assert run("keys", "renew-delegation") == WRONG_USE
    assert desk.paths.delegation.read_bytes() == before
    typed = [FIRST]
    assert run("keys", "renew-delegation", "--new-key") == WRONG_USE
    assert "There is no gateway yet." in capsys.readouterr().err  # for `publish`, which follows
    assert (typed, desk.paths.delegation.read_bytes() != before) == ([], True)
    (root / PROTECTION_FILE).unlink()
    assert run("keys", "renew-delegation") == WRONG_USE
    assert "bring the whole folder" in capsys.readouterr().err
    root = desk.paths.keys
    assert run("keys", "protect") == WRONG_USE
    assert "There is no root key in" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["first", "change"])
@pytest.mark.parametrize("cut", range(10))
@pytest.mark.parametrize("is_written", [False, True])
def test_run_that_stops_at_any_write_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, cut: int, *, is_written: bool
) -> None:
    desk = make_test_desk(tmp_path / "desk", Clock())
    former = () if kind == "first" else (FIRST,)
    if former:
        protect(desk, {ACTOR: FIRST})
    before, writes = read_all(desk, *former), 0

    def write(path: Path, raw: bytes) -> None:
        nonlocal writes
        if writes == cut and not is_written:
            raise PowerCutError
        write_durably(path, raw)
        writes += 1
        if writes == cut + 1 and is_written:
            raise PowerCutError

    with monkeypatch.context() as patch:
        for module in (key_folder, key_folder):
            patch.setattr(module, "write_durably", write)
        with pytest.raises(PowerCutError):
            protect(desk, {"a-okafor": SECOND, "b-lee": THIRD}, *former)
    is_new = cut > 0 or is_written
    assert read_all(desk, *((SECOND, THIRD) if is_new else former)) == before
    in_force = (SECOND, THIRD) if is_new else former
    protect(desk, {"a-okafor": SECOND, "b-lee": THIRD}, *in_force)
    assert read_all(desk, SECOND, THIRD) == before
    assert KeyFolder(desk.paths.keys).count_open_files() == 0


def test_cuts_cover_every_write(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(path: Path, raw: bytes) -> None:
        written.append(path.name)
        write_durably(path, raw)

    for module in (key_folder, key_folder):
        monkeypatch.setattr(module, "write_durably", write)
    protect(desk, {ACTOR: FIRST})
    assert len(written) == 10
    assert written[0] == written[-1] == PROTECTION_FILE


@pytest.mark.parametrize("field", ["created_at", "key_id", "public_key", "role", "environment"])
def test_no_field_of_a_protected_key_can_be_changed(desk: Desk, field: str) -> None:
    protect(desk, {ACTOR: FIRST})
    path = desk.paths.keys / "register.key"
    found = parse_protected_key(path.read_bytes())
    other = {"environment": "sandbox", "role": "feed", "created_at": "2026-11-25T09:30:01Z"}.get(field, "AAAAAAAAAAA")
    changes = {field: other} | ({"type": "report-abuse/private-feed-key-protected"} if field == "role" else {})
    path.write_bytes(encode(msgspec.structs.replace(found, **changes)) + b"\n")
    with pytest.raises(LocalStateError):
        read_all(desk, FIRST)


def test_key_without_its_passphrase_is_locked_and_its_public_part_is_not(desk: Desk) -> None:
    public = KeyFolder(desk.paths.keys).read_public("register")
    protect(desk, {ACTOR: FIRST})
    folder = KeyFolder(desk.paths.keys)
    assert folder.read_public("register") == public
    with pytest.raises(VaultError) as caught:
        folder.read("register", role=KeyRole.REGISTER)
    assert caught.value.reason == "locked"


def test_damaged_protection_is_named(desk: Desk) -> None:
    protect(desk, {ACTOR: FIRST})
    path = desk.paths.keys / PROTECTION_FILE
    good = path.read_bytes()
    for bad in (b"", b"{}", good[:-20], good.replace(b'"memory_kib":8192', b'"memory_kib":99999999')):
        path.write_bytes(bad)
        with pytest.raises(LocalStateError) as caught:
            find_protection(desk.paths.keys)
        assert caught.value.reason == "bad-protection"


@given(raw=st.binary(max_size=200))
@settings(deadline=None)
def test_any_bytes_are_a_protected_key_or_a_format_error(raw: bytes) -> None:
    with pytest.raises(FormatError):
        parse_protected_key(raw)


def test_weakened_parameters_of_the_file_do_not_open_it(desk: Desk) -> None:
    protect(desk, {ACTOR: FIRST})
    found = find_protection(desk.paths.keys)
    assert found is not None
    weaker: Protection = msgspec.structs.replace(found, passes=2)
    with pytest.raises(VaultError):
        open_protection(weaker, [FIRST])


def test_secrets_and_requests_name_no_secret(desk: Desk, tmp_path: Path) -> None:
    secrets = add_new_key(None)
    write_protection(tmp_path, secrets, passphrases={ACTOR: FIRST})
    assert not any(str(key) in f"{secrets!r} {secrets}" for key in secrets.keys.values())
    request = Unlock(passphrases=(FIRST.encode(),))
    assert FIRST not in f"{request!r} {request}"
    check_passphrase(FIRST)
