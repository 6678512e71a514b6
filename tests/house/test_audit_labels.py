"""Every action that the desk writes into its audit log has words."""

import ast
import importlib
import re
from collections.abc import Iterator
from typing import get_args

from gateway.desk.cases.model import StepKind
from gateway.desk.store.audit import EVENTS, OF_DESK, ON_CASE, OPENINGS, format_event, get_label
from tests.house.sources import files, module_of, parse

# The codes that a function of a module is given by its callers.
GIVEN = {
    "desk.cases.actions.ledger": {
        *("acknowledge-action", "answer-action", "draft-action", "end-action", "fail-action", "read-action"),
        *("release-action", "send-action", "withdraw-action"),
    },
    "desk.cases.reply_templates": {"give-signoff", "withdraw-signoff"},
    "desk.running.commands.serving": {"lock-vault", "unlock-refused", "unlock-vault"},
    "desk.outbox.replies": {"no-place"},
    "desk.partners.account_changes": {"accept-account-change", "refuse-account-change"},
    "desk.office.people.register": {"end-role", "grant-role"},
}
# The least number of words for the f-strings of the source, e.g. `sign-keys` and another for `sign-{kind}`.
PATTERNS = {
    "{}-adoption": 2,
    "{}-placement": 5,
    "{}-thread-entry": 3,
    "begin-rotation-{}": 3,
    "end-{}-key": 2,
    "finish-rotation-{}": 3,
    "publish-{}": 2,
    "sign-{}": 2,
}


def list_written() -> Iterator[tuple[str, ast.expr]]:
    """Yield the action of each entry that the source writes, with its module."""
    for path in files(".py", below=("gateway/desk",)):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and len(node.args) == 3:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name == "append_entry":
                    yield module_of(path), node.args[1]


def test_every_action_of_the_source_has_words() -> None:
    found, patterns, given = set(), set(), set()
    for module, node in list_written():
        if isinstance(node, ast.Constant):
            found.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            patterns.add("".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values))
        elif isinstance(node, ast.Name) and node.id.isupper():
            found.add(getattr(importlib.import_module(f"gateway.{module.removeprefix('gateway.')}"), node.id))
        else:
            given.add(module.removeprefix("gateway."))
    assert len(found) >= 1
    assert given == set(GIVEN)
    found |= {code for codes in GIVEN.values() for code in codes}
    assert patterns == {*PATTERNS, "{}-case"}
    found |= {f"{kind}-case" for kind in get_args(StepKind)}
    of_patterns = set()
    for pattern, least in PATTERNS.items():
        fitting = {code for code in EVENTS if re.fullmatch(pattern.replace("{}", "[a-z-]+"), code)} - found
        assert len(fitting) >= least, pattern
        of_patterns |= fitting
    assert found - set(EVENTS) == set()
    assert set(EVENTS) - found - of_patterns == set()
    assert set(OPENINGS) <= set(EVENTS)
    assert set(ON_CASE) & set(OF_DESK) == set()
    assert {f"{kind}-case" for kind in get_args(StepKind)} <= set(ON_CASE)


def test_words_are_no_codes() -> None:
    labels = {code: get_label(code) for code in EVENTS}
    assert len({words + OPENINGS.get(code, "") for code, words in labels.items()}) == len(EVENTS)
    assert [words for words in labels.values() if not re.fullmatch("[A-Z][A-Za-z',: -]+", words)] == []


def test_a_part_in_brackets_is_left_out_without_its_codes() -> None:
    assert get_label("take-over-case") == "Took the case over"
    assert format_event("take-over-case", {"before": "A Reader"}.__getitem__) == "took the case over from A Reader"
    words = {"person": "", "faculty": "Operations", "team": ""}
    assert format_event("hand-over-case", words.__getitem__) == "handed the case over to Operations"
    assert get_label("archive-case") == "Archive case"
