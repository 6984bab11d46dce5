"""The encoders that there are. They are described apart from the modules that build them, which import Keras."""

from capgen.images import Preprocessing
from capgen.training.encoders.encoder import PROBABILITIES, Encoder

_LITE_MODULE = "capgen.training.encoders.efficientnet_lite"
_LITE_ORIGIN = "TensorFlow's EfficientNet-Lite, trained on ImageNet-1k, Apache-2.0; inside the package"

_KERAS_MODULE = "capgen.training.encoders.applications"
_KERAS_ORIGIN = "keras.applications, trained on ImageNet-1k; downloaded and checked by Keras, or --encoder-weights FILE"

EFFICIENTNET_LITE0 = Encoder(
    "efficientnet-lite0",
    _LITE_MODULE,
    {"grid": (49, 1280), "middle": (49, 192), PROBABILITIES: (1, 1000)},
    _LITE_ORIGIN,
    shipped=True,
    revision=3,
    custom_weights_revision=1,
)
EFFICIENTNET_LITE2 = Encoder(
    "efficientnet-lite2",
    _LITE_MODULE,
    {"grid": (81, 1280), "middle": (81, 208), PROBABILITIES: (1, 1000)},
    _LITE_ORIGIN,
    shipped=True,
    # Its weights were trained on 260 pixels, and are still good for 288: benchmarks/encoders.py
    preprocessing=Preprocessing(size=288),
    logit_scale=1.5,
    revision=4,
    custom_weights_revision=1,
)
VGG16 = Encoder("vgg16", _KERAS_MODULE, {"grid": (49, 512), "vector": (1, 4096)}, _KERAS_ORIGIN)
RESNET50 = Encoder("resnet50", _KERAS_MODULE, {"grid": (49, 2048)}, _KERAS_ORIGIN)
MOBILENETV3 = Encoder("mobilenetv3", _KERAS_MODULE, {"grid": (49, 960)}, _KERAS_ORIGIN)
EFFICIENTNETV2B0 = Encoder("efficientnetv2b0", _KERAS_MODULE, {"grid": (49, 1280)}, _KERAS_ORIGIN)
