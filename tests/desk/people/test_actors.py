"""Every actor of the audit log is a person of the desk by handle, or the desk itself."""

import re

from sqlalchemy import select

from gateway.desk.people.permissions import BY_THE_DESK
from gateway.desk.people.register import list_people
from gateway.desk.store.schema import AUDIT
from tests.desk.desk_loop import Loop
from tests.desk.outbox_builders import send_alerts
from tests.desk.view_builders import Browser
from tests.house.sources import files

TYPED = re.compile(r"""(?:actor|_by|\bby)=f?["']|^_?[A-Z_]*ACTOR[A-Z_]*: Final = ["']""", re.MULTILINE)


def test_no_actor_is_a_text_of_the_code() -> None:
    sources = files(".py", below=("gateway/desk",))
    assert len(sources) >= 150
    assert [path.name for path in sources if TYPED.search(path.read_text("utf-8"))] == []
    assert TYPED.search('append_entry(connection, "x", "y", at=now, actor="pager")')
    assert TYPED.search('_ACTOR: Final = "runner"')


def test_actors_of_a_loop_are_people_and_the_desk(loop: Loop) -> None:
    reference = loop.send_public(feels="hurting", under_18="no").reference
    loop.collect()
    send_alerts(loop.desk)
    browser = Browser(loop.desk).sign_in()
    with loop.desk.store.read() as connection:
        case_id = next(iter(connection.exec_driver_sql("SELECT case_id FROM cases"))).case_id
    assert reference in browser.post(f"/cases/{case_id}/read").text
    with loop.desk.store.read() as connection:
        actors = set(connection.execute(select(AUDIT.c.actor)).scalars())
        people = {one.person for one in list_people(connection)}
    assert BY_THE_DESK in actors
    assert "a-assessor" in actors
    assert actors <= people | {BY_THE_DESK}
