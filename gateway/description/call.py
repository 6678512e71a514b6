"""What one call is for, what it takes and what it answers: stated at its view, below the rule.

Never says who may call, how often and how much body is taken: the rule says so, and the document reads it there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from partner_sdk.wire.problems import Problem

View = TypeVar("View", bound=Callable[..., Any])
JSON = "application/json"

_ATTRIBUTE = "described_call"


class UndescribedCallError(Exception):
    """A view says nothing of what it is for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a call that went well; `kind` is a model of the wire, `dict` for any object, None without a body.

    `signed` is the model of the JSON inside the `payload` of an answer that is a signed statement.
    """

    status: HTTPStatus
    meaning: str
    kind: Any = None
    media_type: str = JSON
    signed: type | None = None
    has_tag: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `body` is a model of the wire, or `bytes` for a file as it is.

    `signed` maps a field of the body that is a signed statement to the model of its payload. `path` maps each part of
    the path that varies to its type. `problems` are those of this call alone: what every call of its kind may answer
    follows from its rule.
    """

    group: str
    summary: str
    purpose: str
    answers: tuple[Answer, ...]
    body: Any = None
    signed: Mapping[str, type] = field(default_factory=dict)
    path: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    may_be_signed: bool = False


def describe(call: Call) -> Callable[[View], View]:
    """State what a view is for; put it below its rule."""

    def state(view: View) -> View:
        setattr(view, _ATTRIBUTE, call)
        return view

    return state


def get_call(view: Callable[..., Any]) -> Call:
    """Return what a view states, or raise `UndescribedCallError`."""
    call = getattr(view, _ATTRIBUTE, None)
    if not isinstance(call, Call):
        raise UndescribedCallError(f"{getattr(view, '__name__', view)} does not say what it is for.")
    return call
