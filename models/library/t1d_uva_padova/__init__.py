"""Type 1 diabetes: UVA/Padova-type body, insulin pump, glucose sensor, controllers and daily life."""

from .model import MODEL

__all__ = ["MODEL"]
