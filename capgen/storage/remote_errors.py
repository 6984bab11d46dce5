"""What fsspec and the packages below it raise, as an ``ImageError`` with the status that an image at that URL gets."""

from collections.abc import Iterator
from contextlib import contextmanager

from capgen.errors import CapgenError, ImageError, Status, one_line

_PACKAGES = {
    "fsspec", "s3fs", "botocore", "aiobotocore", "aiohttp", "gcsfs", "google", "requests", "urllib3", "zipfile", "zlib",
}  # fmt: skip
"""The packages whose errors say that something is wrong with a file, an archive or a server."""

_UNREACHABLE = {"ClientConnectorError", "EndpointConnectionError", "ConnectionRefusedError", "gaierror"}
_SILENT = {"ConnectTimeoutError", "ReadTimeoutError"}
"""The errors of aiohttp, botocore and Python that say that there is no server, and that there is no answer."""

_MISSING, _REFUSED = (404, 410), (401, 403)
"""Status codes of HTTP."""


@contextmanager
def image_errors() -> Iterator[None]:
    """Turn what fsspec and the packages below it raise into an ``ImageError``."""
    try:
        yield
    except (CapgenError, GeneratorExit):
        raise
    except PermissionError as error:
        raise ImageError(Status.DENIED, "permission denied") from error
    except Exception as error:  # these packages have no base class in common
        if not isinstance(error, (OSError, ValueError, EOFError)) and _package(error) not in _PACKAGES:
            raise
        raise _image_error(error) from error


def _image_error(error: Exception) -> ImageError:
    cause = error.__cause__  # fsspec raises FileNotFoundError for every error on the web, and the real one is its cause
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and _package(cause) == "aiohttp":
        error = cause
    code = getattr(error, "status", 0)
    if isinstance(error, FileNotFoundError) or code in _MISSING:
        return ImageError(Status.MISSING, "there is no such file or bucket")
    if "Credentials" in type(error).__name__ or code in _REFUSED:
        missing = " without credentials; set those of the store" if "NoCredentials" in type(error).__name__ else ""
        return ImageError(Status.DENIED, f"access is denied{missing}")
    return ImageError(Status.UNREADABLE, f"it cannot be fetched: {_fault(error, code)}")


def _fault(error: Exception, code: int) -> str:
    """Return in words why a file cannot be fetched."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ClientConnectorCertificateError" in kinds:
        return "the certificate of its server is not valid"
    if kinds & _UNREACHABLE:
        return f"there is no connection to {getattr(error, 'host', 'its server')}; check the address and the network"
    if isinstance(error, TimeoutError) or kinds & _SILENT:
        return "its server does not answer; try it again later"
    if code:
        return f"its server answers with error {code}; try it again later"
    return one_line(error)


def _package(error: Exception) -> str:
    return type(error).__module__.partition(".")[0]
