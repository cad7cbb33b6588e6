"""Say who speaks: the agent is the service, its owner the namespace; the process that sends may be another one."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import metadata

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from .conventions import SCHEMA_URL
from .kin import Kin
from .values import as_text

__all__ = ["Resources", "scope"]

_DISTRIBUTION = "local-telemetry"


@functools.cache
def scope() -> InstrumentationScope:
    """Return what the backend sees as the instrumentation: this distribution."""
    return InstrumentationScope(_DISTRIBUTION, metadata.version(_DISTRIBUTION), SCHEMA_URL)


class Resources:
    """
    The resource of each agent on each host.

    One process delivers what all processes of a base directory recorded. So what the records say (`service.name`,
    `service.namespace`, `host.name`) goes before `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME` does not count, and
    nothing is told of the process that happens to send.

    Args:
        given: further attributes; they go before everything else.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        of_environment = dict(OTELResourceDetector().detect().attributes)
        sdk = {"telemetry.sdk.language": "python", "telemetry.sdk.name": _DISTRIBUTION}
        self._common = {**of_environment, **sdk, "telemetry.sdk.version": metadata.version(_DISTRIBUTION)}
        self._given = given
        self.of = functools.lru_cache(maxsize=1000)(self._of)

    def _of(self, agent_name: str, agent_owner: str | None, host: str | None) -> Resource:
        told = {"service.name": agent_name, "service.namespace": agent_owner, "host.name": host}
        said = {name: as_text(value) for name, value in told.items() if value}
        return Resource({**self._common, **said, **self._given}, SCHEMA_URL)

    def of_kin(self, kin: Kin) -> Resource:
        """Return the resource of a run."""
        return self.of(kin.agent_name, kin.agent_owner, kin.host)
