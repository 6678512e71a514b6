"""Evidence is brought in sealed, part by part, and acknowledged only when all of it is right and on the desk's disk."""

import os
import stat
from collections import namedtuple
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.collection import evidence_collecting as collecting
from gateway.desk.collection.evidence_holdings import SealedParts, hold_alone
from gateway.desk.office.feed_client import FeedClient
from gateway.exchange.feed import EvidenceRow, ItemKind, ItemPage
from partner_sdk.errors import LocalStateError, UnavailableError
from tests.builders.evidence import hand_over
from tests.desk.desk_loop import Loop, page_of
from tests.desk.evidence_builders import (
    PART,
    Film,
    blob_files,
    collect,
    collect_all,
    count_parts_asked,
    held,
    make_film,
    open_door,
    part_files,
    post,
    seal_with,
    send_film,
    tell_of,
    waiting,
)
from tests.desk.forgery import alarms

TWO_PARTS = os.urandom(PART + 70_000)


@pytest.mark.databases("sqlite", "postgresql")
def test_evidence_comes_sealed_byte_for_byte_and_is_acknowledged(loop: Loop) -> None:
    film = send_film(loop)
    done = collect_all(loop)
    assert (done.collected, done.left, done.is_well) == (1, None, True)
    (path,) = part_files(loop, film)
    assert path.read_bytes() == film.sealed.parts[0]
    assert held(loop) == [film.evidence_id]
    assert waiting(loop) == []
    assert alarms(loop) == []


def test_sealed_parts_are_their_owners_alone(loop: Loop) -> None:
    (path,) = part_files(loop, _collected(loop))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in list(path.parents)[:3]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_plain_bytes_are_in_no_file_of_the_desk(loop: Loop) -> None:
    marker = b"Quetzal-in-the-film"
    send_film(loop, make_film(marker * 10))
    collect_all(loop)
    files = [path for path in loop.folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if marker in path.read_bytes()] == []


def test_second_run_fetches_nothing_again(loop: Loop) -> None:
    send_film(loop)
    collect_all(loop)
    feed = count_parts_asked(loop)
    assert collect(loop, feed).collected == 0
    assert feed.asked == []


def test_run_that_died_goes_on_with_the_parts_that_are_missing(loop: Loop) -> None:
    film = send_film(loop, make_film(TWO_PARTS))
    loop.collect()
    with pytest.raises(KeyboardInterrupt):
        collect(loop, count_parts_asked(loop, dies_at=1))
    assert (held(loop), waiting(loop)) == ([], [film.evidence_id])
    assert len(part_files(loop, film)) == 1
    feed = count_parts_asked(loop)
    assert collect(loop, feed).collected == 1
    assert feed.asked == [1]
    assert b"".join(path.read_bytes() for path in part_files(loop, film)) == b"".join(film.sealed.parts)


def test_half_written_part_of_a_crash_is_cleared_away_and_fetched_whole(loop: Loop) -> None:
    film = send_film(loop)
    loop.collect()
    folder = loop.desk.paths.evidence / loop.partner.partner / film.evidence_id
    folder.mkdir(parents=True, mode=0o700)
    for one in (folder, folder.parent, folder.parent.parent):
        one.chmod(0o700)
    (folder / ".0000.part.4711.part").write_bytes(b"half")
    (folder / "0000.part").write_bytes(film.sealed.parts[0][:-1])
    assert collect(loop).collected == 1
    assert [path.read_bytes() for path in part_files(loop, film)] == list(film.sealed.parts)


def test_parts_that_went_lost_here_before_the_acknowledgement_are_fetched_again(loop: Loop) -> None:
    film = send_film(loop)
    loop.collect()

    class Deaf(FeedClient):
        """A gateway that does not hear the acknowledgement."""

        def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
            return len(items)

    collect(loop, loop.make_feed(Deaf))
    part_files(loop, film)[0].unlink()
    assert collect(loop).collected == 1
    assert [path.read_bytes() for path in part_files(loop, film)] == list(film.sealed.parts)
    assert waiting(loop) == []


def test_every_part_and_every_name_is_synced_before_the_acknowledgement(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    class Noting(FeedClient):
        """The feed, noting when it hears the acknowledgement."""

        def acknowledge(self, kind: ItemKind, items: Any, **named: Any) -> int:
            events.append("acknowledged")
            return super().acknowledge(kind, items, **named)

    film = send_film(loop, make_film(TWO_PARTS))
    loop.collect()
    monkeypatch.setattr(os, "fsync", note)
    collect(loop, loop.make_feed(Noting))
    before = events[: events.index("acknowledged")]
    parts = [one for one in before if one.startswith(".000")]
    assert [name[1:10] for name in parts] == ["0000.part", "0001.part"]
    assert before.count(film.evidence_id) == 2
    assert loop.partner.partner in before
    assert "evidence" in before


def test_disk_that_fails_ends_the_run_without_an_acknowledgement(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SealedParts, number: int, raw: bytes) -> None:
        raise LocalStateError("No space left.", reason="not-saved")

    film = send_film(loop)
    loop.collect()
    with monkeypatch.context() as patch:
        patch.setattr(SealedParts, "write_part", fail)
        with pytest.raises(LocalStateError):
            collect(loop)
    assert (held(loop), waiting(loop)) == ([], [film.evidence_id])


def test_file_that_the_gateway_cannot_read_keeps_back_no_other(loop: Loop) -> None:
    lost, other = send_film(loop), send_film(loop)
    for path in blob_files(loop, lost):
        path.unlink()
    loop.collect()
    with pytest.raises(UnavailableError):
        collect(loop)
    assert (held(loop), waiting(loop)) == ([other.evidence_id], [lost.evidence_id])


def test_urgent_report_is_here_before_its_evidence_and_the_evidence_follows(loop: Loop) -> None:
    film, door = make_film(), open_door(loop)
    early = msgspec.structs.replace(film.reference, digest=None)
    post(door, seal_with(loop, [early], files=[tell_of(film)], priority="P1"))
    assert collect_all(loop).collected == 0
    assert loop.count("cases") == 1
    hand_over(door, film.sealed)
    assert collect(loop).collected == 1
    assert waiting(loop) == []


def test_evidence_waits_without_an_alarm_while_its_report_is_not_collected(loop: Loop) -> None:
    film = send_film(loop)
    done = collect(loop)
    assert (done.collected, done.unnamed, done.is_well) == (0, 1, True)
    assert (alarms(loop), waiting(loop)) == ([], [film.evidence_id])
    assert collect_all(loop).collected == 1


def test_time_of_a_round_is_kept_and_the_next_one_goes_on(loop: Loop) -> None:
    film = send_film(loop, make_film(TWO_PARTS))
    loop.collect()
    feed = count_parts_asked(loop)
    done = collect(loop, feed, seconds=30.0, ticks=lambda: 31.0 if feed.asked else 1.0)
    assert (done.left, done.collected, done.is_well) == ("time", 0, True)
    assert len(part_files(loop, film)) == 1
    assert waiting(loop) == [film.evidence_id]
    assert collect(loop).collected == 1


def test_run_leaves_room_on_the_disk_with_one_alarm(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    film = send_film(loop)
    loop.collect()
    full = usage(1_000_000, 0, 100_000 + film.sealed.size_bytes - 1)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: full)
        for _ in range(2):
            done = collect(loop)
            assert (done.left, done.is_well) == ("disk", False)
    assert [kind for kind, _ in alarms(loop)] == [collecting.DISK_LOW]
    assert waiting(loop) == [film.evidence_id]
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage(1_000_000, 0, full.free + 1))
        assert collect(loop).collected == 1


def test_run_takes_so_many_bytes_and_no_more(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = send_film(loop), send_film(loop)
    loop.collect()
    monkeypatch.setattr(collecting, "MOST_RUN_BYTES", first.sealed.size_bytes * 3 // 2)
    done = collect(loop)
    assert (done.collected, done.left) == (1, "bytes")
    assert [kind for kind, _ in alarms(loop)] == [collecting.ENDLESS]
    assert len(waiting(loop)) == 1
    assert collect(loop).collected == 1
    assert sorted(held(loop)) == sorted([first.evidence_id, second.evidence_id])


class Endless(FeedClient):
    """A gateway that always lists one more, or the same again."""

    asked = 0
    goes_on = True

    def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
        type(self).asked += 1
        assert self.asked < 60, "the desk went on and on"
        number = self.asked if self.goes_on else 1
        row = make_line(evidence_id=f"0193622c-0000-7000-8000-{number:012x}")
        return page_of(row, last=number, more=True)


def make_line(**changes: Any) -> EvidenceRow:
    film = make_film()
    values: dict[str, Any] = {
        "digest": film.sealed.digest,
        "evidence_id": film.evidence_id,
        "part_sha256": film.sealed.sha256,
        "partner": "example-chat",
        "size_bytes": film.sealed.size_bytes,
        **changes,
    }
    return EvidenceRow(**values)


@pytest.mark.parametrize(("goes_on", "left"), [(True, "pages"), (False, "circle")])
def test_list_without_end_or_in_a_circle_is_left_with_an_alarm(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, goes_on: bool, left: str
) -> None:
    monkeypatch.setattr(collecting, "MOST_PAGES", 20)
    monkeypatch.setattr(Endless, "goes_on", goes_on)
    monkeypatch.setattr(Endless, "asked", 0)
    assert collect(loop, loop.make_feed(Endless)).left == left
    assert collecting.ENDLESS in [kind for kind, _ in alarms(loop)]


@pytest.mark.parametrize(
    "changes",
    [
        {"size_bytes": 9 * 1024**3},
        {"part_sha256": ("0" * 64,) * 3},
        {"digest": "0" * 64},
        {"evidence_id": "../../../etc"},
        {"evidence_id": "x\x1b[2J"},
        {"partner": "../.."},
        {"partner": "public"},
        {"partner": "Example"},
    ],
    ids=repr,
)
def test_line_that_no_gateway_writes_is_an_alarm_and_touches_no_file(loop: Loop, changes: dict[str, Any]) -> None:
    class Lying(FeedClient):
        """A gateway with one bad line."""

        def get_items(self, kind: ItemKind, *, after: int = 0, limit: int | None = None) -> ItemPage:
            return page_of(make_line(**changes))

    done = collect(loop, loop.make_feed(Lying))
    assert (done.refused, done.collected, done.fetched_bytes) == (1, 0, 0)
    ((kind, subject),) = alarms(loop)
    assert kind == collecting.BAD_LINE
    assert len(subject) == 64
    assert list(loop.desk.paths.evidence.iterdir()) == []


@pytest.mark.parametrize("size", [0, 2**62, -1])
def test_absurd_size_is_no_list_at_all(loop: Loop, size: int) -> None:
    line = msgspec.json.encode(make_line(size_bytes=size))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=EvidenceRow)


def test_second_run_at_the_same_time_waits_for_nothing(loop: Loop) -> None:
    send_film(loop)
    loop.collect()
    with hold_alone(loop.desk.paths.evidence) as is_alone:
        assert is_alone
        done = collect(loop)
    assert (done.left, done.is_well) == ("busy", True)
    assert collect(loop).collected == 1


def test_gateway_that_takes_no_acknowledgement_is_an_alarm(loop: Loop) -> None:
    class Refusing(FeedClient):
        """A gateway that knows nothing."""

        def acknowledge(self, kind: ItemKind, items: Any, **_: Any) -> int:
            return 0

    send_film(loop)
    loop.collect()
    collect(loop, loop.make_feed(Refusing))
    assert [kind for kind, _ in alarms(loop)] == [collecting.NOT_TAKEN]


def _collected(loop: Loop) -> Film:
    film = send_film(loop)
    collect_all(loop)
    return film
