"""capgen: prepare a captioned image data set, train an LSTM captioner on it, evaluate it, and caption photographs."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capgen.batch.engines.local import LocalEngine
    from capgen.batch.engines.ray import RayEngine
    from capgen.batch.job import CaptionJob
    from capgen.batch.request import Inputs, OutputPolicy, Outputs
    from capgen.captioner.captioner import Captioner
    from capgen.captioner.request import CaptionRequest
    from capgen.captioner.results import Attention, Caption, Likelihood, Result, SkipReason
    from capgen.errors import (
        BundleError,
        CapgenError,
        ConfigError,
        DataError,
        EngineError,
        ImageError,
        Status,
        StorageError,
        TrainingError,
        UnknownNameError,
        UsageError,
    )
    from capgen.inputs.selection import Selection
    from capgen.outputs.choices import Existing

__version__ = "0.1.0"

__all__ = [
    "Attention",
    "BundleError",
    "CapgenError",
    "Caption",
    "CaptionJob",
    "CaptionRequest",
    "Captioner",
    "ConfigError",
    "DataError",
    "EngineError",
    "Existing",
    "ImageError",
    "Inputs",
    "Likelihood",
    "LocalEngine",
    "OutputPolicy",
    "Outputs",
    "RayEngine",
    "Result",
    "Selection",
    "SkipReason",
    "Status",
    "StorageError",
    "TrainingError",
    "UnknownNameError",
    "UsageError",
]

_ERRORS, _RESULTS, _BATCH = "capgen.errors", "capgen.captioner.results", "capgen.batch.request"

_MODULES = {
    "Attention": _RESULTS,
    "BundleError": _ERRORS,
    "CapgenError": _ERRORS,
    "Caption": _RESULTS,
    "CaptionJob": "capgen.batch.job",
    "CaptionRequest": "capgen.captioner.request",
    "Captioner": "capgen.captioner.captioner",
    "ConfigError": _ERRORS,
    "DataError": _ERRORS,
    "EngineError": _ERRORS,
    "Existing": "capgen.outputs.choices",
    "ImageError": _ERRORS,
    "Inputs": _BATCH,
    "Likelihood": _RESULTS,
    "LocalEngine": "capgen.batch.engines.local",
    "OutputPolicy": _BATCH,
    "Outputs": _BATCH,
    "RayEngine": "capgen.batch.engines.ray",
    "Result": _RESULTS,
    "Selection": "capgen.inputs.selection",
    "SkipReason": _RESULTS,
    "Status": _ERRORS,
    "StorageError": _ERRORS,
    "TrainingError": _ERRORS,
    "UnknownNameError": _ERRORS,
    "UsageError": _ERRORS,
}
"""The module that each public name is loaded from when a program uses it, so that the command starts at once (PEP 562)."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    """List the public names, whether they are loaded yet or not, and those that every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
