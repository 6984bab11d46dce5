"""What the benchmarks share: whole processes timed in turn, so that a drifting machine slows both sides alike."""

import statistics
import subprocess
import time


def in_turn(commands: dict[str, list[str]], runs: int) -> dict[str, float]:
    """Run commands in turn, once unmeasured and then ``runs`` times; return each one's median wall time in seconds."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if run:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def report(measured: str, seconds: float, peer: str, peer_seconds: float) -> None:
    """Print two wall times and their ratio."""
    print(f"{measured}: {seconds:.3f} s; {peer}: {peer_seconds:.3f} s; ratio {seconds / peer_seconds:.2f}")
