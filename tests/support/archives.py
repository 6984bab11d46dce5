"""Small archives of images, as people and programs make them."""

import io
import tarfile
import zipfile

import pyarrow
import pyarrow.parquet


def tarred(members, mode="w"):
    """Return the bytes of a tar archive of (name, data)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data in members:
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return file.getvalue()


def tar(path, members, mode="w"):
    """Write a tar archive of (name, data), and return its path."""
    path.write_bytes(tarred(members, mode))
    return path


def zipped(path, members, compression=zipfile.ZIP_STORED):
    """Write a zip archive of (name, data), and return its path."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def table(path, /, **columns):
    """Write a Parquet table, and return its path."""
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


STRUCTURE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
"""The type that data sets of the Hugging Face Hub have for images."""


def structures(images):
    """Return images as a column of the Hub has them: a structure of bytes and path for each (path, data)."""
    return pyarrow.array([{"bytes": data, "path": path} for path, data in images], STRUCTURE)
