"""Lend the tests of the contract hypothesis strategies that build any valid record."""

import pytest

from telemetry.testing import strategies


@pytest.fixture(scope="session")
def any_valid():
    """Return the strategies that authors of sinks use as well."""
    return strategies
