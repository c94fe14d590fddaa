"""Runs the command line as a person does: in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

from playground.services.settings import save_setting, settings_path

COMMAND = (sys.executable, "-m", "playground.cli.main")


class Result(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> str:
        """The one line on standard error."""
        (line,) = self.err.splitlines()
        assert line.startswith("llm-playground: ")
        return line


def one_thread() -> None:
    """Write it into the settings of the test's own home: threads that wait for one another crawl on a busy machine."""
    for name in ("threads", "threads_batch"):
        save_setting(settings_path(), f"load.{name}", 1)


def run(*arguments: str, stdin: bytes = b"") -> Result:
    """`llm-playground ARGUMENTS` to its end, with nothing that is a terminal."""
    one_thread()
    done = subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, check=False)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """The same, without waiting for its end."""
    one_thread()
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, *arguments], **{**pipes, **options})
