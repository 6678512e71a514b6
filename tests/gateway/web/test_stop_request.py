"""A request to stop reaches the loop that waits for it, whatever it is doing when the signal comes."""

import os
import signal
import subprocess
import sys
import threading

from gateway.web.serving import stop_on_signals
from tests.house.sources import ROOT

# A signal at each call inside the wait: one that comes while a lock is held would leave the process waiting for ever.
HIT_EVERY_MOMENT = """
import signal, sys
from gateway.web.serving import stop_on_signals
hits = 0
def hit(frame, event, argument):
    global hits
    hits += 1
    signal.raise_signal(signal.SIGTERM)
with stop_on_signals() as stop:
    sys.setprofile(hit)
    stop.wait(0.01)
    sys.setprofile(None)
    assert stop.is_set()
assert hits >= 3, hits
print("stopped")
"""


def test_signal_at_any_moment_of_the_wait_is_a_request() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HIT_EVERY_MOMENT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "stopped\n"


def test_request_is_made_once_and_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        assert not stop.wait(0.01)
        timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        assert stop.wait(30)
        assert stop.is_set()
        timer.join()
    assert signal.getsignal(signal.SIGTERM) is before
