"""Figures of the button: what a service's page loads for it, and what the browser's main thread does for it.

    .venv/bin/python -m tests.bench.button

Chromium opens the page so many times, each in a new profile, and beside each a control: the same page without the
script. Its trace says when our script ran, how long, and of that how long on the processor (another program that takes
the core away makes the first one longer, not the second). The element draws in several tasks: each run is counted, from
the file itself to its timers and callbacks; the longest run is the delay a reader could feel, and the bar. Style,
layout and paint of the page are the difference to the control. The floor is a third page, whose script defines an
element that does nothing: no custom element can take less.

Whichever script of a page runs first pays for the browser's setting up of its engine. So the button and the floor are
opened twice: alone, where that is theirs, and in a page that ran a script of its own before, as a service's page does.
"""

import gzip
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import brotli

from partner_sdk.button.snippet import SCRIPT_PATH, VERSION, make_snippet
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.widget.agency_door import AgencyDoor, open_agency_door
from tests.widget.browsers import LOOK, SETTLED, Chromium, open_chromium_visitor
from tests.widget.host_pages import SCRIPT, HostPages, make_page, serve_host_pages

PLACEMENT = "example-chat-profile"
MOST_SCRIPT_BYTES, MOST_LINK_BYTES, MOST_RUN_MS = 1200, 300, 1.0
# The file, and the tasks that it asks for: fewer would be a trace that was not read.
LEAST_RUNS = 6
FLOOR_SCRIPT = "/floor.js"
EMPTY_ELEMENT = "customElements.define('report-abuse-button', class extends HTMLElement {})"
OWN_SCRIPT = "<script>document.documentElement.dataset.own = 'ran'</script>"
SCRIPT_END = "</report-abuse-button>\n"  # what stands behind it is the script alone
# No more than the figures need: what else is traced is traced in the same tasks, and makes them longer.
CATEGORIES = ["devtools.timeline", "v8"]
OURS = {"EvaluateScript", "v8.compile", "FunctionCall"}
DRAWING = {"UpdateLayoutTree", "Layout", "PrePaint", "Paint", "Layerize", "Commit"}


@dataclass(frozen=True, slots=True)
class Load:
    """The main thread's work in one opening of a page, in milliseconds."""

    runs: int  # of our script: its file, its timers, and whatever the browser called in it outside of both
    longest_run_ms: float  # compiling and running, by the clock
    longest_run_cpu_ms: float  # of that on the processor
    script_ms: float  # all runs together
    script_cpu_ms: float
    drawing_ms: float  # style, layout and paint of the whole page


def list_sizes() -> dict[str, dict[str, int]]:
    """Measure the released files and both snippets: raw, gzip 9 and brotli 11."""
    released = files("widget").joinpath(VERSION)
    link = make_snippet("https://report.example", placement=PLACEMENT, form="link")
    wholes = {
        "script": released.joinpath("report-abuse-button.js").read_bytes(),
        "icon": released.joinpath("button.svg").read_bytes(),
        "snippet without script": link.encode(),
        "its link alone": link.splitlines()[1].encode(),
        "snippet with script": make_snippet("https://report.example", placement=PLACEMENT).encode(),
    }
    return {
        name: {"raw": len(raw), "gzip": len(gzip.compress(raw, 9)), "brotli": len(brotli.compress(raw, quality=11))}
        for name, raw in wholes.items()
    }


def list_complete(trace: bytes) -> Iterator[dict[str, Any]]:
    """List the complete events of a trace, those with a start and a length, and the moments when timers were set."""
    for event in json.loads(trace)["traceEvents"]:
        if event.get("ph") == "X" or event["name"] == "TimerInstall":
            yield event


def is_of_file(event: dict[str, Any], script: str) -> bool:
    """Return whether an event compiles, runs or calls code of a file."""
    data = event.get("args", {}).get("data", {}) or event.get("args", {})
    return event["name"] in OURS and str(data.get("url") or data.get("fileName", "")) == script


def list_runs(events: list[dict[str, Any]], script: str) -> list[dict[str, Any]]:
    """List the runs of a file in order: events that name it, and each timer set in one of its runs.

    A timer that resolves a promise calls no function of the file by name: its creator identifies it.
    """
    ours = [event for event in events if is_of_file(event, script)]
    set_at = {_name_timer(event): event for event in events if event["name"] == "TimerInstall"}
    for fired in sorted((event for event in events if event["name"] == "TimerFire"), key=lambda event: event["ts"]):
        was_set = set_at.get(_name_timer(fired))
        if was_set is not None and any(is_within(was_set, run) for run in ours):
            ours.append(fired)
    return list_outermost(ours)


def _name_timer(event: dict[str, Any]) -> tuple[Any, ...]:
    data = event["args"]["data"]
    return event["pid"], event["tid"], data.get("frame"), data["timerId"]


def is_within(event: dict[str, Any], task: dict[str, Any]) -> bool:
    """Return whether an event lies inside a task of the same thread."""
    begins, ends = task["ts"], task["ts"] + task["dur"]
    return (event["pid"], event["tid"]) == (task["pid"], task["tid"]) and begins <= event["ts"] < ends


def list_outermost(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out events that lie inside another one: their time is counted there."""
    return [one for one in events if not any(one is not other and is_within(one, other) for other in events)]


def sum_ms(events: Iterable[dict[str, Any]], length: str) -> float:
    """Add up lengths, given in microseconds."""
    return sum(event.get(length, 0) for event in events) / 1000


def read_trace(trace: bytes, *, script: str, page: str) -> Load:
    """Find our script's part of a trace, and the drawing of the page."""
    events = list(list_complete(trace))
    runs = list_runs(events, script)
    main = {(event["pid"], event["tid"]) for event in events if event["name"] == "ParseHTML" and page in str(event)}
    drawing = [event for event in events if event["name"] in DRAWING and (event["pid"], event["tid"]) in main]
    return Load(
        len(runs),
        max((sum_ms([run], "dur") for run in runs), default=0.0),
        max((sum_ms([run], "tdur") for run in runs), default=0.0),
        sum_ms(runs, "dur"),
        sum_ms(runs, "tdur"),
        sum_ms(list_outermost(drawing), "dur"),
    )


def load_once(chromium: Chromium, address: str, *, script: str) -> Load:
    """Open a page in a new profile, under a trace."""
    context = chromium.browser.new_context()
    try:
        page = context.new_page()
        page.goto("about:blank")
        chromium.browser.start_tracing(page=page, categories=CATEGORIES)
        page.goto(address)
        page.evaluate(SETTLED[1])
        return read_trace(chromium.browser.stop_tracing(), script=script, page=address)
    finally:
        context.close()


def look_once(chromium: Chromium, address: str, agency: AgencyDoor) -> dict[str, int]:
    """Count the page's other requests, and the traces left in the profile."""
    context = chromium.browser.new_context()
    try:
        page = context.new_page()
        page.add_init_script("window.noted = {}")
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        agency.requests.clear()
        page.goto(address)
        page.evaluate(SETTLED[1])
        seen = page.evaluate(LOOK)
        assert [button["isDressed"] for button in seen["buttons"]] == [True]
        stored = sum(seen["stored"]) + len(context.cookies())
        return {"requests": len(requests) - 1, "requests_at_agency": len(agency.paths), "stored": stored}
    finally:
        context.close()


def put_pages(host: HostPages, agency: AgencyDoor) -> dict[str, tuple[str, str]]:
    """Show the button, the control without the script, the floor, whose script does nothing, and two beside an own one.

    Returns for each the address of the page, and of the script whose runs count.
    """
    ours, floor = f"{agency.url}{SCRIPT_PATH}", host.put(FLOOR_SCRIPT, EMPTY_ELEMENT, content_type=SCRIPT)
    snippet = make_snippet(agency.url, placement=PLACEMENT)
    element, end, _ = snippet.partition(SCRIPT_END)
    empty = f'{element}{end}<script src="{floor}" defer></script>'
    return {
        "button": (host.put("/button", make_page(snippet)), ours),
        "control": (host.put("/control", make_page(element + end)), ours),
        "floor": (host.put("/floor", make_page(empty)), floor),
        "button beside own": (host.put("/button-beside-own", make_page(OWN_SCRIPT + snippet)), ours),
        "floor beside own": (host.put("/floor-beside-own", make_page(OWN_SCRIPT + empty)), floor),
    }


def run(*, loads: int) -> list[Figure]:
    """Measure everything. Raises `AssertionError` where a page asked for more than the script, or a trace is empty."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_agency_door(Path(folder)) as agency,
        serve_host_pages() as host,
        open_chromium_visitor() as chromium,
    ):
        pages = put_pages(host, agency)
        with_button, script = pages["button"]
        counted = look_once(chromium, with_button, agency)
        load_once(chromium, with_button, script=script)  # the first page of a browser is slower, whatever it holds
        made: dict[str, list[Load]] = {name: [] for name in pages}
        for _ in range(loads):
            for name, (page, ours) in pages.items():
                made[name].append(load_once(chromium, page, script=ours))
    assert all(load.runs >= LEAST_RUNS for load in made["button"] + made["button beside own"])
    assert all(load.runs == 0 for load in made["control"])
    assert counted == {"requests": 1, "requests_at_agency": 1, "stored": 0}
    return [*list_size_figures(list_sizes()), *list_time_figures(made)]


def list_size_figures(sizes: dict[str, dict[str, int]]) -> Iterator[Figure]:
    """List the size of everything a page loads; a bar counts for one way of packing."""
    bars = {("script", "brotli"): MOST_SCRIPT_BYTES, ("its link alone", "raw"): MOST_LINK_BYTES}
    bars["snippet without script", "brotli"] = MOST_LINK_BYTES
    for name, size in sizes.items():
        for packing, count in size.items():
            yield make_figure(f"{name}, {packing}", count, unit="bytes", most=bars.get((name, packing)))


def list_time_figures(made: dict[str, list[Load]]) -> Iterator[Figure]:
    """List the longest run of a script in each page; the bar is for the longest of all loads."""
    for name in ("button", "floor", "button beside own", "floor beside own"):
        runs = [load.longest_run_cpu_ms for load in made[name]]
        yield make_figure(f"{name}: longest run of each of {len(runs)} loads, CPU", runs, unit="ms")
        bar = MOST_RUN_MS if name.startswith("button") else None
        yield make_figure(f"{name}: longest run of all loads, CPU", max(runs), unit="ms", most=bar)
    dressed = made["button"]
    yield make_figure("button: all runs of a load, CPU", [load.script_cpu_ms for load in dressed], unit="ms")
    yield make_figure(
        "button: longest run of each load, by the clock", [load.longest_run_ms for load in dressed], unit="ms"
    )


def main() -> int:
    """Run the benchmark and print its figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--loads", type=int, default=50, help="how often each page is opened (default: 50)")
    words = parser.parse_args()
    print_figures(run(loads=words.loads), as_json=words.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
