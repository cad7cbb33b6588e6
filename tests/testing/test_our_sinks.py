"""
Every sink that we ship keeps the contract that we hold others to.

The sink of docs/examples does so in its own tests, which tests/thirdparty runs against the wheels.
"""

import pytest
from collector import Collector
from our_contracts import ApiContract, MemoryContract, NdjsonContract, SqliteContract

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def collector():
    """Return a server that takes everything."""
    with Collector() as server:
        yield server


class TestMemory(MemoryContract):
    """Records in memory."""


class TestNdjson(NdjsonContract):
    """The journal."""


class TestSqlite(SqliteContract):
    """The database."""


class TestApi(ApiContract):
    """The sink that posts."""
