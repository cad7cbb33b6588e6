"""Look after what was recorded: build stores anew, thin them out, copy them and bring them back."""

from .care import Care

__all__ = ["Care"]
