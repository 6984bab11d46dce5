"""The encoders of ``keras.applications``, with their preprocessing inside the graph, and Keras's own weights or a file's."""

from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from capgen.errors import DataError, one_line
from capgen.training.encoders.encoder import EncoderSpec

# The means that VGG16 and ResNet50 were trained with, in BGR order (Caffe's convention).
CAFFE_MEANS_BGR = (103.939, 116.779, 123.68)


def build(encoder: EncoderSpec, weights: Path | str | None) -> keras.Model:
    """Build an encoder.

    Args:
        encoder: An encoder whose ``module`` is this one.
        weights: A file that Keras can load into the application; ``None`` downloads Keras's own weights; ``"random"`` gives
            untrained ones.

    Returns:
        A model from (N, S, S, 3) float32 RGB in 0..255 to ``grid`` and, for VGG16, ``vector``.

    Raises:
        DataError: The weights cannot be fetched or do not fit.
    """
    size = encoder.preprocessing.size
    image = keras.Input((size, size, 3), name="image")
    with_vector = encoder.name == "vgg16"  # whose fully connected layers give features of the whole image
    application, preprocess = _APPLICATIONS[encoder.name]
    source = None if weights == "random" else "imagenet" if weights is None else str(weights)
    try:
        network = application(include_top=with_vector, weights=source, input_shape=(size, size, 3))
    except Exception as error:
        # Keras reports a failed download as a plain Exception, and a file that does not fit in half a dozen ways
        raise DataError(_reason(encoder, weights, error)) from error
    last = network.get_layer("block5_pool").output if with_vector else network.output
    grid = layers.Reshape((-1, last.shape[-1]))(last)  # (N, C, D)
    outputs = {"grid": grid}
    if with_vector:
        outputs["vector"] = layers.Reshape((1, -1))(network.get_layer("fc2").output)  # (N, 1, D)
    features = keras.Model(network.input, outputs)(preprocess(image))
    named = {name: layers.Identity(name=name)(tensor) for name, tensor in features.items()}
    return keras.Model(image, named, name=encoder.name)


def _caffe(image: keras.KerasTensor) -> keras.KerasTensor:
    """Preprocess as Caffe does: RGB becomes BGR, and the means are subtracted."""
    return keras.ops.flip(image, axis=-1) - keras.ops.reshape(keras.ops.convert_to_tensor(CAFFE_MEANS_BGR), (1, 1, 1, 3))


def _unchanged(image: keras.KerasTensor) -> keras.KerasTensor:
    """Leave an image as it is, for networks that scale 0..255 themselves: MobileNetV3 and EfficientNetV2."""
    return image


_APPLICATIONS: dict[str, tuple[Callable[..., keras.Model], Callable[[keras.KerasTensor], keras.KerasTensor]]] = {
    "vgg16": (keras.applications.VGG16, _caffe),
    "resnet50": (keras.applications.ResNet50, _caffe),
    "mobilenetv3": (keras.applications.MobileNetV3Large, _unchanged),
    "efficientnetv2b0": (keras.applications.EfficientNetV2B0, _unchanged),
}


def _reason(encoder: EncoderSpec, weights: Path | str | None, error: Exception) -> str:
    cause = one_line(error)
    if weights is None:
        return f"the weights of {encoder.name} could not be downloaded ({cause}); name a file with `encoder_weights`"
    return f"{weights} does not hold the weights of {encoder.name} ({cause})"
