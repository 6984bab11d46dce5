"""The registry of decoders, each a class in a module of its own. Importing the registry loads no Keras or TensorFlow."""

from typing import TYPE_CHECKING

from capgen.registry import Registry

if TYPE_CHECKING:
    from capgen.training.decoders.decoder import Decoder

DECODERS: "Registry[type[Decoder]]" = Registry(
    "decoder",
    {
        "attention": "capgen.training.decoders.attention:AttentionDecoder",
        "merge": "capgen.training.decoders.merge:MergeDecoder",
        "inject": "capgen.training.decoders.inject:InjectDecoder",
    },
)
