"""The check of a site against its public log: an honest site passes, and one changed letter is an alarm."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Response, request

from gateway.button import compress
from gateway.commands.terminal import program
from gateway.keys import find_signing_key
from gateway.public.door import EXTENSION
from gateway.public.release import DOCUMENTS, MANIFEST_PATH, list_documents, make_manifest, offer_release
from gateway.public_log import find_log_file, publish_log
from gateway.store.published import read_head
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.reader import log_check
from partner_sdk.reader.log_check import EXIT_ALARM, EXIT_FAILED, EXIT_WELL, NotCheckedError
from partner_sdk.wire.public_log import digest_release, format_verifier, is_release, origin_of, parse_bundle
from tests.builders import PUBLIC_ORIGIN
from tests.gateway.public.fixtures import PublicHouse
from tests.gateway.test_public_log import is_never_early

Check = Callable[..., tuple[int, dict[str, Any]]]


@pytest.mark.parametrize("path", [MANIFEST_PATH, "/log/checkpoint"])
def test_database_that_is_gone_is_a_503_and_no_fault_of_ours(public: PublicHouse, path: str) -> None:
    with public.broken("missing"):
        answer = public.app.test_client().get(path, base_url=PUBLIC_ORIGIN)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


def add_batch(public: PublicHouse) -> None:
    """Add the next batch, 30 seconds later."""
    public.house.clock.advance(seconds=30)
    assert publish_log(
        public.gateway.store,
        state=public.house.state,
        origin=origin_of(public.house.config.public_origin),
        clock=public.house.clock,
        random=is_never_early,
    )


def release(public: PublicHouse) -> bytes:
    """Publish the form in its present state."""
    manifest = make_manifest(public.app)
    assert offer_release(public.gateway.store, manifest, now=public.house.clock())
    add_batch(public)
    return manifest


@pytest.fixture
def check(
    public: PublicHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    """The check, with the log and the site of this house."""

    def make_fetch(url: str) -> log_check.Fetch:
        def fetch(path: str, max_bytes: int) -> bytes:
            if url.endswith("/log"):
                raw = find_log_file(public.gateway.store, path)
            else:
                answer = public.app.test_client().get(f"/{path}", base_url=PUBLIC_ORIGIN)
                raw = answer.data if answer.status_code == 200 else None
            if raw is None:
                raise NotCheckedError(f"Cannot fetch {path}: 404.")
            assert len(raw) <= max_bytes
            return raw

        return fetch

    def run(*more: str) -> tuple[int, dict[str, Any]]:
        log_key = find_signing_key(public.house.state, KeyRole.LOG)
        assert log_key is not None
        key = format_verifier("report.example/log", load_signing_key(log_key).public_key().public_bytes_raw())
        site = ("--site", PUBLIC_ORIGIN, "--state", str(tmp_path / "log.json"), "--json")
        words = ("--url", f"{PUBLIC_ORIGIN}/log", "--key", key, *site, *more)
        code = log_check.main(words, clock=lambda: public.house.clock().timestamp())
        return code, json.loads(capsys.readouterr().out)

    monkeypatch.setattr(log_check, "make_fetch", make_fetch)
    return run


def change_asset(public: PublicHouse, name: str) -> str:
    """Change one letter of a served file; return its address."""
    door = public.app.extensions[EXTENSION]
    asset = door.assets[name]
    plain = asset.plain.replace(b"e", b"o", 1)
    assert plain != asset.plain
    public.app.extensions[EXTENSION] = replace(
        door, assets={**door.assets, name: replace(asset, bodies=compress(plain))}
    )
    return str(asset.path)


def test_honest_site_passes_and_each_changed_file_and_document_is_named(public: PublicHouse, check: Check) -> None:
    assert list_documents(public.app) == list(DOCUMENTS)
    listed = sorted(json.loads(release(public))["manifest"]["files"])
    assert {*list_documents(public.app), *(one.path for one in public.app.extensions[EXTENSION].assets.values())} == {
        *listed
    }
    code, found = check()
    assert (code, found["new_releases"], found["files"]) == (EXIT_WELL, 1, len(listed))
    add_batch(public)
    code, found = check()
    assert (code, found["new_releases"], found["files"]) == (EXIT_WELL, 0, len(listed))

    def change_one_letter(answer: Response) -> Response:
        """Change the last letter on its way out, as a proxy could."""
        if request.path in listed:
            raw = answer.get_data()
            answer.set_data(raw[:-2] + bytes([raw[-2] ^ 1]) + raw[-1:])
        return answer

    public.app.after_request_funcs[None].append(change_one_letter)
    code, found = check()
    assert (code, found["reason"]) == (EXIT_ALARM, "other-files")
    assert found["detail"].endswith(f": {', '.join(listed)}.")


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the documents, each of which takes seconds."""
    monkeypatch.setattr("gateway.public.release.list_documents", lambda _app: [])


quick = pytest.mark.usefixtures("_quick")


@quick
@pytest.mark.parametrize("name", ["sealing.js", "back.js", "look.css"])
def test_one_letter_of_a_served_file_is_an_alarm_that_names_it(public: PublicHouse, check: Check, name: str) -> None:
    release(public)
    path = change_asset(public, name)
    code, found = check()
    assert (code, found["reason"]) == (EXIT_ALARM, "other-files")
    assert found["detail"] == f"The site serves other bytes than its release in the log: {path}."


@quick
def test_changed_files_with_a_manifest_of_their_own_are_seen_in_the_log_by_everybody(
    public: PublicHouse, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = release(public)
    assert check()[0] == EXIT_WELL
    change_asset(public, "sealing.js")
    # A manifest that is only shown to one person is not in the log.
    with monkeypatch.context() as patch:
        patch.setattr("gateway.public.release.find_document", lambda _connection, *, name: make_manifest(public.app))
        code, found = check()
    assert (code, found["reason"]) == (EXIT_ALARM, "other-release")
    # One that is in the log cannot hide there: those who still get the old one are told.
    release(public)
    code, found = check()
    assert (code, found["new_releases"]) == (EXIT_WELL, 1)
    with monkeypatch.context() as patch:
        patch.setattr("gateway.public.release.find_document", lambda _connection, *, name: honest)
        code, found = check()
    assert (code, found["reason"]) == (EXIT_ALARM, "other-release")


@quick
def test_log_without_a_release_is_an_alarm_and_a_file_that_does_not_come_is_none(
    public: PublicHouse, check: Check
) -> None:
    add_batch(public)
    code, found = check()
    assert (code, found["reason"]) == (EXIT_ALARM, "no-release")
    release(public)
    door = public.app.extensions[EXTENSION]
    lost = {name: asset for name, asset in door.assets.items() if name != "sealing.js"}
    public.app.extensions[EXTENSION] = replace(door, assets=lost)
    code, found = check()
    assert (code, found["result"]) == (EXIT_FAILED, "not-checked")


@quick
@pytest.mark.parametrize("files", [["/form"], {"/form\x1b[2J": "A" * 43}, {"/form": 1}, None])
def test_manifest_in_the_log_that_cannot_be_read_is_an_alarm(
    public: PublicHouse, check: Check, monkeypatch: pytest.MonkeyPatch, files: Any
) -> None:
    manifest = json.dumps({"manifest": {"files": files}, "signatures": {}}).encode() if files else b"[" * 100_000
    monkeypatch.setattr("tests.gateway.test_release.make_manifest", lambda _app: manifest)
    release(public)
    code, found = check()
    assert (code, found["reason"]) == (EXIT_ALARM, "malformed")


@quick
def test_release_is_one_entry_of_an_ordinary_batch_and_is_served_only_from_then_on(public: PublicHouse) -> None:
    client = public.app.test_client()
    add_batch(public)
    manifest = make_manifest(public.app)
    assert offer_release(public.gateway.store, manifest, now=public.house.clock())
    assert client.get(MANIFEST_PATH, base_url=PUBLIC_ORIGIN).status_code == 404
    before = read_head(public.gateway.store)
    add_batch(public)
    head = read_head(public.gateway.store)
    assert (before.batch, head.batch, head.size) == (16, 16, 32)
    raw = find_log_file(public.gateway.store, "tile/entries/000.p/32")
    assert raw is not None
    logged = [entry[8:] for entry in parse_bundle(raw, width=32) if is_release(entry)]
    assert logged == [digest_release(manifest)]
    assert client.get(MANIFEST_PATH, base_url=PUBLIC_ORIGIN).data == manifest
    assert not offer_release(public.gateway.store, manifest, now=public.house.clock())
    add_batch(public)
    assert read_head(public.gateway.store).size == 48


def test_manifest_has_the_fields_that_webcat_reads(public: PublicHouse) -> None:
    found = json.loads(make_manifest(public.app))
    assert set(found) == {"manifest", "signatures"}
    manifest = found["manifest"]
    assert set(manifest) == {
        *("name", "version", "default_csp", "extra_csp", "default_index", "default_fallback", "files", "wasm")
    }
    assert all(path.startswith("/") and len(digest) == 43 for path, digest in manifest["files"].items())
    assert "default-src 'none'" in manifest["default_csp"]


@quick
def test_operator_publishes_the_form_with_one_command_and_twice_is_once(public: PublicHouse) -> None:
    words = ["publish-form", "--state", str(public.house.state), "--json"]
    done = [CliRunner().invoke(program, words, standalone_mode=False) for _ in range(2)]
    assert [one.return_value for one in done] == [0, 0], done[0].output
    add_batch(public)
    assert public.app.test_client().get(MANIFEST_PATH, base_url=PUBLIC_ORIGIN).data == make_manifest(public.app)
    again = CliRunner().invoke(program, words, standalone_mode=False)
    assert json.loads(again.output)["is_new"] is False
