"""The first words of a command line: the summary of each, and the file of commands that adds it."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

Commands = argparse._SubParsersAction  # argparse has no public name for it


@dataclass(frozen=True, slots=True)
class CommandTable:
    """The first words of a program, in the order of its help.

    `files` names each file below the package `room`, e.g. `commands.keys`, and the words that it adds with a summary
    of each. A command loads its own file alone, and the help none, because all of them together cost every run some
    tenths of a second.
    """

    room: str
    files: Mapping[str, Mapping[str, str]]
    program: str = ""
    description: str = ""
    epilog: str = ""

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Return the arguments of one command (default: of this process), or end the process as argparse does."""
        words = sys.argv[1:] if arguments is None else arguments
        word = self.find_word(words)
        if word is None:
            end_by_overview(self.make_overview(), words)
        return self.make_parser(word).parse_args(words)

    def make_parser(self, word: str | None = None) -> argparse.ArgumentParser:
        """Return the parser with the commands of the file that adds `word`; with every command for any other word."""
        parser, commands = self._make_bare_parser()
        self.add_commands(commands, word=word)
        return parser

    def make_overview(self) -> argparse.ArgumentParser:
        """Return a parser that knows each word and its summary, as the help lists them, and loads no command."""
        parser, commands = self._make_bare_parser()
        self.add_overview(commands)
        return parser

    def _make_bare_parser(self) -> "tuple[argparse.ArgumentParser, Commands[argparse.ArgumentParser]]":
        parser = argparse.ArgumentParser(prog=self.program, description=self.description, epilog=self.epilog)
        return parser, parser.add_subparsers(required=True, metavar="COMMAND")

    def list_summaries(self) -> dict[str, str]:
        """Return the summary of each word."""
        return {word: summary for words in self.files.values() for word, summary in words.items()}

    def find_word(self, arguments: Sequence[str]) -> str | None:
        """Return the first argument if it is one of the words: only then is it known which file to load."""
        return next((word for word in arguments[:1] if word in self.list_summaries()), None)

    def add_overview(self, commands: "Commands[argparse.ArgumentParser]") -> None:
        """Add each word with its summary, as the help lists them, and load no command."""
        for word, summary in self.list_summaries().items():
            commands.add_parser(word, help=summary)

    def add_commands(self, to: Any, *, word: str | None = None) -> None:
        """Load the file that adds `word` and let it add its commands to `to`; every file for any other word."""
        own = [name for name, words in self.files.items() if word in words]
        for name in own or self.files:
            import_module(f"{self.room}.{name}").add_commands(to)


def end_by_overview(overview: argparse.ArgumentParser, arguments: Sequence[str]) -> NoReturn:
    """End the process (`SystemExit`) where no word comes first: 0 after help or version, else 2 after the usage."""
    overview.parse_known_args(arguments)
    # A word stands there, but behind something else.
    overview.error(f"the command comes first, and its options after it; {arguments[0]} stands before it")
