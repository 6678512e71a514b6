"""Nothing that a gateway answers or a person types ends `collect --every`, and no words of an error are printed."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Response
from werkzeug.serving import make_server

from gateway.config import utc_now
from gateway.desk.cases.opening import open_case
from gateway.desk.office.terminal import DONE, LOOK, TRY_AGAIN, WRONG_USE, Call
from gateway.desk.outbox import replies
from gateway.desk.outbox.queue import Outcome, count_open
from gateway.desk.running.cli import main
from gateway.desk.running.commands import collecting
from tests.builders.local_servers import run_server
from tests.desk.desk_loop import ACTOR, FEED_PORT, Loop
from tests.desk.mail_server import run_mail_server, run_receiver
from tests.desk.outbox.test_outbox_commands import set_up
from tests.desk.outbox_builders import list_all_notes, send_asking, send_notes, set_mail_server
from tests.desk.view_builders import make_code_key, make_code_seed

TYPED = "Quetzal-typed-this"


@pytest.fixture
def served(loop: Loop) -> Iterator[Loop]:
    """A desk at the time of this machine, a report that was opened, and the feed on its socket."""
    loop.clock.now = utc_now()
    loop.publish()
    set_up(loop)
    reference = loop.send_public(reply_key=make_code_key(make_code_seed("lamp"))).reference
    loop.publish_log(seconds=0)
    loop.collect()
    open_case(loop.desk, reference, actor=ACTOR)
    with run_server(make_server("127.0.0.1", FEED_PORT, loop.feed_app)):
        yield loop


def make_round(loop: Loop, *, every: float | None = 1.0) -> Callable[[], int]:
    call = Call(loop.desk.paths.state, as_json=False, actor=ACTOR)
    return partial(collecting._collect_once, call, every=every, is_reconciled=False)


def answer_with(loop: Loop, path: str, *, status: int, body: bytes) -> None:
    """Let the gateway answer one address with something else."""
    real = loop.feed_app.wsgi_app

    def lie(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == path:
            return Response(body, status, content_type="application/json")(environ, start_response)
        return real(environ, start_response)

    loop.feed_app.wsgi_app = lie  # type: ignore[method-assign]  # as a WSGI middleware is put in


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/feed/items/reply", 409, b'{"type":"x","title":"y","status":409}'),
        ("/feed/items/reply", 400, b""),
        ("/feed/items/reply", 200, b'{"results":[]}'),
        ("/feed/status", 200, b'{"x":1}'),
        ("/feed/items/report", 200, b"nonsense"),
        ("/feed/items/report", 302, b""),
        ("/feed/items/report", 401, b""),
        ("/feed/items/enrolment", 200, b"[]"),
    ],
)
def test_answer_that_makes_no_sense_ends_no_round_after_it_and_keeps_back_no_alert(
    served: Loop, capsys: pytest.CaptureFixture[str], path: str, status: int, body: bytes
) -> None:
    served.send_public(danger="yes")
    served.collect()
    with run_receiver() as posts:
        set_up(served, pager=posts.url)
        answer_with(served, path, status=status, body=body)
        assert collecting._collect_or_complain(make_round(served)) == LOOK
        assert "The next round tries again." in capsys.readouterr().err
        assert len(posts.taken) == 1
    # Without --every the error ends the command. What was refused a moment ago waits for its next try, and is named.
    code = main(["collect", "--state", str(served.desk.paths.state)])
    if path == "/feed/items/reply":
        assert code == LOOK
        assert "NOT SENT TO THE GATEWAY: 1 reply because of " in capsys.readouterr().out
    else:
        assert code in {WRONG_USE, TRY_AGAIN}


def test_step_that_fails_keeps_back_no_other_step(served: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    answer_with(served, "/feed/items/enrolment", status=200, body=b"[]")
    collecting._collect_or_complain(make_round(served))
    with served.desk.store.read() as connection:
        assert count_open(connection, "reply") == 0
    assert capsys.readouterr().err.count("The next round tries again.") == 1


@pytest.mark.parametrize("name", ["collect_reports", "send_outbox", "open_desk"])
def test_slip_of_ours_is_told_by_its_type_alone_and_the_round_ends_well(
    served: Loop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError(TYPED)

    with monkeypatch.context() as patch:
        patch.setattr(collecting, name, fail)
        assert collecting._collect_or_complain(make_round(served)) == LOOK
        assert main(["collect", "--state", str(served.desk.paths.state)]) == LOOK
    said = capsys.readouterr()
    assert said.err.count("LookupError at gateway.desk.running.commands.collecting:") == 2
    assert TYPED not in said.out + said.err
    assert collecting._collect_or_complain(make_round(served)) == DONE


def test_alert_that_fails_unexpectedly_keeps_back_no_note(
    served: Loop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError(TYPED)

    send_asking(served)
    served.collect()
    with monkeypatch.context() as patch:
        patch.setattr("gateway.desk.outbox.alerts.count_anew", fail)
        assert main(["collect", "--state", str(served.desk.paths.state)]) == LOOK
    said = capsys.readouterr()
    assert "1 notes sent" in said.out
    assert "ALERT NOT DELIVERED: unexpected, LookupError" in said.out
    assert TYPED not in said.out + said.err


def test_settings_that_are_wrong_before_the_first_round_end_it(
    served: Loop, capsys: pytest.CaptureFixture[str]
) -> None:
    served.desk.paths.config.write_text("nonsense", encoding="utf-8")
    assert main(["collect", "--every", "1", "--state", str(served.desk.paths.state)]) == WRONG_USE
    assert "next round" not in capsys.readouterr().err


def test_note_that_cannot_be_written_is_given_up_and_the_next_one_goes(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = replies.make_note_mail

    def fail_for_one(to: str, **named: Any) -> Any:
        if to.startswith(TYPED):
            raise LookupError(to)
        return make(to, **named)

    with run_mail_server() as mailbox:
        desk = set_mail_server(loop, mailbox.port)
        send_asking(loop, contact={"email": f"{TYPED}@mail.example"})
        send_asking(loop, contact={"email": "kim@mail.example"})
        loop.collect()
        monkeypatch.setattr(replies, "make_note_mail", fail_for_one)
        assert send_notes(desk) == Outcome(sent=1, given_up=1, problems={"unexpected": 1})
        assert [to for recipients, _ in mailbox.taken for to in recipients] == ["kim@mail.example"]
    assert [(row["state"], row["last_error"]) for row in list_all_notes(desk)] == [
        ("given_up", "unexpected"),
        ("sent", None),
    ]
    assert "LookupError" in caplog.text
    assert TYPED not in caplog.text


def test_address_that_is_an_encoded_word_gets_no_note(loop: Loop) -> None:
    with run_mail_server() as mailbox:
        desk = set_mail_server(loop, mailbox.port)
        send_asking(loop, contact={"email": "=?utf-8?q?a?=@example.com"})
        loop.collect()
        assert send_notes(desk) == Outcome()
    assert (mailbox.taken, list_all_notes(desk)) == ([], [])
