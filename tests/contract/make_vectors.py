"""Regenerates the files of partner_sdk/vectors: the named ones, or all. Every secret in them is a test secret.

Run by `make vectors`, with `NAMES="page reply"` for some. Sealing is random, so files of boxes get new bytes with the
same names and the same expected results; those in `FIXED` come out byte for byte the same. All but `FIXED` need Node
and `.ci/test-tools`, for the libraries that share no code with ours.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.contract.vector_makers.calls import make_calls
from tests.contract.vector_makers.envelope import make_envelopes
from tests.contract.vector_makers.evidence import make_evidence
from tests.contract.vector_makers.forget import make_forget
from tests.contract.vector_makers.key_set import make_key_sets
from tests.contract.vector_makers.mailbox import make_mailbox_messages
from tests.contract.vector_makers.other_client import make_other_client
from tests.contract.vector_makers.page import make_pages
from tests.contract.vector_makers.page_context import make_page_contexts
from tests.contract.vector_makers.place import make_places
from tests.contract.vector_makers.public_log import make_public_log
from tests.contract.vector_makers.reply import make_replies
from tests.contract.vector_makers.request import make_requests
from tests.contract.vector_makers.return_code import make_return_codes
from tests.contract.vector_makers.staffing import make_staffing
from tests.contract.vector_makers.statement import make_statements
from tests.contract.vector_makers.thread_entry import make_thread_entries

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "partner_sdk" / "vectors"
# The bodies that the description of /v1 shows: the calls that succeed, shipped with the gateway.
EXAMPLES = REPOSITORY / "gateway" / "description" / "examples.json"
MAKERS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "calls": make_calls,
    "envelope": make_envelopes,
    "evidence": make_evidence,
    "forget": make_forget,
    "key-set": make_key_sets,
    "mailbox": make_mailbox_messages,
    "other-client": make_other_client,
    "page": make_pages,
    "page-context": make_page_contexts,
    "place": make_places,
    "public-log": make_public_log,
    "reply": make_replies,
    "request": make_requests,
    "return-code": make_return_codes,
    "staffing": make_staffing,
    "statement": make_statements,
    "thread-entry": make_thread_entries,
}
FIXED = frozenset({"evidence", "forget", "key-set", "page", "public-log", "request", "staffing", "statement"})


def print_file(name: str) -> str:
    """Make one file and return its text."""
    return json.dumps(MAKERS[name](), indent=1, ensure_ascii=False) + "\n"


def print_examples(calls: Mapping[str, Any]) -> str:
    """Return the text of the description's examples, from the vectors of the calls."""
    bodies = {case["operation"]: case["body"] for case in calls["cases"] if case["expect"] == "success"}
    return json.dumps(bodies, indent=1, ensure_ascii=False) + "\n"


def main(words: Sequence[str] | None = None) -> int:
    """Write the files that are named on the command line; without a name, all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="names of files, without .json")
    names = parser.parse_args(words).names or list(MAKERS)
    if unknown := set(names) - set(MAKERS):
        parser.error(f"There is no vector file of this name: {', '.join(sorted(unknown))}")
    texts = {name: print_file(name) for name in names}  # all are made before one is written
    FOLDER.mkdir(exist_ok=True)
    for name, text in texts.items():
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    if "calls" in texts:
        EXAMPLES.write_text(print_examples(json.loads(texts["calls"])), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
