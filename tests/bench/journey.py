"""Figures of the public door: whole journeys through the short form, with its real pages, redirects, cookies and Send.

    .venv/bin/python -m tests.bench.journey

Each walker comes from a network of its own, as children do: from a single one, Send would soon ask for a wait. Only
server CPU counts: the walker's own is left out, so rates by the clock mean little. Each window of whole journeys has
one beside it that stops before Send, and the key of a return code is stretched here as often: together they say where
the time goes.
"""

import itertools
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from gateway.demo.loop import ANSWERS, Loop
from gateway.demo.walks import walk_to_thanks
from gateway.public.returning import derive_return_keys, draw_code, load_return_words
from gateway.public.wording import load_wording
from partner_sdk.wire.canonical import decode, encode, parse_base64url, parse_time
from partner_sdk.wire.signing import KeySet, KeySetBundle, get_active_sealing_key
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.bench.process_times import cpu_seconds_of_group, find_listener_group
from tests.gateway.public.phone_builders import seal_body

WALKERS = 4
CHECK_HEADING = load_wording("en").screen("check")["title"]
networks = itertools.count()


@dataclass(frozen=True, slots=True)
class Window:
    """The costs of one journey of a window."""

    cpu_seconds: float
    requests: float


class WalkerSession(requests.Session):
    """Comes from a network of its own, and counts the requests of one walk, redirects included."""

    requests_sent = 0

    def __init__(self) -> None:
        super().__init__()
        number = next(networks)
        # Another /24 each: believed, because this gateway stands behind a proxy (`trust_proxy`).
        self.headers["X-Forwarded-For"] = f"10.{number >> 8 & 255}.{number & 255}.1"

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        """Count one request and send it."""
        self.requests_sent += 1
        return super().send(request, **settings)


def walk_once(origin: str) -> int:
    """Walk one journey to its reference and return how many requests it took."""
    session = WalkerSession()
    if not walk_to_thanks(origin, ANSWERS, session=session):
        raise SystemExit("A walk ended without a reference.")
    return session.requests_sent


class BeforeSendError(Exception):
    """The walk has come to the page with the Send button."""


def walk_to_check(origin: str) -> int:
    """Walk one journey up to the check page and return how many requests it took."""
    session = WalkerSession()

    def stop_at_check(heading: str) -> None:
        if heading == CHECK_HEADING:
            raise BeforeSendError

    with suppress(BeforeSendError):
        walk_to_thanks(origin, ANSWERS, session=session, on_page=stop_at_check)
        raise SystemExit("A walk never came to the check page.")
    return session.requests_sent


def send_on_phone(origin: str) -> int:
    """Make the requests of one journey on the phone that reach Python, with its sealed report; return how many."""
    session, posted = WalkerSession(), {"Origin": origin, "Content-Type": "application/json"}
    for path in ("/", "/form"):
        session.get(origin + path, headers={"Accept-Encoding": "br"}).raise_for_status()
    answer = session.post(f"{origin}/form/visit", data=b'{"language":"en","is_new":true}', headers=posted)
    visit = answer.json()
    payload = parse_base64url(decode(visit["key_set"], kind=KeySetBundle).key_set.payload)
    key = get_active_sealing_key(decode(payload, kind=KeySet), now=parse_time(visit["now"]))
    posted["X-CSRFToken"] = visit["csrf_token"]
    session.post(f"{origin}/form", data=encode(seal_body(visit, key=key)), headers=posted).raise_for_status()
    return session.requests_sent


def run_window(walk: Callable[[str], int], loop: Loop, *, group: int, journeys: int) -> Window:
    """Walk `journeys` journeys, a few at once; returns server-CPU-seconds and requests for one journey."""
    before = cpu_seconds_of_group(group)
    with ThreadPoolExecutor(WALKERS) as pool:
        sent = sum(pool.map(walk, [loop.origin] * journeys))
    return Window((cpu_seconds_of_group(group) - before) / journeys, sent / journeys)


def measure_stretching(times: int = 20) -> float:
    """Return the CPU-seconds that one key of a return code takes on this machine, now."""
    code = draw_code(load_return_words(), random=secrets.token_bytes)
    start = time.process_time()
    for _ in range(times):
        derive_return_keys(code, reference="K7QF-2M9TX-D")
    return (time.process_time() - start) / times


def trust_proxy(state: Path) -> None:
    """Have the gateway take callers' networks from a proxy in front of it: a setting, as in any real installation."""
    config = state / "gateway.toml"
    text, found = re.subn(r"(?m)^trusted_proxies = \d+$", "trusted_proxies = 1", config.read_text("utf-8"))
    if found != 1:
        raise SystemExit("gateway.toml has no line for trusted_proxies.")
    config.write_text(text, "utf-8")


def run(folder: Path, *, port: int, windows: int, journeys: int) -> list[Figure]:
    """Set up a real gateway under `folder`, run the windows, return the figures."""
    loop = Loop(folder, port=port)
    try:
        loop.make_keys()
        trust_proxy(loop.gateway_state)
        loop.start_gateway()
        loop.run_desk("publish")
        group = find_listener_group(loop.ports.gateway)
        run_window(walk_once, loop, group=group, journeys=WALKERS)  # warms up
        run_window(send_on_phone, loop, group=group, journeys=8 * WALKERS)  # each worker makes its document once
        whole, before_send, keys, sealed = [], [], [], []
        for _ in range(windows):
            whole.append(run_window(walk_once, loop, group=group, journeys=journeys))
            before_send.append(run_window(walk_to_check, loop, group=group, journeys=journeys))
            keys.append(measure_stretching())
            sealed.append(run_window(send_on_phone, loop, group=group, journeys=journeys))
    finally:
        loop.stop()
    rest = [w.cpu_seconds - p.cpu_seconds - key for w, p, key in zip(whole, before_send, keys, strict=True)]
    return [
        make_figure(
            "journeys a server-CPU-second, words and their key included", [1 / w.cpu_seconds for w in whole], least=25
        ),
        make_figure(
            "requests a server-CPU-second before Send", [p.requests / p.cpu_seconds for p in before_send], least=700
        ),
        make_figure(
            "journeys on the phone a server-CPU-second, the first page included",
            [1 / one.cpu_seconds for one in sealed],
            least=100,
        ),
        make_figure(
            "journeys on the phone for one of the plain way",
            [plain.cpu_seconds / one.cpu_seconds for plain, one in zip(whole, sealed, strict=True)],
        ),
        make_figure("requests of a journey, with redirects", whole[0].requests),
        make_figure("a whole journey", [1000 * w.cpu_seconds for w in whole], unit="ms of CPU"),
        make_figure("its pages before Send", [1000 * p.cpu_seconds for p in before_send], unit="ms of CPU"),
        make_figure(
            "the key of the return code (Argon2id), alone", [1000 * key for key in keys], unit="ms of CPU", most=15
        ),
        make_figure("Send without that key, and the thank-you page", [1000 * one for one in rest], unit="ms of CPU"),
    ]


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--windows", type=int, default=5, help="counted windows (default: 5)")
    parser.add_argument("--journeys", type=int, default=40, help="journeys in a window (default: 40)")
    parser.add_argument("--port", type=int, default=8780, help="first of the ports that are used (default: 8780)")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = run(Path(folder) / "loop", port=words.port, windows=words.windows, journeys=words.journeys)
    print_figures(figures, as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
