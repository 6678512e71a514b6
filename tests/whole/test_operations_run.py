"""The lines of docs/operations.md run as written and in their order: a set-up, a base backup, a loss and a restore.

PostgreSQL is the real one with the shipped settings, so its archive and its base backup are real too.
"""

import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.desk.office.people.permissions import Role
from gateway.desk.office.people.register import list_with_role
from gateway.desk.office.wiring import open_desk
from gateway.desk.running.cli import main as run_desk
from partner_sdk.cli import main as run_partner
from tests.builders import EXAMPLE_REPORT
from tests.desk.people_builders import give_every_role
from tests.documents import OPERATIONS, list_lines
from tests.gateway.test_operations import read_settings
from tests.gateway.web.process_watch import wait_until
from tests.house.sources import ROOT
from tests.postgresql import Server, connect, find_program
from tests.whole.loop_in_process import enrol_here, list_cases_here
from tests.whole.test_documents_run import Machine, list_differing

DOCUMENT = "docs/operations.md"
BACKUP_DAY = "2026-11-25"  # as the document writes it
SET_UP = ("1 ", "2 ", "4 ", "5 ", "6 ", "8 ")


class Machines(Machine):
    """The machines of the document in one folder, with a database server whose archive is there too."""

    def __init__(self, folder: Path, server: Server) -> None:
        super().__init__(folder)
        self.server = server
        self.settings = {
            name: value.replace("/var/backups/", f"{server.folder}/backups/")
            for name, value in read_settings().items()
            if name not in ("restore_command", "archive_mode")
        }
        database = f"postgresql://gateway@/reports?host={server.folder}"
        self.names = {
            "/var/lib/postgresql/": f"{server.folder}/",
            **self.names,
            "/var/backups/": f"{server.folder}/backups/",
            "gateway/operations/": f"{ROOT}/gateway/operations/",
            "postgresql://gateway@db.example/reports?sslmode=verify-full": database,
        }

    def run(self, line: str) -> int:
        """Run one line; those of the server's administrator run as its user."""
        program = shlex.split(line)[0]
        if program in ("psql", "pg_basebackup"):
            line = line.replace(program, find_program(program), 1)
        return super().run(line)


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machines]:
    """New machines, with the database server running as the document's first step leaves it."""
    with Server.make_for_one_test() as server:
        machines = Machines(tmp_path, server)
        server.stop()
        for folder in ("etc/postgresql/17/main/conf.d", "etc/valkey"):
            (tmp_path / folder).mkdir(parents=True)
        for variable, value in (("PGHOST", str(server.folder)), ("PGUSER", "gateway")):
            monkeypatch.setenv(variable, value)
        monkeypatch.chdir(tmp_path)
        yield machines
        machines.stop()


def send_report(machines: Machines, *, capsys: pytest.CaptureFixture[str]) -> str:
    """Submit a report as the partner and return its id."""
    capsys.readouterr()
    words = ("report", "submit", "report.json", "--priority", "P2", "--again")
    assert run_partner([*words, "--state", str(machines.folder / "report-abuse")]) == 0
    sent = json.loads(capsys.readouterr().out)
    return str(sent["report_id"])


def list_stored(machines: Machines) -> set[str]:
    with connect(machines.server.uri("reports")) as connection:
        return {row[0] for row in connection.execute("SELECT report_id FROM reports")}


def list_archive(machines: Machines) -> list[str]:
    return sorted(path.name for path in (machines.server.folder / "backups/report-abuse/wal").iterdir())


def archive_all(server: Server) -> None:
    """Return once everything that is committed is in the archive."""
    with connect(server.uri("reports")) as connection:
        (name,) = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        connection.execute("SELECT pg_switch_wal()")
    assert wait_until(lambda: (server.folder / "backups/report-abuse/wal" / name).exists())


def test_documented_lines_set_up_two_gateways_and_a_restore_replays_the_archive(
    machines: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = []
    for line in list_lines(OPERATIONS, DOCUMENT, *SET_UP):
        ended.append((machines.run(line), line))
        if line.startswith("cp gateway/operations/postgresql"):
            machines.server.own("backups")
            # In the folder of the data, so that a base backup has it, as on a server that is not Debian's.
            with (machines.server.folder / "data/postgresql.conf").open("a", encoding="utf-8") as conf:
                conf.write("archive_mode = on\n")
            machines.server.start(**machines.settings)
        for made in ("report-abuse-desk/agency.pin", "report-abuse-gateway/gateway.card"):
            if (machines.folder / made).exists():
                shutil.copy(machines.folder / made, machines.folder)
        if " gateway add " in line:
            assert machines.run("report-abuse-gateway serve --state /var/lib/report-abuse-gateway") == 0
    assert [line for code, line in ended if code > (" doctor " in line)] == []
    assert len(ended) == 12

    desk = ("--state", str(machines.folder / "report-abuse-desk"))
    # The one account here does the partner manager's work too, and reads.
    with open_desk(machines.folder / "report-abuse-desk").store.read() as connection:
        (first,) = list_with_role(connection, Role.ADMINISTRATOR)
    give_every_role(open_desk(machines.folder / "report-abuse-desk").store, first)
    partner = ("--state", str(machines.folder / "report-abuse"))
    enrol_here(machines.folder / "report-abuse-desk", machines.folder / "report-abuse", partner="example")
    shutil.copy(EXAMPLE_REPORT, "report.json")

    before = send_report(machines, capsys=capsys)
    assert [code for code, _ in machines.run_all(OPERATIONS, DOCUMENT, "Backups")] == [0]
    (base,) = (machines.server.folder / "backups/report-abuse").glob("base-*")
    machines.names[BACKUP_DAY] = base.name.removeprefix("base-")
    archived = [send_report(machines, capsys=capsys)]
    archive_all(machines.server)

    machines.server.stop()
    kept = list_archive(machines)
    assert [code for code, _ in machines.run_all(OPERATIONS, DOCUMENT, "Restore rehearsal")] == [0, 0, 0]
    archive = f"cp {machines.server.folder}/backups/report-abuse/wal/%f %p"
    machines.server.restore("rehearsal", **machines.settings, restore_command=archive)
    assert list_stored(machines) == {before, *archived}
    machines.server.stop()
    # A second timeline in the live archive would lead the real restore astray.
    assert list_archive(machines) == kept
    machines.server.serve_from("data")
    machines.server.start(**machines.settings)

    archived.append(send_report(machines, capsys=capsys))
    archive_all(machines.server)
    collected = send_report(machines, capsys=capsys)
    assert run_desk(["collect", *desk]) == 0
    lost = send_report(machines, capsys=capsys)
    assert list_stored(machines) == {before, *archived, collected, lost}

    machines.server.stop("immediate")
    machines.stop()
    ended = []
    for line in list_lines(OPERATIONS, DOCUMENT, "After a real loss"):
        ended.append((machines.run(line), line))
        if line.startswith("echo"):
            machines.server.restore("restored", **machines.settings, restore_command=archive)
            assert list_stored(machines) == {before, *archived}
        if " restored " in line:
            assert machines.run("report-abuse-gateway serve --state /var/lib/report-abuse-gateway") == 0
    # `collect` gives 1 for the new epoch, which waits for a person who knows of the restore.
    assert [line for code, line in ended if code != (" collect " in line)] == []
    assert len(ended) == 6

    assert list_differing(list(partner), capsys=capsys) == {collected, lost}
    again = send_report(machines, capsys=capsys)
    run_desk(["collect", *desk])
    assert len(list_cases_here(machines.folder / "report-abuse-desk")) == 5
    assert again
