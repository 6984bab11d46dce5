"""Peak memory of captioning a folder, and whether it is flat: the peak after half of the files, and after all.

python benchmarks/memory.py FOLDER
"""

import resource
import sys
from pathlib import Path

from capgen.captioner.captioner import Captioner
from capgen.inputs.selection import Selection


def peak_mb() -> float:
    """Return the greatest resident size so far, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(folder: Path) -> None:
    """Caption everything below the folder."""
    paths = [found.path for found in Selection(recursive=True).find([str(folder)])]
    captioner = Captioner.load()
    half = 0.0
    for done, _ in enumerate(captioner.caption_many(paths), 1):
        if done == len(paths) // 2:
            half = peak_mb()
    print(f"{len(paths)} files: peak {peak_mb():.0f} MB, {half:.0f} MB after half of them")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
