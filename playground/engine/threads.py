"""How the threads of llama.cpp and numpy behave. Decided by the environment, before either is imported."""

from __future__ import annotations

import os
from typing import Final

SPINS: Final = 1000
"""Turns a thread of GNU OpenMP waits awake, about 15 microseconds; then it sleeps."""


def prepare_threads() -> None:
    """Keep numpy to one thread, and let waiting threads of llama.cpp give their core away soon.

    A token takes hundreds of barriers at which threads wait for the slowest one. GNU OpenMP lets them spin for
    milliseconds. On an idle machine that is no better than sleeping; beside another busy program the waiting thread
    keeps the very core that the slowest one needs, and decoding falls to a hundredth of its speed.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))
