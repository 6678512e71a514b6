"""Who may import whom (architecture): arrows point one way, and the private keys' room is imported by nobody."""

from tests.house.sources import files, imports_of, module_of

FLASK_FAMILY = ("flask", "flask_wtf", "flask_limiter", "werkzeug", "wtforms", "jinja2", "markupsafe", "limits")


def starts(name: str, *rooms: str) -> bool:
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def arrows(room: str, least: int) -> list[tuple[str, str]]:
    sources = [path for path in files(".py") if starts(module_of(path), room)]
    assert len(sources) >= least, "the house test looked at too few files"
    return [(module_of(path), name) for path in sources for name in imports_of(path)]


def test_partner_sdk_imports_neither_gateway_nor_web_nor_database() -> None:
    wrong = [a for a in arrows("partner_sdk", 20) if starts(a[1], "gateway", "widget", "sqlalchemy", *FLASK_FAMILY)]
    assert wrong == []


def test_web_imports_no_other_room_of_the_gateway() -> None:
    wrong = [a for a in arrows("gateway.web", 6) if starts(a[1], "gateway") and not starts(a[1], "gateway.web")]
    assert [a for a in wrong if a[1] != "gateway"] == []


def test_gateway_never_imports_the_desk() -> None:
    wrong = [a for a in arrows("gateway", 50) if starts(a[1], "gateway.desk") and not starts(a[0], "gateway.desk")]
    assert wrong == []


def test_desk_imports_of_the_gateway_only_web() -> None:
    wrong = [
        a
        for a in arrows("gateway.desk", 20)
        if starts(a[1], "gateway") and not starts(a[1], "gateway.web", "gateway.desk")
    ]
    assert [a for a in wrong if a[1] != "gateway"] == []


def test_gateway_never_imports_what_opens_a_partners_mailbox() -> None:
    wrong = [
        a for a in arrows("gateway", 50) if starts(a[1], "partner_sdk.mailbox") and not starts(a[0], "gateway.desk")
    ]
    assert wrong == []


def test_widget_imports_nothing() -> None:
    sources = files(".py", below=("widget",))
    assert len(sources) >= 1
    assert [name for path in sources for name in imports_of(path)] == []


def test_intake_and_store_know_no_flask() -> None:
    rooms = ("gateway.intake", "gateway.store", "gateway.receipts", "gateway.key_state")
    sources = [path for path in files(".py") if starts(module_of(path), *rooms)]
    assert len(sources) >= 8
    wrong = [(module_of(path), name) for path in sources for name in imports_of(path) if starts(name, *FLASK_FAMILY)]
    assert wrong == []


def test_opendp_is_imported_by_the_noise_alone() -> None:
    found = {module_of(path) for path in files(".py") for name in imports_of(path) if starts(name, "opendp")}
    assert found == {"gateway.desk.feedback.noise"}
