"""The JSON Schema of a protocol file, with which an editor completes keys and marks faults while one writes.

It knows the keys, kinds, words and bounds of each field. What must agree between blocks, and what a model or
a measure accepts, is checked by `protocol_file` alone. Quantities are text.
"""

from __future__ import annotations

from typing import Any

from .protocol import Protocol

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def protocol_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of a protocol file of format 1."""
    schema = Protocol.model_json_schema(mode="validation")
    return {"$schema": DRAFT, **schema, "title": "twinarm protocol, format 1"}
