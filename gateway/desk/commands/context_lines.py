"""Prints what a service says of the page with its button: the same words as on the page.

Never lets what the service says pass for a line of ours.
"""

from dataclasses import asdict

from gateway.desk.commands.contact_lines import say_typed
from gateway.desk.commands.frame import say
from gateway.desk.reading.page_context import TITLE, ContextView


def say_context(view: ContextView | None) -> None:
    """Print what became of a context and what it says; nothing where none came."""
    if view is None:
        return
    say("")
    say(TITLE.upper())
    say(f"{'WARNING: ' if view.is_doubted else ''}{' '.join(view.verdict)}")
    for notice in view.notices:
        say(f"WARNING: {' '.join(notice)}")
    for line in view.lines:
        say_typed(f"{line.title} (never name it to the service)" if line.is_sensitive else line.title, line.text)


def list_context_json(view: ContextView | None) -> dict[str, object]:
    """Return the same for machines, under a name of its own."""
    return {} if view is None else {"page_context": asdict(view)}
