"""Allowed imports (architecture): arrows point one way, and no room imports the private keys' room."""

import re
from functools import cache
from graphlib import CycleError, TopologicalSorter

import gateway.desk
from tests.house.sources import ROOMS, ROOT, files, imports_of, module_of

FLASK_FAMILY = ("flask", "flask_wtf", "werkzeug", "wtforms", "jinja2", "markupsafe", "limits")


def starts(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def arrows(room: str) -> list[tuple[str, str]]:
    sources = [path for path in files(".py") if starts(module_of(path), room)]
    assert sources, f"{room} is no room"
    return [(module_of(path), name) for path in sources for name in imports_of(path)]


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle of imports, or nothing."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    own = {module_of(path) for path in files(".py")}
    # A package's own file is imported with each of its modules, so it is no step of the way.
    packages = {module_of(path) for path in files(".py") if path.name == "__init__.py"}
    found = {module_of(path): set(imports_of(path)) & own - packages for path in files(".py")}
    assert len(found) >= 1
    assert find_circle(found) == []


def test_circle_of_imports_is_found() -> None:
    assert sorted(set(find_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))) == ["a", "b", "c"]


def test_partner_sdk_imports_neither_gateway_nor_database_and_a_web_framework_in_the_console_alone() -> None:
    found = arrows("partner_sdk")
    assert [a for a in found if starts(a[1], "gateway", "widget", "sqlalchemy")] == []
    with_pages = {a[0] for a in found if starts(a[1], *FLASK_FAMILY)}
    assert {one for one in with_pages if not starts(one, "partner_sdk.console")} == set()
    # Below its pages the console knows no request either.
    assert with_pages.isdisjoint({f"partner_sdk.console.{name}" for name in ("drafts", "people", "questions")})


def test_web_imports_no_other_room_of_the_gateway() -> None:
    wrong = [a for a in arrows("gateway.web") if starts(a[1], "gateway") and not starts(a[1], "gateway.web")]
    assert [a for a in wrong if a[1] != "gateway"] == []


# The one exception: the sandbox is gateway and desk in one process, with keys that it makes for itself. No gateway that
# serves loads it (tests/whole/test_private_key_stays_at_the_desk.py; docs/decisions/0034).
MAY_IMPORT_THE_DESK = "gateway.testing"


def test_gateway_never_imports_the_desk_but_for_the_sandbox() -> None:
    importers = {a[0] for a in arrows("gateway") if starts(a[1], "gateway.desk")}
    outside = {importer for importer in importers if not starts(importer, "gateway.desk")}
    assert outside == {f"{MAY_IMPORT_THE_DESK}.{name}" for name in ("agency", "sandbox")}


def test_sandbox_is_imported_by_its_command_alone() -> None:
    found = {a[0] for a in [*arrows("gateway"), *arrows("partner_sdk")] if starts(a[1], MAY_IMPORT_THE_DESK)}
    assert {importer for importer in found if not starts(importer, MAY_IMPORT_THE_DESK)} == {"gateway.commands.demo"}


def test_checker_imports_only_the_sdk_and_nobody_imports_it() -> None:
    own = arrows("gateway.checker")
    outside = {a[1] for a in own if starts(a[1], "gateway", "widget") and not starts(a[1], "gateway.checker")}
    assert outside - {"gateway"} == set()
    assert [a for a in own if starts(a[1], "sqlalchemy", *FLASK_FAMILY)] == []
    wrong = [a for a in arrows("gateway") if starts(a[1], "gateway.checker") and not starts(a[0], "gateway.checker")]
    assert wrong == []


def test_description_knows_no_door() -> None:
    rooms = ("gateway.description", "gateway.web", "gateway.limits", "gateway.exchange")
    wrong = [a for a in arrows("gateway.description") if starts(a[1], "gateway") and not starts(a[1], *rooms)]
    assert [a for a in wrong if a[1] != "gateway"] == []


def test_formats_of_gateway_and_desk_import_neither() -> None:
    found = [a for a in arrows("gateway.exchange") if starts(a[1], "gateway") and a[1] != "gateway"]
    assert [a for a in found if not starts(a[1], "gateway.exchange")] == []


def test_guidance_imports_of_the_gateway_only_web_and_formats() -> None:
    wrong = [
        a
        for a in arrows("gateway.guidance")
        if starts(a[1], "gateway") and not starts(a[1], "gateway.web", "gateway.guidance", "gateway.exchange")
    ]
    assert [a for a in wrong if a[1] != "gateway"] == []


def test_desk_imports_of_the_gateway_only_web_databases_guidance_and_formats() -> None:
    shared = ("gateway.web", "gateway.databases", "gateway.guidance", "gateway.exchange")
    found = [a for a in arrows("gateway.desk") if starts(a[1], "gateway") and a[1] != "gateway"]
    assert [a for a in found if not starts(a[1], *shared, "gateway.desk")] == []


def test_databases_import_of_the_gateway_only_web_and_know_no_table() -> None:
    found = arrows("gateway.databases")
    own = [a for a in found if starts(a[1], "gateway") and a[1] != "gateway"]
    assert [a for a in own if not starts(a[1], "gateway.web", "gateway.databases")] == []
    assert [a for a in found if starts(a[1], "partner_sdk.wire", *FLASK_FAMILY)] == []


def test_gateway_imports_of_the_sdk_never_a_partners_own_side() -> None:
    # The demo runs a partner's commands, and the sandbox enrols a partner; the desk's client of the feed and the runner
    # of checks, which are processes of their own, share the partner's transport.
    apart = ("gateway.desk", "gateway.demo", "gateway.checker", "gateway.testing")
    outside = [a for a in arrows("gateway") if not starts(a[0], *apart)]
    own_side = ("partner_sdk.client", "partner_sdk._commands", "partner_sdk.cli")
    assert [a for a in outside if starts(a[1], *own_side)] == []


# The public face of the SDK for gateway, desk and runner: formats and errors, the report's model, the button and its
# check, the way to a gateway, and the files and commands that all programs have in common.
SDK_FACE = ("partner_sdk.wire", "partner_sdk.errors", "partner_sdk.report", "partner_sdk.button")
SDK_FACE += tuple(f"partner_sdk.console.{name}" for name in ("check", "digests", "findings", "uk_clock"))
SDK_FACE_MODULES = (
    *("partner_sdk", "partner_sdk.client.exchange", "partner_sdk.client.http", "partner_sdk.client.transport"),
    *("partner_sdk.durable_files", "partner_sdk.finding", "partner_sdk.key_files"),
    *("partner_sdk.lazy_group", "partner_sdk.reader.package_reader", "partner_sdk.reader.packages"),
)


@cache
def list_modules() -> set[str]:
    return {module_of(path) for path in files(".py")}


def find_private_imports(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the imports of a private module or name (`_name`) of another package of this house."""
    return [
        (importer, name)
        for importer, name in found
        if starts(name, *ROOMS)
        and importer.partition(".")[0] != name.partition(".")[0]
        and any(part.startswith("_") and not part.endswith("__") for part in name.split("."))
    ]


def test_no_package_imports_a_private_name_of_another() -> None:
    found = [*arrows("partner_sdk"), *arrows("gateway")]
    assert find_private_imports(found) == []


def test_import_of_a_private_name_is_found() -> None:
    wrong = [
        ("gateway.intake", "partner_sdk.client._keys"),
        ("gateway.intake", "partner_sdk.client._keys.parse_report"),
        ("gateway.intake", "partner_sdk.wire.signing._names_of"),
    ]
    right = [
        ("partner_sdk.client.account", "partner_sdk.client._keys"),
        ("gateway.intake", "granian._granian"),
        ("gateway.intake", "partner_sdk.__version__"),
    ]
    assert find_private_imports([*wrong, *right]) == wrong


def test_gateway_and_desk_import_the_sdk_by_its_public_face() -> None:
    modules = list_modules()
    # The sandbox enrols a partner, as a service does.
    as_partner = {("gateway.testing.sandbox", "partner_sdk.client.account")}
    as_partner |= {("gateway.testing.serving", "partner_sdk.client.account")}
    found = [a for a in arrows("gateway") if starts(a[1], "partner_sdk") and a[1] in modules]
    assert len(found) >= 1
    assert as_partner <= set(found)
    found = [a for a in found if a not in as_partner]
    assert [a for a in found if not starts(a[1], *SDK_FACE) and a[1] not in SDK_FACE_MODULES] == []
    assert {name for name in (*SDK_FACE, *SDK_FACE_MODULES) if name not in modules} == set()


# The rooms of the SDK, from the ground up: each imports only what stands before it.
SDK_ORDER = (
    *("errors", "finding", "durable_files", "wire", "reader", "key_files", "report", "client"),
    *("button", "lazy_group", "_commands", "console", "cli"),
)


def sdk_room(name: str) -> str:
    return name.removeprefix("partner_sdk.").partition(".")[0]


def test_rooms_of_the_sdk_import_only_what_lies_below_them() -> None:
    inside = [a for a in arrows("partner_sdk") if starts(a[1], "partner_sdk") and a[1] != "partner_sdk"]
    rooms = {(sdk_room(a), sdk_room(b)) for a, b in inside if a != "partner_sdk"}
    assert {room for arrow in rooms for room in arrow} - {"__version__"} == set(SDK_ORDER)
    assert [a for a in rooms if a[1] in SDK_ORDER and SDK_ORDER.index(a[0]) < SDK_ORDER.index(a[1])] == []


def test_widget_imports_nothing() -> None:
    sources = files(".py", below=("widget",))
    assert len(sources) >= 1
    assert [name for path in sources for name in imports_of(path)] == []


def test_intake_and_store_know_no_flask() -> None:
    rooms = ("gateway.intake", "gateway.store", "gateway.databases", "gateway.evidence", "gateway.key_state")
    sources = [path for path in files(".py") if starts(module_of(path), *rooms)]
    assert {module_of(path) for path in sources} >= set(rooms)
    wrong = [(module_of(path), name) for path in sources for name in imports_of(path) if starts(name, *FLASK_FAMILY)]
    assert wrong == []


def test_opendp_is_imported_by_the_noise_alone() -> None:
    found = {module_of(path) for path in files(".py") for name in imports_of(path) if starts(name, "opendp")}
    assert found == {"gateway.desk.digests.noise"}


# The rooms and files of the public door, from the ground up: each may import only what stands before it.
PUBLIC_ORDER = (
    "journey",
    "returning",
    "wording",
    "door",
    "visit",
    "sending",
    "pages",
    "views",
    "phone_document",
    "phone_form",
    "release",
)


def public_room(name: str) -> str:
    return name.removeprefix("gateway.public.").partition(".")[0]


def test_rooms_of_the_public_door_import_only_what_lies_below_them() -> None:
    inside = [a for a in arrows("gateway.public") if starts(a[1], "gateway.public") and a[1] != "gateway.public"]
    rooms = {(public_room(a), public_room(b)) for a, b in inside if a != "gateway.public"}
    assert {room for arrow in rooms for room in arrow} == set(PUBLIC_ORDER)
    assert [a for a in rooms if PUBLIC_ORDER.index(a[0]) < PUBLIC_ORDER.index(a[1])] == []


def test_table_of_the_journey_returning_and_sending_know_no_flask() -> None:
    rooms = tuple(f"gateway.public.{room}" for room in ("journey", "returning", "sending"))
    found = [(module, name) for room in rooms for module, name in arrows(room)]
    assert [arrow for arrow in found if starts(arrow[1], *FLASK_FAMILY)] == []


# The floors of the desk, the lowest first, with their rooms: each imports only from floors below it.
DESK_FLOORS = {
    "ground": ("store", "vault"),
    "office": ("office",),
    "keys": ("keyring",),
    "messages": ("outbox",),
    "reports and partners": ("collection", "partners"),
    "cases": ("cases",),
    "what follows": ("outgoing", "digests", "retention"),
    "running": ("running",),
}
FLOOR_OF = {room: floor for floor, rooms in enumerate(DESK_FLOORS.values(), start=1) for room in rooms}


def find_desk_room(name: str) -> str | None:
    parts = name.split(".")
    return parts[2] if parts[:2] == ["gateway", "desk"] and len(parts) > 2 else None


def goes_up(importer: str, name: str) -> bool:
    own, other = find_desk_room(importer), find_desk_room(name)
    return own is not None and other is not None and own != other and FLOOR_OF[other] >= FLOOR_OF[own]


def test_desk_has_at_most_eight_floors_and_no_import_goes_up() -> None:
    assert len(DESK_FLOORS) <= 8
    inside = [arrow for arrow in arrows("gateway.desk") if find_desk_room(arrow[0])]
    assert {find_desk_room(importer) for importer, _ in inside} == set(FLOOR_OF)
    assert [a for a in inside if a[1] in list_modules() and goes_up(*a)] == []


def test_import_that_goes_up_at_the_desk_is_found() -> None:
    assert goes_up("gateway.desk.keyring.publication", "gateway.desk.partners.mailbox")
    assert goes_up("gateway.desk.collection.filing", "gateway.desk.partners.mailbox")
    assert not goes_up("gateway.desk.partners.mailbox", "gateway.desk.keyring.publication")
    assert not goes_up("gateway.desk.partners.mailbox", "gateway.desk.partners.enrolments")


def test_docstring_of_the_desk_names_each_floor_with_its_packages() -> None:
    lines = re.findall(r"^([1-8])\. ([a-z ]+): (.*(?:\n   .*)*)$", gateway.desk.__doc__ or "", re.MULTILINE)
    named = {floor: tuple(re.findall(r"`([a-z_]+)(?:/|\.py)?`", packages)) for _, floor, packages in lines}
    assert named == DESK_FLOORS
    assert [number for number, _, _ in lines] == [str(number) for number in range(1, 9)]


def test_no_chain_of_imports_at_the_desk_is_longer_than_thirteen_modules() -> None:
    packages = {module_of(path) for path in files(".py") if path.name == "__init__.py"}
    imports: dict[str, set[str]] = {}
    for importer, name in arrows("gateway.desk"):
        known = imports.setdefault(importer, set())
        if starts(name, "gateway.desk") and name in list_modules() - packages:
            known.add(name)
    lengths: dict[str, int] = {}
    for name in TopologicalSorter(imports).static_order():
        lengths[name] = 1 + max((lengths[one] for one in imports[name]), default=0)
    assert len(lengths) >= 1
    # From a store's table to `serve`, which loads the app: a reader goes down as many files at the most.
    assert max(lengths.values()) <= 13


def test_way_of_a_report_at_the_desk_goes_up_the_floors() -> None:
    way = re.search(
        r"^- \*\*At the desk\*\*:.*?(?=\n\n|\n- )",
        (ROOT / "docs/architecture.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    named = re.findall(r"`(?:gateway/desk/)?([a-z_/]+)\.py`", way[0] if way else "")
    assert len(named) >= 5
    assert [name for name in named if f"gateway.desk.{name.replace('/', '.')}" not in list_modules()] == []
    steps = [FLOOR_OF[name.partition("/")[0]] for name in named]
    assert steps == sorted(steps)


# Pages, forms and rules of a subject stand in one file; keys and storage know no page.
KNOW_NO_FLASK = (
    *(
        "store",
        "vault",
        "keyring",
        "collection.evidence_collecting",
        "collection.evidence_holdings",
        "collection.identifiers",
    ),
    *(f"office.{name}" for name in ("feed_client", "addresses", "config", "wiring", "inbox", "organisations")),
)


def test_no_flask_where_the_desk_keeps_keys_and_storage() -> None:
    found = [arrow for package in KNOW_NO_FLASK for arrow in arrows(f"gateway.desk.{package}")]
    assert [arrow for arrow in found if starts(arrow[1], *FLASK_FAMILY)] == []


def test_tables_of_the_desk_are_read_by_rules_alone() -> None:
    tables = [f"gateway.desk.store.{name}" for name in ("schema", "agency_tables", "engine")]
    assert list_modules() >= set(tables)
    rooms = ("office.views", "running.commands", "running.app", "running.cli")
    views = [arrow for room in rooms for arrow in arrows(f"gateway.desk.{room}")]
    assert [arrow for arrow in views if starts(arrow[1], "sqlalchemy", *tables)] == []
