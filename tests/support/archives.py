"""Small archives of images, as people and programs make them."""

import io
import tarfile
import zipfile

import pyarrow
import pyarrow.parquet


def tar(path, members, mode="w"):
    """Write a tar archive of (name, data), and return its path."""
    with tarfile.open(path, mode) as archive:
        for name, data in members:
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return path


def zipped(path, members, compression=zipfile.ZIP_STORED):
    """Write a zip archive of (name, data), and return its path."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def table(path, rows=1000, **columns):
    """Write a Parquet table, with so many rows in a group, and return its path."""
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=rows)
    return path


STRUCTURE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
"""The type that data sets of the Hugging Face Hub have for images."""


def structures(images):
    """Return images as a column of the Hub has them: a structure of bytes and path for each (path, data)."""
    return pyarrow.array([{"bytes": data, "path": path} for path, data in images], STRUCTURE)
