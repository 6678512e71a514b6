"""The one table of problems: each row complete, each found by slug and by address."""

import re

import pytest

from gateway.web.rules import make_document
from partner_sdk.errors import FieldFault
from partner_sdk.wire import problems
from partner_sdk.wire.problems import PROBLEMS, Problem, find_problem

ID = "01a211d3-7340-7ff3-b7d7-b412be473e63"


def test_table_holds_every_problem_of_the_module_once() -> None:
    named = [value for value in vars(problems).values() if isinstance(value, Problem)]
    assert len(named) >= 20
    assert set(named) == set(PROBLEMS)
    assert len({problem.slug for problem in PROBLEMS}) == len(PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.slug)
def test_row_is_complete(problem: Problem) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", problem.slug)
    assert 400 <= problem.status <= 599
    assert problem.title
    assert problem.advice.endswith(".")
    assert getattr(problems, problem.slug.replace("-", "_").upper()) is problem


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.slug)
def test_refusals_that_pass_say_when_to_come_back(problem: Problem) -> None:
    passing = problem.status == 429 or problem.status >= 500
    assert (problem.retry_after_seconds is not None) is passing


def test_every_cause_of_401_is_one_problem() -> None:
    assert [problem.slug for problem in PROBLEMS if problem.status == 401] == ["not-authorised"]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.slug)
def test_problem_is_found_by_slug_and_by_address(problem: Problem) -> None:
    assert find_problem(problem.slug) is problem
    assert find_problem(f"https://report.example/problems/{problem.slug}") is problem


@pytest.mark.parametrize("text", ["", "about:blank", "https://report.example/problems/", "nothing"])
def test_unknown_problem_is_not_found(text: str) -> None:
    assert find_problem(text) is None


def test_document_has_the_members_of_rfc_9457() -> None:
    document = make_document(problems.NOT_FOUND, origin="https://report.example", request_id=ID)
    assert document == {
        "type": "https://report.example/problems/not-found",
        "title": problems.NOT_FOUND.title,
        "status": 404,
        "detail": problems.NOT_FOUND.advice,
        "instance": f"urn:uuid:{ID}",
    }


def test_faults_are_an_extension() -> None:
    fault = FieldFault("#/envelope", "Send it.")
    document = make_document(
        problems.MALFORMED_REQUEST, origin="https://x", request_id=ID, detail="Ours.", faults=[fault]
    )
    assert document["errors"] == [{"pointer": "#/envelope", "detail": "Send it."}]
    assert document["detail"] == "Ours."
