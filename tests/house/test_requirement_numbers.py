"""Every requirement number that the code gives as a reason is explained in the project's own documents."""

import re

from tests.house.sources import ROOT, files

NUMBER = re.compile(r"\bR[1-9][0-9]?\b")


def test_every_requirement_number_of_the_code_is_explained() -> None:
    legend = set(re.findall(r"^\| (R[0-9]+) \|", (ROOT / "docs/requirements.md").read_text(encoding="utf-8"), re.M))
    texts = [path.read_text(encoding="utf-8") for path in files(".py", ".toml", ".html")]
    used = {number for text in texts for number in NUMBER.findall(text)}
    assert len(used) >= 10
    assert used - legend == set()
    assert legend - used == set(), "the legend explains numbers that no code names"
