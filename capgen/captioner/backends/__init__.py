"""What runs a captioner's model, one module a backend. ``model`` has the contract; a bundle names the backend it is for."""

from typing import TYPE_CHECKING

from capgen.registry import Registry

if TYPE_CHECKING:
    from capgen.captioner.backends.model import CaptionModel

BACKENDS: "Registry[type[CaptionModel]]" = Registry(
    "captioner backend",
    {
        "litert-lstm": "capgen.captioner.backends.litert_lstm:LiteRTCaptionModel",
        "fake": "capgen.captioner.backends.fake:FakeCaptionModel",
    },
)

DEFAULT_BACKEND = "litert-lstm"
"""What runs the captioners that ``capgen train`` exports, and those of schema 1, which name no backend."""
