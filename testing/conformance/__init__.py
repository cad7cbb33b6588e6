"""Hold any sink to the contract: subclass `SinkConformance`, say how the sink is made, run pytest."""

from .kit import SinkConformance

__all__ = ["SinkConformance"]
