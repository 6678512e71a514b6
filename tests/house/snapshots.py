"""Behaviour that must stay while the code moves, as text: every route, every command, every vector file.

    .venv/bin/python -m tests.house.snapshots

writes the files in snapshots/ anew; their diff is part of the change. Not a test.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from flask import Flask

from gateway.checker.cli import program as checker_program
from gateway.commands.terminal import program as gateway_program
from gateway.desk.office.terminal import DeskCommand
from gateway.desk.running.cli import program as desk_program
from gateway.limits import make_rows
from gateway.web.rules import find_rule
from partner_sdk.cli import program as partner_program
from tests.builders import make_house
from tests.command_lines import list_commands
from tests.contract.vector_files import FOLDER as VECTORS
from tests.desk.view_builders import Browser, Clock, make_test_desk
from tests.house.sources import ROOT
from tests.sdk.console.console_builders import ConsoleBrowser

FOLDER: Final = ROOT / "tests/house/snapshots"
PROGRAMS: Final = {
    "report-abuse-gateway": gateway_program,
    "report-abuse-desk": desk_program,
    "report-abuse-partner": partner_program,
    "report-abuse-checker": checker_program,
}
# What makes a type of click narrower than its name; defaults of a type are left out.
_BOUNDS: Final = ("choices", "min", "max", "min_open", "max_open")


def print_routes() -> str:
    """Return every route of every app with the rule that it declares, and the limits that rules name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        house = make_house(folder / "gateway")
        apps = {role: house.open_app(role) for role in ("public", "industry", "feed")}
        desk = make_test_desk(folder / "desk", Clock())
        apps["desk"] = Browser(desk).client.application
        console = ConsoleBrowser(folder / "console").app
        lines = ["# app method path: callers, permission, limits, forged posts, body"]
        lines += [f"{app} {line}" for app, one in apps.items() for line in _list_ruled_routes(one)]
        lines += [f"console {line}" for line in _list_console_routes(console)]
        desk.store.close()
    lines += ["", "# limit: requests in seconds for each subject, effect"]
    for row in make_rows(partner_reports_per_minute=house.config.limits.partner_reports_per_minute):
        lines.append(f"{row.name}: {row.quota} in {row.window_seconds} for {row.subject.name}, {row.effect.name}")
    return "\n".join(lines) + "\n"


def _list_methods(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Yield each method, path and endpoint; Flask adds HEAD and OPTIONS by itself."""
    found = {
        (route.rule, method, route.endpoint)
        for route in app.url_map.iter_rules()
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}
    }
    yield from ((method, path, endpoint) for path, method, endpoint in sorted(found))


def _list_ruled_routes(app: Flask) -> Iterator[str]:
    for method, path, endpoint in _list_methods(app):
        rule = find_rule(app, endpoint)
        if rule is None:
            raise AssertionError(f"{method} {path} has no rule")
        permission = "|".join(one.name for one in rule.permissions) or "-"
        line = f"{method} {path}: {rule.login.name}, {permission}, {'+'.join(rule.limits)}, {rule.csrf.name}"
        if rule.body_bytes:
            line += f", {rule.body_bytes} bytes of {rule.body_media_type} in {rule.room.name}"
        yield line + (", step-up" if rule.needs_step_up else "")


def _list_console_routes(app: Flask) -> Iterator[str]:
    """Yield the routes of the console: one door for all, and the marks of the views that it treats otherwise."""
    for method, path, endpoint in _list_methods(app):
        marks = sorted(vars(app.view_functions[endpoint]).keys() - {"__wrapped__"})
        yield f"{method} {path}: {', '.join(marks) or 'a session with a person'}"
    bounds = ("MAX_CONTENT_LENGTH", "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS")
    yield "* every form: " + ", ".join(f"{name} {app.config[name]}" for name in bounds)


def print_commands() -> str:
    """Return every command with its permission, arguments and options; help texts may change."""
    lines = ["# command: permission at the desk; then its arguments and options"]
    for name, program in PROGRAMS.items():
        for words, command in sorted(list_commands(program), key=lambda found: found[0]):
            permission = command.permission if isinstance(command, DeskCommand) else None
            lines.append(" ".join([name, *words]) + (f": {permission.name}" if permission else ""))
            lines += [f"    {_print_parameter(one)}" for one in command.params]
    return "\n".join(lines) + "\n"


def _print_parameter(parameter: click.Parameter) -> str:
    about: dict[str, Any] = parameter.to_info_dict()
    names = "/".join([*parameter.opts, *parameter.secondary_opts])
    words = [names if isinstance(parameter, click.Option) else f"<{names}>"]
    if about.get("is_flag"):
        words.append("flag")
    else:
        kind = about["type"]
        bounds = [f"{name}={_print_value(kind[name])}" for name in _BOUNDS if kind.get(name) not in (None, False)]
        words.append(" ".join([kind["param_type"], *bounds]))
    words += ["required"] if about["required"] else []
    words += ["repeated"] if about["multiple"] or about["nargs"] == -1 else []
    words += ["hidden"] if about.get("hidden") else []
    words += [f"from {about['envvar']}"] if about["envvar"] else []
    # A flag is off and an argument empty unless given; any other default is behaviour.
    if isinstance(about["default"], str | int | float) and about["default"] is not False:
        words.append(f"default {about['default']!r}")
    return ", ".join(words)


def _print_value(value: object) -> str:
    if isinstance(value, list | tuple):
        return "|".join(str(getattr(one, "value", one)) for one in value)
    return str(value)


def print_vectors() -> str:
    """Return every vector file by its name, whatever its folder, with the number of its cases and its digest."""
    lines = ["# file: cases, SHA-256"]
    for path in sorted(VECTORS.glob("*.json")):
        raw = path.read_bytes()
        lines.append(f"{path.name}: {len(json.loads(raw)['cases'])}, {hashlib.sha256(raw).hexdigest()}")
    return "\n".join(lines) + "\n"


SNAPSHOTS: Final[Mapping[str, Callable[[], str]]] = {
    "routes.txt": print_routes,
    "commands.txt": print_commands,
    "vectors.txt": print_vectors,
}


def main() -> int:
    """Write all snapshots."""
    for name, make in SNAPSHOTS.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
