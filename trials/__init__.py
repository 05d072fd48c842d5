"""What is asked and what the answers mean: protocol, allocation, endpoints, estimands, analysis."""

from .protocol import Protocol, ProtocolError
from .protocol_file import load_protocol

__all__ = ["Protocol", "ProtocolError", "load_protocol"]
