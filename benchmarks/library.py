"""A photo library, captioned and gone through again where all is done, beside another checkout of capgen.

python benchmarks/library.py OTHER FOLDER [IMAGES [DONE]]

OTHER is the folder of the other checkout, which runs with the same packages, and FOLDER one of JPEG files. IMAGES of them
(5,000) are captioned greedily with text sidecars. Then DONE images (100,000) in folders of 500, which are links to a few and
all have a caption in a text sidecar, in an XMP file or in their own metadata (written by exiftool), are gone through without
anything to do. Prints seconds and ratios.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

from timing import in_turn, report

HERE = Path(__file__).parents[1]
A_FOLDER = 500
LINKED = 4
"""Files that the images with nothing to do are links to: file systems limit how many one can have."""

RUNS = 3


def capgen(checkout: Path, folder: Path, *options: str) -> list[str]:
    """Return a command that captions a folder with the code of a checkout, which has a data folder of its own."""
    data = f"{os.environ['CAPGEN_DATA_DIR']}/{checkout.name}"
    program = (
        f"import os, sys; os.environ['CAPGEN_DATA_DIR'] = {data!r}; sys.path.insert(0, {str(checkout)!r})\n"
        "from capgen.cli import main; main()"
    )
    return [sys.executable, "-c", program, "caption", "--recursive", str(folder), "--quiet", *options]


def linked(images: list[Path], folder: Path, count: int) -> None:
    """Make links to images, over and over, in folders of ``A_FOLDER``."""
    for number in range(count):
        inside = folder / f"{number // A_FOLDER:04}"
        inside.mkdir(parents=True, exist_ok=True)
        os.link(images[number % len(images)], inside / f"{number:06}.jpg")


def main(other: Path, folder: Path, count: int, done: int) -> None:
    """Measure all in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["CAPGEN_DATA_DIR"] = f"{temporary}/data"
        originals = Path(temporary) / "originals"
        originals.mkdir()
        found = [Path(shutil.copy(path, originals)) for path in islice(sorted(folder.rglob("*.jpg")), count)]
        library = Path(temporary) / "library"
        linked(found, library, len(found))
        options = ("--sidecar", ".txt", "--beam", "1", "--existing", "overwrite", "--force")
        times = in_turn({name: capgen(root, library, *options) for name, root in checkouts(other).items()}, RUNS)
        report(f"{len(found):,} captioned", times["here"], "the other", times["there"])

        plain = found[:LINKED]
        described = [Path(shutil.copy(path, Path(temporary) / f"{number}.jpg")) for number, path in enumerate(plain)]
        fields = [f"-{field}=a photograph" for field in ("XMP-dc:Description", "XMP-iptcCore:AltTextAccessibility")]
        subprocess.run(["exiftool", "-quiet", "-overwrite_original", *fields, *described], check=True)
        packet = subprocess.run(["exiftool", "-XMP", "-b", described[0]], check=True, capture_output=True).stdout
        for what, options, images, ending, data in (
            ("a text sidecar", ["--sidecar", ".txt"], plain, ".txt", b"a photograph\n"),
            ("an XMP file", ["--xmp"], plain, ".xmp", packet),
            ("a caption in them", ["--embed"], described, None, b""),
        ):
            whole = Path(temporary) / "done"
            linked(images, whole, done)
            for path in whole.rglob("*.jpg") if ending else ():
                path.with_suffix(ending).write_bytes(data)
            commands = {name: capgen(root, whole, *options) for name, root in checkouts(other).items()}
            times = in_turn(commands, RUNS)
            report(f"{done:,} with {what}", times["here"], "the other", times["there"])
            shutil.rmtree(whole)


def checkouts(other: Path) -> dict[str, Path]:
    """Return the two checkouts by name."""
    return {"here": HERE, "there": other.resolve()}


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[3:5]]
    main(Path(sys.argv[1]), Path(sys.argv[2]), *numbers, *(5_000, 100_000)[len(numbers) :])
