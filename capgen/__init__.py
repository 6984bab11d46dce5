"""capgen: prepare a captioned image data set, train an LSTM captioner on it, evaluate it, and caption photographs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capgen.captioner.captioner import Captioner

__version__ = "0.1.0"
__all__ = ["Captioner"]


def __getattr__(name: str) -> Any:
    """Load what a program uses when it does, so that the command starts at once (PEP 562)."""
    if name == "Captioner":
        from capgen.captioner.captioner import Captioner

        return Captioner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
