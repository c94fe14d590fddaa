"""What `llm-playground --help` takes beside Python itself and click's import.

Run it with `python tests/benchmarks/bench_help.py [ROUNDS]`. The goal: 2.5 times `python -c pass` plus click's import.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

GOAL = 2.5
CASES = {
    "python -c pass": "pass",
    "import click": "import click",
    "--help": "from playground.cli.main import main; main(['--help'])",
}


def measure(rounds: int) -> dict[str, float]:
    """Median milliseconds of each, measured in turn so that a busy machine disturbs all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, code in CASES.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
            times[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(one) for name, one in times.items()}


def main() -> None:
    """Print the medians and what they come to."""
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 21)
    for name, median_ms in found.items():
        print(f"{name:<16} {median_ms:7.1f} ms")
    bare, click = found["python -c pass"], found["import click"] - found["python -c pass"]
    limit = GOAL * bare + click
    print(f"{found['--help']:.1f} ms of {limit:.1f} ms = {GOAL} x {bare:.1f} + {click:.1f} for click")


if __name__ == "__main__":
    main()
