"""The registry of encoders. Importing it loads neither NumPy nor TensorFlow.

An encoder is a Keras model from (N, S, S, 3) float32 RGB in 0..255, its preprocessing inside, to named outputs:

- ``grid`` (N, C, D): the feature map of the last layer before pooling, one row a cell;
- ``vector`` (N, 1, D): the features of the whole image, where the encoder has a layer of its own for them;
- ``middle`` (N, C, D): the feature map that the last blocks, which can be fine-tuned, make the grid of;
- ``probabilities`` (N, 1, 1000): the probabilities of ImageNet's classes, where the encoder's head is at hand.
"""

from typing import TYPE_CHECKING

from capgen.registry import Registry

if TYPE_CHECKING:
    from capgen.training.encoders.encoder import EncoderSpec

_CATALOGUE = "capgen.training.encoders.catalogue"

ENCODERS: "Registry[EncoderSpec]" = Registry(
    "encoder",
    {
        "efficientnet-lite0": f"{_CATALOGUE}:EFFICIENTNET_LITE0",
        "efficientnet-lite2": f"{_CATALOGUE}:EFFICIENTNET_LITE2",
        "vgg16": f"{_CATALOGUE}:VGG16",
        "resnet50": f"{_CATALOGUE}:RESNET50",
        "mobilenetv3": f"{_CATALOGUE}:MOBILENETV3",
        "efficientnetv2b0": f"{_CATALOGUE}:EFFICIENTNETV2B0",
    },
)
