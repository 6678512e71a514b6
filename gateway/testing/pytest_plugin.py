"""The pytest fixture `report_abuse_sandbox`, found by its entry point. Loads nothing before a test asks for it.

Every test run on a machine with this package imports this file, so even pytest is not imported at its top.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.testing import Sandbox

NAME = "report-abuse-sandbox"


def pytest_configure(config: Any) -> None:
    """Register the fixture."""
    import pytest

    class Fixtures:
        @pytest.fixture(name="report_abuse_sandbox")
        def sandbox(self) -> "Iterator[Sandbox]":
            """A gateway and a desk of its own for each test: `report_abuse_sandbox.enrol(tmp_path / "partner")`."""
            from gateway.testing import Sandbox

            with Sandbox() as sandbox:
                yield sandbox

    config.pluginmanager.register(Fixtures(), NAME)
