"""Two workers against one, on Ray and as plain processes; then seconds and memory as the number of files grows.

python benchmarks/scale.py FOLDER [COUNT ...]

FOLDER holds photographs, 2,000 of which are captioned greedily. Ray's workers have a thread each; what Ray takes for a
single photograph, all of it before and after the work, is told apart. Plain processes are ``capgen caption --shard`` kept
on a processor each by ``taskset``. The second part captions COUNT small generated images (1,000, 10,000 and 100,000 by
default), each number in a process of its own; the last takes ten minutes.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from capgen.batch.engines.ray import RayEngine
from capgen.batch.job import CaptionJob
from capgen.captioner.captioner import Captioner
from capgen.captioner.request import CaptionRequest
from capgen.inputs.selection import Selection

SHARE = 2_000
COUNTS = (1_000, 10_000, 100_000)
DIFFERENT = 1_000
"""Generated images that differ; the others are links to them."""

CAPGEN = Path(sys.executable).with_name("capgen")


def on_ray(paths: list[Path], workers: int) -> tuple[float, float]:
    """Return the seconds for one photograph, and for all, each with Ray's start and end."""
    seconds = []
    captioner = Captioner.load()
    for some in (paths[:1], paths):
        started = time.perf_counter()
        job = CaptionJob(some, captioner, CaptionRequest(num_beams=1), engine=RayEngine(workers=workers))
        results = list(job.run())
        assert not any(result.failed for result in results)
        seconds.append(time.perf_counter() - started)
    return seconds[0], seconds[1]


def as_processes(listing: Path, count: int) -> float:
    """Return the seconds that so many plain processes take, a shard and a processor each."""
    started = time.perf_counter()
    usual = [CAPGEN, "caption", "--beam", "1", "--quiet", "--from-file", listing]
    running = [
        subprocess.Popen(
            ["taskset", "--cpu-list", str(processor), *usual, "--shard", f"{part}/{count}"], stdout=subprocess.DEVNULL
        )
        for part, processor in zip(range(1, count + 1), sorted(os.sched_getaffinity(0)), strict=False)
    ]
    assert not any(process.wait() for process in running)
    return time.perf_counter() - started


def compare(folder: Path) -> None:
    """Print two workers beside one."""
    paths = [found.path.absolute() for found in Selection(recursive=True).find([str(folder)])][:SHARE]
    print(f"{len(paths):,} photographs, captioned greedily")
    work = {}
    for workers in (1, 2):
        fixed, whole = on_ray(paths, workers)
        work[workers] = whole - fixed
        print(
            f"Ray, {workers} of one thread: {work[workers]:.1f} s of work, and {fixed:.1f} s that a single photograph takes"
        )
    print(f"Ray, two against one: {work[1] / work[2]:.2f} times as fast, without that")
    with tempfile.TemporaryDirectory() as target:
        listing = Path(target) / "list"
        listing.write_text("".join(f"{path}\n" for path in paths))
        one, two = as_processes(listing, 1), as_processes(listing, 2)
    print(
        f"plain processes of a processor each: {one:.1f} s, two shards {two:.1f} s, {one / two:.2f} times as fast, all told"
    )


def generate(folder: Path, count: int) -> None:
    """Make small images in folders of a thousand."""
    random = np.random.default_rng(0)
    for number in range(count):
        target = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        target.parent.mkdir(exist_ok=True)
        if number < DIFFERENT:
            Image.fromarray(random.integers(0, 256, (96, 128, 3), np.uint8)).save(target)
        else:
            target.hardlink_to(folder / "000" / f"{number % DIFFERENT:06}.jpg")


def grow(counts: list[int]) -> None:
    """Print seconds and memory for growing numbers of files."""
    for count in counts:
        with tempfile.TemporaryDirectory() as target:
            generate(Path(target), count)
            output = Path(target) / "captions.jsonl"
            program = [sys.executable, __file__, "--one", target, str(output)]
            started = time.perf_counter()
            peak = float(subprocess.run(program, check=True, capture_output=True, text=True).stdout.split()[-1])
            seconds = time.perf_counter() - started
            assert output.read_bytes().count(b"\n") == count
        print(f"{count:,} files: {1000 * seconds / count:.2f} s a thousand, peak {peak:.0f} MB")


def one(folder: str, output: str) -> None:
    """Run ``capgen caption`` in this process, and print its peak memory in MB."""
    from typer.testing import CliRunner

    from capgen.cli import app

    arguments = ["caption", "--recursive", "--beam", "1", "--quiet", "--output", output, folder]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one(*sys.argv[2:])
    else:
        compare(Path(sys.argv[1]))
        grow([int(count) for count in sys.argv[2:]] or list(COUNTS))
