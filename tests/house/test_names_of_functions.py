"""The first word of a function's name shows its result: the words of the style, read off the annotations."""

import ast
from collections.abc import Callable, Iterator

from tests.house.sources import files, module_of, parse, walk

# A name that the rule does not fit, by the end of its module and its name, each with its reason.
EXCEPTIONS = {
    "desk.store.audit.check_chain": "how many entries were proved: a chain of none is sound",
    "lazy_group.get_command": "click's own name for a method that returns None for an unknown command",
    "client._submissions.list_requests": "the list, with the numbers of the messages that nobody can read",
}
COLLECTIONS = {"list", "tuple", "set", "frozenset", "dict", "Sequence", "Iterator", "Iterable", "Collection", "Mapping"}
# What a check gives back beside nothing is the thing itself, now believed, in a type of its own: no answer to weigh.
PLAIN = COLLECTIONS | {"bool", "int", "str", "bytes", "float", "None", "Any"}


def list_sources() -> list[tuple[str, ast.Module]]:
    found = [(module_of(path), parse(path)) for path in files(".py")]
    assert "gateway.intake" in {module for module, _ in found}
    return found


def list_aliases(sources: list[tuple[str, ast.Module]]) -> dict[str, ast.expr]:
    """Return the type behind a name such as `Voice = tuple[str, ...]`."""
    return {
        node.targets[0].id: node.value
        for _, tree in sources
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Subscript | ast.BinOp)
    }


def list_arms(annotation: ast.expr | None, aliases: dict[str, ast.expr]) -> set[str]:
    """Return the types of a union by their bare names; a pair is judged by its first type."""
    if annotation is None:
        return {"nothing stated"}
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return list_arms(ast.parse(annotation.value, mode="eval").body, aliases)
    if isinstance(annotation, ast.BinOp):
        return list_arms(annotation.left, aliases) | list_arms(annotation.right, aliases)
    if isinstance(annotation, ast.Name) and annotation.id in aliases:
        return list_arms(aliases[annotation.id], aliases)
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        first, *others = annotation.slice.elts
        if ast.unparse(annotation.value) == "tuple" and [ast.unparse(one) for one in others] != ["..."]:
            return list_arms(first, aliases)
    bare = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return {ast.unparse(bare).rpartition(".")[2]}


RULES: dict[str, Callable[[set[str]], bool]] = {
    "is": lambda arms: arms == {"bool"},
    "has": lambda arms: arms == {"bool"},
    "find": lambda arms: bool(arms & {"None", "Any"}),
    "get": lambda arms: "None" not in arms or arms == {"None"},
    "list": lambda arms: arms <= COLLECTIONS,
    "check": lambda arms: arms == {"None"} or not arms & PLAIN,
}


def list_named(sources: list[tuple[str, ast.Module]]) -> Iterator[tuple[str, str, set[str]]]:
    """Yield each function of ours with a first word of the style: its full name, that word, and its return type."""
    aliases = list_aliases(sources)
    for module, tree in sources:
        for node in walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            first, _, rest = node.name.lstrip("_").partition("_")
            arms = list_arms(node.returns, aliases)
            # A view is named after its page and a command after its word: no code calls them.
            is_command = any("command(" in ast.unparse(one) for one in node.decorator_list)
            is_called = "ResponseReturnValue" not in arms and not is_command
            if first in RULES and rest and is_called:
                yield f"{module}.{node.name}", first, arms


def find_exception(name: str) -> str | None:
    return next((known for known in EXCEPTIONS if name.endswith(f".{known}")), None)


def test_first_word_of_a_name_tells_what_a_function_returns() -> None:
    named = list(list_named(list_sources()))
    assert named
    lies = {name: sorted(arms) for name, first, arms in named if not RULES[first](arms)}
    assert {name: arms for name, arms in lies.items() if find_exception(name) is None} == {}
    assert {find_exception(name) for name in lies} == set(EXCEPTIONS), "an exception that nothing needs any more"


def test_rules_see_a_name_that_lies() -> None:
    text = """
Rows = tuple[str, ...]
Maybe = bytes | None
def find_rows() -> Rows: ...
def list_row() -> Rows: ...
def get_row() -> Maybe: ...
def check_row() -> bool: ...
def check_key() -> Key: ...
def check_time() -> Key | None: ...
def _is_new() -> "bool | None": ...
def has_all(): ...
def find_pair() -> tuple[Key | None, str]: ...
def list_pair() -> tuple[Key, str]: ...
"""
    named = list_named([("room", ast.parse(text))])
    lies = {name.removeprefix("room.") for name, first, arms in named if not RULES[first](arms)}
    assert lies == {"find_rows", "get_row", "check_row", "check_time", "_is_new", "has_all", "list_pair"}
