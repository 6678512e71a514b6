"""In the dark a page differs by its colours alone, so tests in a browser look there at contrast and at nothing else."""

import re

from tests.house.sources import ROOT, files

DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{\s*(?::root|\.digest) \{([^{}]*)\}\s*\}")
COLOUR = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})|rgba?\([\d., %/]+\)|dark|none", re.I)


def test_dark_scheme_changes_named_colours_alone() -> None:
    sheets = [
        path for path in files(".css", below=("gateway", "partner_sdk")) if "color-scheme: dark" in path.read_text()
    ]
    assert len(sheets) >= 6
    for path in sheets:
        text = path.read_text("utf-8")
        name = path.relative_to(ROOT).as_posix()
        blocks = DARK.findall(text)
        assert len(blocks) == text.count("prefers-color-scheme: dark"), f"{name}: set only variables there"
        for declaration in filter(None, map(str.strip, ";".join(blocks).split(";"))):
            variable, _, value = declaration.partition(":")
            assert variable.startswith("--") or variable == "color-scheme", f"{name}: {declaration}"
            assert COLOUR.fullmatch(value.strip()), f"{name}: {declaration} is no colour"
