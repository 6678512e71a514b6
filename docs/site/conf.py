"""The site that `make docs` builds: the project's documents as they are, by what their readers do.

Sphinx with MyST (BSD, MIT) reads the files where they lie, so every link works on the site and in the repository. Furo
brings its own styles and takes fonts of the reader's machine: no page asks another host for anything. With `-W` a
broken link, a missing anchor or a page outside `NAVIGATION` ends the build. Looked at in November 2026: MkDocs has had
no release for two years, and Zensical calls itself alpha and weighs twice as much (90 MB).
"""

import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]

# By what a reader does. Decisions are listed on the page of the architecture.
NAVIGATION: Final[dict[str, tuple[str, ...]]] = {
    "Report": ("docs/readers/schools", "docs/reading-age", "docs/panel/README"),
    "Embed the button": ("docs/readers/developers", "docs/placement", "docs/guides/native", "widget/README"),
    "Submit reports": (
        "docs/readers/trust-and-safety",
        "docs/guides/console",
        "docs/guides/python",
        "docs/guides/any-language",
        "partner_sdk/README",
        "partner_sdk/npm/README",
        "docs/guides/digest",
        "docs/fields",
        "partner_sdk/WIRE",
    ),
    "Receive packages": ("docs/guides/packages", "docs/package"),
    "Work at the desk": ("docs/readers/agency", "docs/casework", "docs/queue", "docs/partners", "docs/data"),
    "Run": (
        "docs/readers/operators",
        "docs/running",
        "docs/settings",
        "docs/operations",
        "docs/slo",
        "docs/performance",
    ),
    "Review": (
        "docs/threat-model",
        "docs/anonymity",
        "SECURITY",
        "docs/requirements",
        "docs/architecture",
        "CHANGELOG",
    ),
}
DECISIONS: Final = "docs/decisions/*"

project = "Report Abuse"
extensions = ["myst_parser"]
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/**.md",
    "partner_sdk/*.md",
    "partner_sdk/npm/README.md",
    "widget/README.md",
]
# ABOUT.md is the SDK's page at a package index: it says again what its README says.
exclude_patterns = [".venv", "build", "partner_sdk/ABOUT.md"]
root_doc = "README"

myst_enable_extensions = ["html_image"]  # pictures in the HTML of the README
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # `<svg ...>` stands for the icon

html_theme = "furo"
html_title = "Report Abuse"
html_favicon = "../../gateway/public/static/icon.svg"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_additional_pages = {"index": "to_front.html"}
templates_path = ["."]


def prepare_page(_: Any, name: str, source: list[str]) -> None:
    """Give the front page its navigation and the architecture its decisions; leave links to folders unlinked.

    A repository lists a folder's files: `[decisions/](decisions/)` becomes `decisions/`.
    """
    folder = (ROOT / name).parent

    def find_link(link: re.Match[str]) -> str:
        return link[1] if (folder / link[2]).is_dir() else link[0]

    source[0] = re.sub(r"(?<!!)\[([^]]+)\]\(([^):#\s]+)\)", find_link, source[0])
    if name == root_doc:
        for caption, pages in NAVIGATION.items():
            lines = ["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]
            source[0] += "\n\n" + "\n".join(lines) + "\n"
    elif name == "docs/architecture":
        source[0] += f"\n## Decisions\n\n```{{toctree}}\n:glob:\n:maxdepth: 1\n\n/{DECISIONS}\n```\n"


def setup(app: Any) -> None:
    """Register the handler; Sphinx calls this."""
    app.connect("source-read", prepare_page)
