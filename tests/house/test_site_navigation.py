"""The navigation of the documentation site holds every document once."""

import runpy
from collections import Counter

from tests.documents import list_documents
from tests.house.sources import ROOT


def test_navigation_holds_every_document_once() -> None:
    site = runpy.run_path(str(ROOT / "docs/site/conf.py"))
    listed = Counter(
        path.relative_to(ROOT).as_posix()
        for page in [*(page for pages in site["NAVIGATION"].values() for page in pages), site["DECISIONS"]]
        for path in ROOT.glob(f"{page}.md")
    )
    documents = {path.relative_to(ROOT).as_posix() for path in list_documents()} | {
        "CHANGELOG.md",
        "partner_sdk/npm/README.md",
    }
    # The README is the site's first page; ABOUT.md describes the package on an index.
    assert set(listed) == documents - {"README.md", "partner_sdk/ABOUT.md"}
    assert set(listed.values()) == {1}
