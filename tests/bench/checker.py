"""False alarms of the button's checker: our button, correctly pasted, in pages and themes that are not ours.

    .venv/bin/python -m tests.bench.checker FOLDER... [--browser]

Each HTML file below the folders is checked as it is, which must say that it has no button, and with the button pasted
in at up to three places, in both forms. Each CSS file is a theme: a page of ours is checked with it. `--browser` judges
them as Chromium shows them, on a phone, with no network but the agency's files: a page at one place, by turns in one
form or the other, a theme in both. A false alarm is any fault of a pasted button; the codes are counted, advice too.
Its name and code are printed for each page with a fault. The pages and themes are not ours and not in this repository.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser

from partner_sdk.console.check import check_link
from partner_sdk.console.check.browser import open_chromium
from partner_sdk.console.check.browser_check import check_in_browser
from partner_sdk.errors import ReportAbuseError
from partner_sdk.wire.button import ButtonCheck
from tests.bench.figures import Figure, make_figure, make_parser, print_figures
from tests.sdk.button.pages import ADDRESS, PLAIN, WITH_SCRIPT, make_page
from tests.sdk.button.pasting import paste
from tests.widget.checked_pages import EXPECTED, NOW, PHONE, serve_agency

SNIPPETS: Final = {"script": WITH_SCRIPT, "link": PLAIN}
NO_BUTTON: Final = frozenset({"no-button", "own-report-link"})
MOST_FALSE_ALARMS: Final = 1

Check = Callable[[bytes], ButtonCheck]


@dataclass(slots=True)
class Tally:
    """What was checked, and what was found."""

    pages: int = 0
    themes: int = 0
    checks: int = 0
    without_button: int = 0
    not_told_apart: list[str] = field(default_factory=list)
    no_verdict: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    faulty: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, raw: bytes, *, check: Check, has_button: bool) -> None:
        """Check one page, and count its findings."""
        try:
            found = check(raw)
        except ReportAbuseError as error:  # said in words: e.g. the page has too many tags
            self.no_verdict.append(f"{name}: {error}")
            return
        except Exception as error:  # noqa: BLE001 - a crash is what is looked for
            self.crashes.append(f"{name}: {type(error).__name__}: {error}"[:300])
            return
        codes = [one.code for one in found.findings]
        self.checks += 1
        if not has_button:
            self.without_button += 1
            if not codes or not NO_BUTTON.issuperset(codes):
                self.not_told_apart.append(f"{name}: {', '.join(codes)}")
            return
        if found.result == "unreachable":  # e.g. its own script leads to another page
            self.no_verdict.append(f"{name}: {', '.join(codes)}")
            return
        faults = [one for one in found.findings if one.severity == "fault"]
        self.faults.update(one.code for one in faults)
        self.others.update(one.code for one in found.findings if one not in faults)
        self.faulty += [f"{name}: {one.code}: {one.what}" for one in faults]


def check_text(raw: bytes) -> ButtonCheck:
    """Check the link of a page by its source, as its server would send it."""
    return check_link(raw, address=ADDRESS, expected=EXPECTED, now=NOW, headers={"Content-Type": "text/html"})


def check_shown(raw: bytes, *, browser: Browser) -> ButtonCheck:
    """Check a page on a phone, with no network but the agency's files."""
    return check_in_browser(
        raw,
        browser=browser,
        address=ADDRESS,
        expected=EXPECTED,
        now=NOW,
        headers={"Content-Type": "text/html"},
        screens=PHONE,
        prepare=serve_agency,
    )


def list_files(folders: list[Path], *suffixes: str) -> Iterator[Path]:
    """Yield the files of some kinds below the folders, each content once."""
    seen = set[bytes]()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in suffixes and (digest := sha256(path.read_bytes()).digest()) not in seen:
                seen.add(digest)
                yield path


def measure(folders: list[Path], *, browser: Browser | None) -> Tally:
    """Check every page and theme below the folders."""
    tally = Tally()
    check: Check = check_text if browser is None else partial(check_shown, browser=browser)
    for path in list_files(folders, ".html", ".htm"):
        raw = path.read_bytes()
        tally.add(path.name, raw, check=check_text, has_button=False)
        for form, snippet in SNIPPETS.items():
            pasted = paste(raw, snippet=snippet)
            if browser is not None:
                pasted = pasted[:1] if (tally.pages % 2 == 0) == (form == "script") else []
            for page in pasted:
                tally.add(f"{path.name} ({form})", page, check=check, has_button=True)
        tally.pages += 1
    for path in list_files(folders, ".css"):
        style = f"<style>{path.read_text('utf-8').replace('</style', '')}</style>"
        for form, snippet in SNIPPETS.items():
            page = make_page(snippet, head=style).encode()
            tally.add(f"{path.name} ({form})", page, check=check, has_button=True)
        tally.themes += 1
    return tally


def list_figures(tally: Tally, *, seconds: float) -> Iterator[Figure]:
    """Yield the figures of the table."""
    yield make_figure("pages", tally.pages)
    yield make_figure("themes", tally.themes)
    yield make_figure("checks", tally.checks)
    yield make_figure("pages without a button not told so", len(tally.not_told_apart), most=0)
    yield make_figure("checks without a verdict", len(tally.no_verdict))
    yield make_figure("crashes", len(tally.crashes), most=0)
    yield make_figure("faults of a pasted button", sum(tally.faults.values()), most=MOST_FALSE_ALARMS)
    yield from (make_figure(f"fault {code}", count) for code, count in tally.faults.most_common())
    yield from (make_figure(f"advice {code}", count) for code, count in tally.others.most_common())
    yield make_figure("a check", seconds / max(tally.checks, 1), unit="s")


def main(words: list[str] | None = None) -> int:
    """Print the figures of the checker over folders of saved pages and themes."""
    parser = make_parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--browser", action="store_true", help="judge them as Chromium shows them")
    given = parser.parse_args(words)
    began = time.monotonic()
    with open_chromium(is_root=True) if given.browser else nullcontext() as browser:
        tally = measure(given.folders, browser=browser)
    print_figures(list_figures(tally, seconds=time.monotonic() - began), as_json=given.json)
    for line in (*tally.crashes, *tally.not_told_apart, *tally.no_verdict, *tally.faulty):
        sys.stderr.write(f"{line}\n")
    return 1 if tally.crashes else 0


if __name__ == "__main__":
    sys.exit(main())
