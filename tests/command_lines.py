"""Finds and parses the commands of a click program without running them."""

from collections.abc import Iterator, Sequence

import click


def parse(program: click.Command, words: Sequence[str]) -> click.Context:
    """Return the parsed command; raises `click.UsageError` for wrong words and `Exit` after a help."""
    context = click.Context(program, info_name=program.name)
    while isinstance(context.command, click.Group):
        word, *words = words
        command = context.command.get_command(context, word)
        if command is None:
            raise click.UsageError(f"No such command {word!r}.", context)
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=word, parent=context)
        else:
            context = command.make_context(word, list(words), parent=context)
    return context


def list_commands(
    program: click.Command, parent: click.Context | None = None
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """List every command with its words, e.g. `("keys", "rotate")`; groups are left out."""
    context = parent or click.Context(program)
    if not isinstance(program, click.Group):
        yield (), program
        return
    for word in program.list_commands(context):
        command = program.get_command(context, word)
        assert command is not None, word
        for words, leaf in list_commands(command, click.Context(command, info_name=word, parent=context)):
            yield (word, *words), leaf
