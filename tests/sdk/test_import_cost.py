"""`import partner_sdk` costs next to nothing: names load when they are used."""

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import partner_sdk

REPOSITORY = Path(__file__).parents[2]
BARE = "import msgspec, cryptography.hazmat.primitives.hpke"
ROUNDS = 15
MOST_SECONDS = 0.050
HEAVY = ("click", "requests", "urllib3", "http_message_signatures", "flask", "sqlalchemy", "gateway")


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60, cwd=REPOSITORY
    )
    return done.stdout


def measure(code: str) -> float:
    clock = f"from time import perf_counter as t\na = t()\n{code}\nprint(t() - a)"
    return float(run(clock))


def test_import_adds_at_most_50_ms_to_msgspec_and_hpke() -> None:
    measure(BARE)
    measure(f"{BARE}, partner_sdk")
    bare, ours = [], []
    for _ in range(ROUNDS):  # in turn, so that a busy moment of the machine meets both
        bare.append(measure(BARE))
        ours.append(measure(f"{BARE}, partner_sdk"))
    assert statistics.median(ours) - statistics.median(bare) <= MOST_SECONDS


def test_import_loads_no_module_of_the_package_and_no_library() -> None:
    loaded = run("import sys, partner_sdk\nprint(*sorted(sys.modules))").split()
    assert "partner_sdk" in loaded
    assert [name for name in loaded if name.startswith("partner_sdk.")] == []
    assert [name for name in loaded if name.split(".")[0] in (*HEAVY, "msgspec", "cryptography")] == []


def test_partner_loads_what_it_needs_first_and_the_rest_when_it_is_used() -> None:
    """Each of these takes a tenth of the import of `Partner` or more."""
    loaded = set(run("import sys\nfrom partner_sdk import Partner\nprint(*sorted(sys.modules))").split())
    assert {"requests", "msgspec", "partner_sdk.client.partner", "partner_sdk.report.model"} <= loaded
    late = {"http_message_signatures", "click", "partner_sdk.reader.package_reader", "partner_sdk.report.reading"}
    assert loaded & {*late, "partner_sdk.report.outline", "partner_sdk.console"} == set()


EXTRAS = ("partner_sdk.console.check", "partner_sdk.console")
LIBRARIES_OF_EXTRAS = ("flask", "playwright", "pytest", "xml.etree")


def list_extras(loaded: list[str]) -> list[str]:
    rooms = (*EXTRAS, *LIBRARIES_OF_EXTRAS)
    return [name for name in loaded if any(name == room or name.startswith(f"{room}.") for room in rooms)]


def test_no_public_name_and_no_part_of_the_core_loads_an_extra() -> None:
    core = ("client.partner", "client.account", "wire.signing", "report", "button.snippet", "button.page_contexts")
    modules = ", ".join(f"partner_sdk.{name}" for name in core)
    loaded = run(
        f"import sys, partner_sdk, {modules}\n"
        "for name in partner_sdk.__all__: getattr(partner_sdk, name)\n"
        "print(*sorted(sys.modules))"
    ).split()
    assert {"partner_sdk.client.partner", "partner_sdk.wire.sealing", "partner_sdk.report.model"} <= set(loaded)
    assert list_extras(loaded) == []


@pytest.mark.parametrize("extra", EXTRAS)
def test_extra_has_an_import_of_its_own(extra: str) -> None:
    loaded = run(f"import sys, {extra}\nprint(*sorted(sys.modules))").split()
    assert extra in list_extras(loaded)
    assert {"flask", "playwright", "pytest"} & set(loaded) == set(), "loaded before it is needed"


@pytest.mark.parametrize(
    "module",
    [
        "gateway.exchange.public_report",
        *(f"partner_sdk.wire.{name}" for name in ("problems", "receipts", "sealing")),
        *("partner_sdk.wire.signing", "partner_sdk.wire.submission"),
    ],
)
def test_core_that_the_gateway_imports_loads_no_client(module: str) -> None:
    loaded = run(f"import sys, {module}\nprint(*sorted(sys.modules))").split()
    assert module in loaded
    own = (
        {"gateway", "gateway.exchange", "gateway.exchange.public_codes", module}
        if module.startswith("gateway.")
        else set()
    )
    assert [name for name in loaded if name.split(".")[0] in HEAVY and name not in own] == []
    assert [name for name in loaded if name.startswith("partner_sdk.client")] == []


def test_codes_of_the_public_report_load_nothing_else_of_the_package() -> None:
    loaded = run("import sys, gateway.exchange.public_codes\nprint(*sorted(sys.modules))").split()
    assert {name for name in loaded if name.split(".")[0] in ("gateway", "partner_sdk")} == {
        "gateway",
        "gateway.exchange",
        "gateway.exchange.public_codes",
    }
    assert [name for name in loaded if name.split(".")[0] in ("msgspec", "cryptography", *HEAVY[:-1])] == []


def test_every_public_name_loads_from_its_module() -> None:
    names = [name for name in partner_sdk.__all__ if name != "__version__"]
    assert len(names) >= 10
    for name in names:
        assert getattr(partner_sdk, name).__name__ == name
    assert set(partner_sdk.__all__) <= set(dir(partner_sdk))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        partner_sdk.nothing  # noqa: B018 - the access is what is tested
