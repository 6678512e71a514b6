"""Figures of the house's width, each with a budget in `budgets.toml` that only falls.

    .venv/bin/python -m tests.house.budgets

prints the figures of today as that file has them. Not a test.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tests.desk.loop_model import copy_loop
from tests.desk.view_builders import Browser
from tests.gateway.public.fixtures import make_public_house
from tests.house.sources import LEFT_OUT, ROOT, files

FILE: Final = ROOT / "tests/house/budgets.toml"
# Each is counted without those inside it: the desk, and the packages that a service installs beside the SDK.
LINES_OF: Final = ("gateway", "gateway/desk", "partner_sdk", "partner_sdk/console", "partner_sdk/reader", "tests")


def _list_python(room: str) -> list[Path]:
    inner = [ROOT / one for one in LINES_OF if one.startswith(f"{room}/")]
    return [path for path in files(".py", below=(room,)) if not any(map(path.is_relative_to, inner))]


def count_lines(room: str) -> int:
    """Return the lines of Python in a room."""
    return sum(len(path.read_text("utf-8").splitlines()) for path in _list_python(room))


def count_modules() -> int:
    """Return the modules of the product."""
    return len(files(".py"))


def count_words() -> int:
    """Return the words of all documents."""
    found = [path for path in ROOT.rglob("*.md") if LEFT_OUT.isdisjoint(path.relative_to(ROOT).parts)]
    return sum(len(path.read_text("utf-8").split()) for path in found if ".pytest_cache" not in path.parts)


def list_loaded() -> list[str]:
    """Return the modules of the SDK that `from partner_sdk import Partner` loads in a new process."""
    program = (
        "import sys; from partner_sdk import Partner; print(*(n for n in sys.modules if n.startswith('partner_sdk')))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def find_entered(act: Callable[[], object]) -> set[str]:
    """Return the modules of the product that run while something is done."""
    entered = set[str]()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            entered.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    rooms = tuple(f"{ROOT / room}/" for room in ("gateway", "partner_sdk"))
    # A template runs as Python too, under its own name.
    return {name for name in entered if name.startswith(rooms) and name.endswith(".py")}


def measure_acts() -> dict[str, int]:
    """Return the modules that each act on the way of a report enters; each is done once before, uncounted."""
    found = dict[str, set[str]]()
    with tempfile.TemporaryDirectory() as name:
        house = make_public_house(Path(name))
        house.person().start().walk_to("/14").send()
        person = house.person().start()
        found["form to check"] = find_entered(lambda: person.walk_to("/14"))
        found["send"] = find_entered(person.send)
    with tempfile.TemporaryDirectory() as name:
        loop = copy_loop(Path(name))
        loop.send_industry()
        found["post report"] = find_entered(loop.send_industry)
        loop.collect()
        loop.send_public()
        found["collect"] = find_entered(loop.collect)
        browser = Browser(loop.desk)
        browser.sign_in()
        case = browser.get("/").text.split('href="/cases/')[1].split('"')[0]
        found["list"] = find_entered(lambda: browser.get("/"))
        browser.get(f"/cases/{case}")
        found["open a case"] = find_entered(lambda: browser.get(f"/cases/{case}"))
    on_the_way = set[str]().union(*(found[act] for act in found if act != "post report"))
    return {**{act: len(modules) for act, modules in found.items()}, "form to the desk's page": len(on_the_way)}


def measure() -> dict[str, dict[str, int]]:
    """Return every figure, by group and name."""
    return {
        "lines": {room: count_lines(room) for room in LINES_OF},
        "modules": {"product": count_modules(), "loaded by partner_sdk": len(list_loaded())},
        "modules entered": measure_acts(),
        "words": {"documents": count_words()},
    }


def main() -> int:
    """Print the figures, with lines and words up to the next hundred."""
    for group, figures in measure().items():
        step = 100 if group in ("lines", "words") else 1
        rows = [f'"{name}" = {{ most = {-(-figure // step) * step} }}' for name, figure in figures.items()]
        sys.stdout.write("\n".join([f'["{group}"]', *rows]) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
