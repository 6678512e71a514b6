"""The fixture `report_abuse_sandbox`, found by its entry point. Loads nothing before a test asks for it.

Every test run of a machine that has the SDK imports this file: so not even the test runner is imported at its top.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from partner_sdk.sandbox import Sandbox

NAME = "report-abuse-sandbox"


def pytest_configure(config: Any) -> None:
    """Register the fixture."""
    import pytest

    class Fixtures:
        @pytest.fixture(name="report_abuse_sandbox")
        def sandbox(self) -> "Iterator[Sandbox]":
            """A fake gateway of its own for each test: `report_abuse_sandbox.enrol(tmp_path / "partner")`."""
            from partner_sdk.sandbox import Sandbox

            with Sandbox() as sandbox:
                yield sandbox

    config.pluginmanager.register(Fixtures(), NAME)
