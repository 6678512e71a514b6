"""Results that are the same for every app of one process, made once: routing rules, the public's files, templates,
the values of a TOML text.

Never leaves anything out: an app gets the very thing that an earlier one has made, and the code that made it ran.
"""

import copy
import functools
import pickle
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import CodeType, MethodType
from typing import Any
from unittest.mock import patch

from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from gateway.config import Role

_FILES = (
    "load_wordings",
    "load_service_wording",
    "load_signposts",
    "load_countries",
    "load_advice",
    "load_assets",
)
_BUILDERS: dict[object, Callable[..., tuple[str, str]]] = {}
_RULES: dict[object, tuple[Any, ...]] = {}
_build_once = Rule._compile_builder
_compile_once = Rule.compile
_read_toml_once = tomllib.loads


class CompiledTemplates(BytecodeCache):
    """Templates that Jinja has compiled, by key and exact text."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a new app the code that an earlier app compiled."""
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code that an app compiled."""
        assert bucket.code is not None
        self._code[bucket.key, bucket.checksum] = bucket.code


COMPILED_TEMPLATES = CompiledTemplates()


@contextmanager
def making_once(roles: Sequence[Role]) -> Iterator[None]:
    """While this lasts, an app with these roles takes rules and files that another app of this process has made."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(Rule, "_compile_builder", _find_builder))
        stack.enter_context(patch.object(Rule, "compile", _compile))
        if "public" in roles:  # a role that is not asked for is not imported
            import gateway.button
            import gateway.public
            from gateway.button import load_released_files

            for name in _FILES:
                stack.enter_context(patch.object(gateway.public, name, _load_once(getattr(gateway.public, name))))
            stack.enter_context(patch.object(gateway.button, "load_released_files", _load_once(load_released_files)))
        yield


@contextmanager
def reading_settings_once() -> Iterator[None]:
    """While this lasts, a TOML text that was read before is not read again; each reader gets values of its own."""
    with patch.object(tomllib, "loads", lambda text: pickle.loads(_read_toml(text))):  # noqa: S301 - our own bytes
        yield


@functools.lru_cache(500)
def _read_toml(text: str) -> bytes:
    return pickle.dumps(_read_toml_once(text))


@functools.cache
def _load_once(load: Callable[..., Any]) -> Callable[..., Any]:
    return functools.cache(load)


def _compile(rule: Rule) -> None:
    """Compile a rule, or reuse the compiled parts of an equal rule, which nothing changes, and copy its converters."""
    assert rule.map is not None
    settings = (rule.map.host_matching, rule.merge_slashes, repr(rule.defaults))
    key = (rule.rule, rule.subdomain, rule.host, *settings, *rule.map.converters.items())
    if key not in _RULES:
        _compile_once(rule)
        build, build_unknown = _get_function(rule._build), _get_function(rule._build_unknown)
        _RULES[key] = (rule._parts, rule._trace, build, build_unknown, _copy_converters(rule._converters, map=None))
        return
    rule._parts, rule._trace, build, build_unknown, converters = _RULES[key]
    rule._converters = _copy_converters(converters, map=rule.map)
    rule.arguments.update(converters)
    rule._build, rule._build_unknown = MethodType(build, rule), MethodType(build_unknown, rule)


def _copy_converters(converters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Copy converters, each of which knows the map of its app: none may keep an app of another test."""
    copies = {name: copy.copy(one) for name, one in converters.items()}
    for one in copies.values():
        vars(one).update(changes)
    return copies


def _get_function(method: Any) -> Any:
    return method.__func__


def _find_builder(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """Return the function that builds addresses: all that it is made from is the key, and it is handed its rule."""
    converters = {name: type(converter) for name, converter in rule._converters.items()}
    key = (rule.rule, repr(rule._trace), repr(rule.defaults), repr(converters), append_unknown)
    if key not in _BUILDERS:
        _BUILDERS[key] = _build_once(rule, append_unknown)
    return _BUILDERS[key]
