"""Apps for the serving tests: WSGI apps that answer with their process id. Imported by the server processes."""

import gc
import os
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from flask import Flask

from gateway.web.wsgi_bridge import WAIT_KEY, Wait
from tests.gateway.web_builders import make_test_app

Start = Callable[..., Any]
SLOW_SECONDS = 1.5
WAIT_SECONDS = 60


def make_slow_app() -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Return the app after a while, and note in the file that `LOADS` names when its loading began and ended."""
    with Path(os.environ["LOADS"]).open("a", encoding="ascii") as loads:
        print("begins", file=loads, flush=True)
        time.sleep(0.5)
        print("ends", file=loads, flush=True)
    return answer


def make_app() -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Return an app that answers with its process id; `/slow` takes a while, `/waits` waits for news that never come.

    `/garbage` answers with whether it searches for garbage, and `/crash` ends the process.
    """
    return answer


def answer(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
    """Answer one request."""
    if environ["PATH_INFO"] == "/slow":
        Path(os.environ["SERVING_TEST_MARK"]).touch()
        time.sleep(SLOW_SECONDS)
    if environ["PATH_INFO"] == "/waits":
        environ[WAIT_KEY] = Wait("caller", secrets.token_hex(8), WAIT_SECONDS, find_body=_touch_and_find_nothing)
    if environ["PATH_INFO"] == "/crash":
        os._exit(9)
    start("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/garbage":
        return [str(gc.isenabled()).encode()]
    return [str(os.getpid()).encode()]


def _touch_and_find_nothing() -> None:
    Path(os.environ["SERVING_TEST_MARK"]).with_suffix(".waits").touch()


def make_or_fail() -> Callable[[dict[str, Any], Start], Iterable[bytes]]:
    """Return the same app, or fail where the marked file is there, and leave a word in it."""
    fault = Path(os.environ["SERVING_TEST_MARK"])
    if fault.exists():
        fault.write_text("tried")
        raise RuntimeError("words that belong in no log")
    return answer


def make_web() -> Flask:
    """Return the small web app of the other tests."""
    return make_test_app()


def fail() -> Flask:
    """Fail as an app with a bad setting does."""
    raise RuntimeError("words that belong in no log")
