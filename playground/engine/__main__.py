"""`python -m playground.engine`: the worker process. Started by the local backend, not by a person."""

from __future__ import annotations

import faulthandler
import os
import signal

from playground.engine.threads import prepare_threads


def main() -> None:
    """Serve one model over standard input and output."""
    prepare_threads()
    # llama.cpp would start a debugger, if it finds one, to print where it gave up.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    # Ctrl-C in the terminal reaches the whole process group; ending is the app's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()

    from playground.engine.worker import serve

    serve()


if __name__ == "__main__":
    main()
