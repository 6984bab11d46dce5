"""The registry of decoders. Importing it loads no TensorFlow."""

from capgen.registry import Registry

DECODERS = Registry(
    "decoder",
    {
        "attention": "capgen.training.decoders.attention:AttentionDecoder",
        "merge": "capgen.training.decoders.merge:MergeDecoder",
        "inject": "capgen.training.decoders.inject:InjectDecoder",
    },
)
