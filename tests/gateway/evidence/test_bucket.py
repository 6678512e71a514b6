"""Evidence in a bucket of a real object store: differences from the folder, and the store's faults."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import obstore
import pytest

from gateway.cli import main
from gateway.commands.terminal import DONE, FAULT, WRONG_USE
from gateway.config import EvidenceConfig, StateFolder, utc_now
from gateway.desk.collection.evidence_collecting import SPOILED
from gateway.doctor import examine
from gateway.evidence import bucket, open_blobs
from gateway.evidence.blobs import check_blobs
from gateway.housekeeping import sweep_unnamed
from gateway.store import StorageUnavailableError
from partner_sdk.finding import Finding
from partner_sdk.wire import problems
from partner_sdk.wire.evidence import LEAST_SEALED_BYTES, PART_BYTES
from tests.builders import FEED_ORIGIN, Door, House, Partner, seal_report
from tests.builders.evidence import (
    SealedEvidence,
    complete,
    get_blob,
    hand_over,
    list_blobs,
    lose_blob,
    make_evidence,
    name_in_report,
    put_part,
    send_parts,
)
from tests.desk.evidence_builders import collect, collect_all, send_film, waiting
from tests.desk.forgery import alarms
from tests.desk.loop_model import copy_loop
from tests.problem_shape import check_problem
from tests.seaweedfs import CREDENTIALS, SeaweedFS

pytestmark = pytest.mark.places("bucket")

# For calls with the short limits of a test about silence.
TRIES_ON_A_BUSY_MACHINE = 20


def prefix_of(house: House) -> str:
    return house.config.evidence.store_uri.rpartition("/")[2]


def move_to(house: House, endpoint: str) -> None:
    """Let the gateway reach its bucket at another address from now on."""
    place = msgspec.structs.replace(house.config.evidence, store_endpoint=endpoint)
    house.config = msgspec.structs.replace(house.config, evidence=place)


def take_report(house: House, partner: Partner, evidence: SealedEvidence) -> None:
    """Fail unless a report that names the evidence is accepted."""
    report = seal_report(partner, key=house.agency.sealing_key, evidence_ids=(evidence.evidence_id,))
    assert house.open_industry(partner).post("/v1/reports", report.body).status_code == 201


def save_settings(house: House) -> None:
    """Write this house's place of evidence into its gateway.toml."""
    path = StateFolder(house.state).config
    text = re.sub(r"(?m)^store_\w+ = .*\n", "", path.read_text())
    place = house.config.evidence
    lines = f'[evidence]\nstore_uri = "{place.store_uri}"\nstore_endpoint = "{place.store_endpoint}"\n'
    path.write_text(text.replace("[evidence]\n", lines))


def look_at_evidence(house: House) -> Finding:
    """Return the finding of `doctor` about the evidence."""
    save_settings(house)
    (found,) = [one for one in examine(house.state, clock=house.clock) if one.name == "evidence"]
    return found


Change = Callable[[bytes], bytes]


@contextmanager
def proxy_to(
    server: SeaweedFS, *, sent: Change = bytes, is_silent: Callable[[], bool] = lambda: False
) -> Iterator[list[str]]:
    """Give a list that begins with the address of a way to the store that changes bytes sent to it.

    While it is silent it takes connections and passes nothing on. Each connection adds a word to the list.
    """
    port = int(server.endpoint.rpartition(":")[2])
    listener = socket.create_server(("127.0.0.1", 0))
    seen = [f"http://127.0.0.1:{listener.getsockname()[1]}"]
    open_sockets = [listener]

    def pass_on(source: socket.socket, target: socket.socket, change: Change) -> None:
        while raw := _receive(source):
            target.sendall(change(raw))

    def serve() -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            seen.append("connection")
            open_sockets.append(caller)
            if not is_silent():
                store = socket.create_connection(("127.0.0.1", port))
                open_sockets.append(store)
                threading.Thread(target=pass_on, args=(caller, store, sent), daemon=True).start()
                threading.Thread(target=pass_on, args=(store, caller, bytes), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield seen
    finally:
        for one in open_sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(65536)
    except OSError:
        return b""


def test_thief_of_the_bucket_learns_sizes_and_times_alone(house: House, industry: Door, seaweedfs: SeaweedFS) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    hand_over(industry, evidence)
    list_blobs(house)  # writes who owns the prefix
    store = seaweedfs.open_bucket(prefix_of(house))
    objects = {one["path"]: obstore.get(store, one["path"]).bytes().to_bytes() for one in obstore.list(store).collect()}
    owner = objects.pop("owner")
    assert re.fullmatch(rb"[0-9a-f]{64}", owner)
    assert len(objects) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in objects)
    assert sorted(objects.values()) == sorted(evidence.parts), "the sealed bytes and nothing beside them"


def test_object_under_a_name_that_is_taken_is_503_and_the_first_stays(
    house: House, industry: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_evidence(), make_evidence()
    send_parts(industry, first)
    name = get_blob(house, first)
    with monkeypatch.context() as unlucky:
        unlucky.setattr("gateway.evidence.keeper.make_blob_name", lambda: name)
        answer = put_part(industry, f"{second.path}/0", second.parts[0])
    check_problem(answer, problems.STORAGE_UNAVAILABLE)
    assert house.open_gateway().evidence.blobs.read_blob(name) == first.parts[0]
    hand_over(industry, second)


def test_object_that_was_lost_is_missing_and_can_be_sent_again(house: House, industry: Door) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    send_parts(industry, evidence)
    lose_blob(house, get_blob(house, evidence, 1))
    assert [part["part"] for part in industry.get(evidence.path).json["parts"]] == [0]
    document = check_problem(complete(industry, evidence), problems.INCOMPLETE_EVIDENCE)
    assert [fault["pointer"] for fault in document["errors"]] == ["#/parts/1"]
    assert put_part(industry, f"{evidence.path}/1", evidence.parts[1]).status_code in {200, 201}
    assert complete(industry, evidence).status_code == 200


def test_store_that_dies_between_parts_is_503_with_a_time_and_nothing_is_lost(
    house: House, industry: Door, feed: Door, partner: Partner, seaweedfs: SeaweedFS
) -> None:
    evidence = make_evidence(PART_BYTES, LEAST_SEALED_BYTES)
    put_part(industry, f"{evidence.path}/0", evidence.parts[0])
    seaweedfs.kill()
    try:
        answers = [
            put_part(industry, f"{evidence.path}/1", evidence.parts[1]),
            industry.get(evidence.path),
            complete(industry, evidence),
        ]
        take_report(house, partner, evidence)
        found = look_at_evidence(house)
    finally:
        seaweedfs.start()
    for answer in answers:
        check_problem(answer, problems.STORAGE_UNAVAILABLE)
        assert int(answer.headers["Retry-After"]) > 0
    assert (found.verdict, "store_endpoint" in found.fix) == ("fault", True)

    assert [part["part"] for part in industry.get(evidence.path).json["parts"]] == [0]
    assert put_part(industry, f"{evidence.path}/1", evidence.parts[1]).status_code == 201
    assert complete(industry, evidence).status_code == 200
    for number, part in enumerate(evidence.parts):
        assert feed.get(f"/feed/evidence/{partner.partner}/{evidence.evidence_id}/{number}").data == part
    assert look_at_evidence(house).verdict == "ok"


def test_byte_that_the_stores_disk_flips_is_503_and_is_never_handed_over(
    house: House, industry: Door, feed: Door, partner: Partner, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This store tries for half a minute before it fails; the desk's next file must not wait for that."""
    monkeypatch.setattr(bucket, "BYTES_SECONDS", 3)
    spoiled, whole = make_evidence(), make_evidence()
    for evidence in (spoiled, whole):
        hand_over(industry, evidence)
        name_in_report(house, partner, evidence.evidence_id)
    seaweedfs.kill()
    try:
        seaweedfs.flip_byte_on_disk(spoiled.parts[0][1000:1064])
    finally:
        seaweedfs.start()
    path = f"/feed/evidence/{partner.partner}"
    check_problem(feed.get(f"{path}/{spoiled.evidence_id}/0"), problems.STORAGE_UNAVAILABLE, origin=FEED_ORIGIN)
    answers = (feed.get(f"{path}/{whole.evidence_id}/0") for _ in range(TRIES_ON_A_BUSY_MACHINE))
    assert next(answer.data for answer in answers if answer.status_code == 200) == whole.parts[0]


def test_byte_that_is_flipped_on_the_way_to_the_store_is_refused_by_the_store(
    house: House, partner: Partner, seaweedfs: SeaweedFS
) -> None:
    evidence = make_evidence()
    marker = evidence.parts[0][5000:5032]

    def flip(raw: bytes) -> bytes:
        return raw.replace(marker, bytes([marker[0] ^ 1]) + marker[1:])

    own = house.config.evidence.store_endpoint
    with proxy_to(seaweedfs, sent=flip) as way:
        move_to(house, way[0])
        check_problem(
            put_part(house.open_industry(partner), f"{evidence.path}/0", evidence.parts[0]),
            problems.STORAGE_UNAVAILABLE,
        )
        assert len(way) > 1
        assert house.rows("evidence") == []
        hand_over(house.open_industry(partner), make_evidence())
    move_to(house, own)
    assert len(list_blobs(house)) == 1


def test_wrong_bytes_from_the_store_are_an_alarm_at_the_desk_and_never_acknowledged(
    tmp_path: Path, house: House, seaweedfs: SeaweedFS
) -> None:
    loop = copy_loop(tmp_path / "loop")
    loop.gateway.evidence.blobs = open_blobs(house.config, folder=StateFolder(house.state))
    film = send_film(loop)
    store = seaweedfs.open_bucket(prefix_of(house))
    (name,) = [one["path"] for one in obstore.list(store).collect()]
    raw = film.sealed.parts[0]
    obstore.put(store, name, raw[:-1] + bytes([raw[-1] ^ 1]))
    assert collect_all(loop).spoiled == 1
    assert [kind for kind, _ in alarms(loop)] == [SPOILED]
    assert waiting(loop) == [film.evidence_id]
    obstore.put(store, name, raw)
    collect(loop)
    assert waiting(loop) == []


def test_silent_store_takes_each_caller_a_bounded_time_and_soon_none_at_all(
    house: House, partner: Partner, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "BYTES_SECONDS", 1)
    monkeypatch.setattr(bucket, "SILENT_SECONDS", 0.8)
    now = [1000.0]
    monkeypatch.setattr(bucket, "monotonic", lambda: now[0] + time.monotonic())
    evidence = make_evidence()
    silent = threading.Event()
    with proxy_to(seaweedfs, is_silent=silent.is_set) as way:
        move_to(house, way[0])
        silent.set()
        industry = house.open_industry(partner)
        check_problem(put_part(industry, f"{evidence.path}/0", evidence.parts[0]), problems.STORAGE_UNAVAILABLE)
        tried = len(way)
        assert tried > 1
        for _ in range(5):
            check_problem(put_part(industry, f"{evidence.path}/0", evidence.parts[0]), problems.STORAGE_UNAVAILABLE)
        assert len(way) == tried, "these did not wait for the store"
        take_report(house, partner, evidence)

        now[0] += bucket.TRY_AGAIN_SECONDS
        check_problem(put_part(industry, f"{evidence.path}/0", evidence.parts[0]), problems.STORAGE_UNAVAILABLE)
        assert len(way) == tried + 1, "one tries again"
        silent.clear()
        for _ in range(TRIES_ON_A_BUSY_MACHINE):
            now[0] += bucket.TRY_AGAIN_SECONDS
            answer = put_part(industry, f"{evidence.path}/0", evidence.parts[0])
            if answer.status_code == 201:
                break
        assert answer.status_code == 201


def test_objects_that_no_row_names_go_after_a_day_and_named_and_foreign_ones_stay(
    house: House, industry: Door, seaweedfs: SeaweedFS
) -> None:
    evidence = make_evidence()
    send_parts(industry, evidence)
    store = seaweedfs.open_bucket(prefix_of(house))
    for name in ("a" * 32, "notes.txt", f"other/{'b' * 32}"):
        obstore.put(store, name, b"x")
    gateway = house.open_gateway()

    def sweep(age: timedelta) -> int:
        return sweep_unnamed(gateway.store, blobs=gateway.evidence.blobs, now=utc_now() + age)

    assert sweep(timedelta(hours=23)) == 0
    assert sweep(timedelta(hours=25)) == 1
    left = {one["path"] for one in obstore.list(store).collect()}
    assert left == {get_blob(house, evidence), "notes.txt", f"other/{'b' * 32}", "owner"}


def test_prefix_of_another_gateway_is_never_swept_and_doctor_names_it(house: House, seaweedfs: SeaweedFS) -> None:
    store = seaweedfs.open_bucket(prefix_of(house))
    obstore.put(store, "owner", b"another gateway")
    obstore.put(store, "c" * 32, b"its evidence")
    gateway = house.open_gateway()
    with pytest.raises(StorageUnavailableError) as refused:
        sweep_unnamed(gateway.store, blobs=gateway.evidence.blobs, now=utc_now() + timedelta(days=9))
    assert refused.value.reason == "unsafe"
    found = look_at_evidence(house)
    assert (found.verdict, "another prefix" in found.fix) == ("fault", True)
    assert obstore.get(store, "c" * 32).bytes() == b"its evidence"


def test_store_that_overwrites_objects_is_refused_at_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = house.open_gateway().evidence.blobs
    check_blobs(blobs)
    assert list_blobs(house) == [], "the probe is gone"
    put = obstore.put

    def ignore_the_condition(*arguments: Any, mode: str, **settings: Any) -> Any:
        assert mode == "create"
        return put(*arguments, mode="overwrite", **settings)

    monkeypatch.setattr(bucket.obstore, "put", ignore_the_condition)
    with pytest.raises(StorageUnavailableError) as refused:
        check_blobs(blobs)
    assert refused.value.reason == "unsafe"
    assert list_blobs(house) == []


def test_credentials_that_the_store_refuses_are_a_fault_and_stop_no_report(
    house: House, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    evidence = make_evidence()
    answer = put_part(house.open_industry(partner), f"{evidence.path}/0", evidence.parts[0])
    check_problem(answer, problems.STORAGE_UNAVAILABLE)
    take_report(house, partner, evidence)
    found = look_at_evidence(house)
    assert (found.verdict, "credentials" in found.fix) == ("fault", True)
    assert CREDENTIALS["AWS_ACCESS_KEY_ID"] not in f"{found.detail} {found.fix}"


def test_environment_leads_to_no_other_store(house: House, partner: Partner, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    hand_over(house.open_industry(partner), make_evidence())


def test_folder_is_copied_into_the_bucket_twice_without_harm(
    house: House, partner: Partner, evidence_place: EvidenceConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = house.config
    house.config = msgspec.structs.replace(settings, evidence=EvidenceConfig())
    industry = house.open_industry(partner)
    kept, damaged, lost = make_evidence(PART_BYTES, LEAST_SEALED_BYTES), make_evidence(), make_evidence()
    for evidence in (kept, damaged, lost):
        hand_over(industry, evidence)
    (house.state / "evidence" / get_blob(house, damaged)).write_bytes(bytes(LEAST_SEALED_BYTES))
    (house.state / "evidence" / get_blob(house, lost)).unlink()
    before = list_blobs(house)
    save_settings(house)
    assert main(["copy-evidence", "--state", str(house.state)]) == WRONG_USE
    house.config = settings
    save_settings(house)
    capsys.readouterr()

    for copied, there in ((2, 0), (0, 2)):
        assert main(["copy-evidence", "--state", str(house.state), "--json"]) == FAULT
        counts = msgspec.json.decode(capsys.readouterr().out)
        assert counts == {"copied": copied, "there": there, "missing": 1, "damaged": 1}

    again = house.open_industry(partner)
    assert [part["part"] for part in again.get(kept.path).json["parts"]] == [0, 1]
    for evidence in (damaged, lost):
        assert again.get(evidence.path).json["parts"] == []
        assert put_part(again, f"{evidence.path}/0", evidence.parts[0]).status_code in {200, 201}
    assert main(["copy-evidence", "--state", str(house.state)]) == DONE
    house.config = msgspec.structs.replace(settings, evidence=EvidenceConfig())
    assert list_blobs(house) == before, "nothing left the folder"
