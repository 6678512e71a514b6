"""A package is written only if every byte of it is the agency's, into a new folder that nobody else can read."""

import hashlib
import json
import stat
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.desk.outgoing.package_archive import build_archive
from gateway.testing.transport import WsgiTransport
from partner_sdk import Partner
from partner_sdk._commands.runtime import EXIT_DONE, EXIT_FAILED
from partner_sdk.errors import LocalStateError, MailboxError, ReportAbuseError
from partner_sdk.key_files import KeyRole, load_signing_key
from partner_sdk.reader.packages import SIGNED_PACKAGE, PackageManifest
from partner_sdk.wire.canonical import to_base64url
from partner_sdk.wire.mailbox import Package
from tests.builders import House
from tests.desk.outgoing.packages.package_builders import make_content
from tests.sdk.client.test_threads import IDS, collect, post_all, tell
from tests.sdk.sdk_builders import Terminal, make_state, session_for


def make_package(
    house: House, *, role: KeyRole = KeyRole.MAILBOX_SIGNING, environment: str = "live", package_id: str = IDS[1]
) -> Package:
    """Return a package of the invented case, signed by the agency, as message number 1."""
    return wrap(build(load_signing_key(house.agency.key(role)).private_bytes_raw(), environment, package_id))


@cache
def build(raw_key: bytes, environment: str, package_id: str) -> bytes:
    """Build an archive once: its pages take half a second."""
    key = Ed25519PrivateKey.from_private_bytes(raw_key)

    def sign(manifest: PackageManifest) -> bytes:
        return SIGNED_PACKAGE.sign(manifest, key)

    return build_archive(make_content(environment=environment, package_id=package_id), sign=sign)


def wrap(archive: bytes) -> Package:
    """Return a body with these bytes as its archive and their own digest."""
    digest = hashlib.sha256(archive).hexdigest()
    return Package(archive=to_base64url(archive), archive_sha256=digest, title="A title", urgent=True)


@pytest.fixture
def client(house: House, tmp_path: Path) -> Partner:
    """An enrolled partner before the gateway."""
    make_state(tmp_path / "partner", agency=house.agency)
    session = session_for(WsgiTransport(house.open_app("industry")))
    return Partner.open(tmp_path / "partner", session=session, clock=house.clock, sleep=lambda _: None)


def test_every_file_of_the_archive_is_written_for_its_owner_alone(
    client: Partner, house: House, tmp_path: Path
) -> None:
    package = make_package(house)
    collect(client, house, package)

    opened = client.threads.open_package(IDS[1], tmp_path / "case")

    names = [path.relative_to(tmp_path / "case").as_posix() for path in opened.files]
    assert names[0] == "manifest.json"
    assert {"page.html", "page.pdf", "case.jsonld", "reports/r1.json"} <= set(names)
    for file in opened.manifest.files:
        content = (tmp_path / "case" / file.name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file.sha256, file.size_bytes)
    found = sorted(path for path in (tmp_path / "case").rglob("*"))
    assert [path for path in found if path.is_file()] == sorted(opened.files)
    for path in (tmp_path / "case", *found):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert b"girl of 13" in (tmp_path / "case" / "page.html").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def refuse(client: Partner, house: House, package: Package, folder: Path) -> str:
    collect(client, house, package)
    with pytest.raises(ReportAbuseError) as caught:
        client.threads.open_package(IDS[1], folder)
    assert not folder.exists()
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".package")] == []
    return caught.value.reason


def test_altered_archive_is_refused_and_nothing_is_written(client: Partner, house: House, tmp_path: Path) -> None:
    archive = bytearray(make_package(house).read_archive())
    archive[len(archive) // 2] ^= 1
    assert refuse(client, house, wrap(bytes(archive)), tmp_path / "case") == "altered"


@pytest.mark.parametrize(("more", "reason"), [(b"x", "data-after-end"), (None, "altered")])
def test_archive_that_is_longer_or_shorter_is_refused(
    client: Partner, house: House, tmp_path: Path, more: bytes | None, reason: str
) -> None:
    archive = make_package(house).read_archive()
    package = wrap(archive[:-1] if more is None else archive + more)
    assert refuse(client, house, package, tmp_path / "case") == reason


def test_archive_that_the_agency_did_not_sign_is_refused(client: Partner, house: House, tmp_path: Path) -> None:
    package = make_package(house, role=KeyRole.KEY_SET)
    assert refuse(client, house, package, tmp_path / "case") == "unknown-key"


@pytest.mark.parametrize("changes", [{"package_id": IDS[2]}, {"environment": "sandbox"}])
def test_archive_of_another_package_is_refused(
    client: Partner, house: House, tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert refuse(client, house, make_package(house, **changes), tmp_path / "case") == "wrong-package"


def test_no_archive_at_all_is_refused(client: Partner, house: House, tmp_path: Path) -> None:
    assert refuse(client, house, wrap(b"PK"), tmp_path / "case") == "not-an-archive"


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_nothing_is_written_over(client: Partner, house: House, tmp_path: Path, kind: str) -> None:
    collect(client, house, make_package(house))
    place = tmp_path / "case"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_bytes(b"mine")
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(LocalStateError) as caught:
        client.threads.open_package(IDS[1], place)
    assert caught.value.reason == "exists"
    assert kind != "file" or place.read_bytes() == b"mine"
    assert kind != "folder" or list(place.iterdir()) == []


def test_folder_that_cannot_be_made_is_told(client: Partner, house: House, tmp_path: Path) -> None:
    collect(client, house, make_package(house))
    with pytest.raises(LocalStateError) as caught:
        client.threads.open_package(IDS[1], tmp_path / "no" / "case")
    assert caught.value.reason == "cannot-write"
    assert str(caught.value) == f"Make the folder {tmp_path / 'no'} first."


def test_package_that_was_taken_back_is_not_opened(client: Partner, house: House, tmp_path: Path) -> None:
    collect(client, house, make_package(house), tell("recall", text=""))
    with pytest.raises(MailboxError) as caught:
        client.threads.open_package(IDS[1], tmp_path / "case")
    assert caught.value.reason == "recalled"
    assert not (tmp_path / "case").exists()


def test_command_opens_a_package_into_a_folder_of_its_name(
    line: Terminal, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    post_all(house, make_package(house))
    assert line.run("thread", "open", IDS[1]) == EXIT_DONE
    folder = Path(f"package-{IDS[1]}")
    assert (tmp_path / folder / "page.pdf").read_bytes().startswith(b"%PDF")
    assert line.run("thread", "open", IDS[1]) == EXIT_FAILED
    assert "nothing in it was touched" in line.err
    assert line.run("thread", "open", "1", "--offline", "--out", "other") == EXIT_DONE
    answer = line.json()
    assert (answer["folder"], answer["message_id"]) == ("other", IDS[1])
    assert answer["manifest"]["package_id"] == IDS[1]
    assert "other/case.jsonld" in answer["files"]
    assert json.loads((tmp_path / "other" / "case.jsonld").read_bytes())
    assert msgspec.json.decode((tmp_path / "other" / "manifest.json").read_bytes())["payloadType"]
