"""Writes a release's constants: the hashes and the icon in release.py, then the golden files, and the npm package's
components.

Run once, when a version is released: `python -m tests.sdk.renew_button_release`. Never for a file that was released.
"""

import base64
import hashlib
import importlib
import re
from pathlib import Path
from typing import Final

from partner_sdk.button import frameworks, snippet

REPOSITORY: Final = Path(__file__).parents[2]
WIDGET: Final = REPOSITORY / "widget"
BUTTON: Final = REPOSITORY / "partner_sdk" / "button"
GOLDEN: Final = BUTTON / "golden"
# Of every golden file: addresses that nobody owns.
ORIGIN: Final = "https://report.example"
PLACEMENT: Final = "example-chat-profile"


def format_integrity(raw: bytes) -> str:
    """Return bytes as `integrity` names them."""
    return "sha384-" + base64.b64encode(hashlib.sha384(raw).digest()).decode()


def read_shapes(icon: str) -> str:
    """Return the content of the <svg> of the released icon."""
    (shapes,) = re.findall(r"<svg\b[^>]*>(.*)</svg>", icon, re.DOTALL)
    return str(shapes).strip()


def renew_release(folder: Path) -> None:
    """Write the hashes and the icon of the files in a folder into release.py."""
    script, icon = (folder / Path(path).name for path in (snippet.SCRIPT_PATH, snippet.ICON_PATH))
    file = BUTTON / "release.py"
    text = file.read_text(encoding="utf-8")
    for name, path in (("SCRIPT_INTEGRITY", script), ("ICON_INTEGRITY", icon)):
        text = re.sub(
            rf'^{name}: Final = ".*"$', f'{name}: Final = "{format_integrity(path.read_bytes())}"', text, flags=re.M
        )
    shapes = read_shapes(icon.read_text(encoding="utf-8"))
    parts = [shapes[start : start + 100] for start in range(0, len(shapes), 100)]
    lines = "".join(f"    {_quote(part)}\n" for part in parts)
    text = re.sub(r"^ICON_SHAPES: Final = \(\n.*?^\)$", f"ICON_SHAPES: Final = (\n{lines})", text, flags=re.M | re.S)
    file.write_text(text, encoding="utf-8")


def renew_golden() -> None:
    """Write one file for each language and form."""
    importlib.reload(snippet)
    importlib.reload(snippet)
    for language in snippet.LANGUAGES:
        for form in snippet.FORMS:
            html = snippet.make_snippet(ORIGIN, placement=PLACEMENT, language=language, form=form)
            (GOLDEN / f"{language}-{form}.html").write_text(html, encoding="utf-8")


def renew_components() -> None:
    """Write the components of the npm package, which name no agency and no place."""
    for framework, text in make_components().items():
        (WIDGET / f"{framework}.js").write_text(text, encoding="utf-8")


def make_components() -> dict[str, str]:
    """Return the text of each component, by its framework."""
    return {
        one: frameworks.make_component(one, origin=None, placement=None, style=snippet.ButtonStyle())
        for one in frameworks.FRAMEWORKS
    }


def _quote(part: str) -> str:
    # As ruff spells it: the icon holds double quotes and no single ones.
    return f"'{part}'" if '"' in part else f'"{part}"'


if __name__ == "__main__":
    renew_release(WIDGET / snippet.VERSION)
    renew_golden()
    renew_components()
