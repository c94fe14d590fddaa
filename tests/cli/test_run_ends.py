"""How `llm-playground run` ends when something or somebody ends it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.cli.support import run, start

pytestmark = pytest.mark.usefixtures("starter_gguf")

ENDLESS = ("run", "--raw", "--prompt", "Once upon a time", "--set", "ignore_eos=true", "--max-tokens", "-1")


@contextmanager
def running(*arguments: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A run that writes and writes; nothing of it is left at the end."""
    process = start(*arguments, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_reply_in_good_order(number: signal.Signals) -> None:
    with running(*ENDLESS, "--json") as process:
        assert process.stdout is not None
        for _ in range(4):
            process.stdout.readline()
        workers = psutil.Process(process.pid).children()
        process.send_signal(number)
        out, err = process.communicate()
    last = json.loads(out.splitlines()[-1])
    assert (last["event"], last["reason"]) == ("finished", "cancelled")
    assert last["text"]
    assert (process.returncode, err) == (130, b"")
    assert workers
    assert not any(worker.is_running() for worker in workers)


def test_ctrl_c_reaches_the_whole_group_and_the_reply_still_ends_well() -> None:
    with running(*ENDLESS, "--json", start_new_session=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert json.loads(out.splitlines()[-1])["reason"] == "cancelled"
    assert (process.returncode, err) == (130, b"")


def test_a_signal_while_the_model_loads() -> None:
    with running(*ENDLESS) as process:
        parent = psutil.Process(process.pid)
        while not parent.children():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out.strip(), err) == (130, b"", b"") or process.returncode == 130


@pytest.mark.parametrize("as_json", [(), ("--json",)])
def test_a_reader_that_has_seen_enough_ends_the_run(as_json: tuple[str, ...]) -> None:
    with running(*ENDLESS, *as_json, bufsize=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1)
        workers = psutil.Process(process.pid).children()
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""
        assert not any(worker.is_running() for worker in workers)


def test_a_worker_that_is_killed_is_a_failure_and_what_was_written_stays() -> None:
    with running(*ENDLESS, "--json") as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(4)]
        (worker,) = psutil.Process(process.pid).children()
        worker.kill()
        out, err = process.communicate()
    objects = [json.loads(line) for line in b"".join(seen).splitlines() + out.splitlines()]
    assert objects[-1]["event"] == "failed"
    assert objects[-1]["kind"] == "EngineDied"
    assert sum(entry["event"] == "token" for entry in objects) >= 3
    assert process.returncode == 1
    (line,) = err.decode().splitlines()
    assert "SIGKILL" in line


def test_a_terminal_never_gets_what_could_steer_it() -> None:
    """The model is made to write escape characters; on a pipe they are bytes like others."""
    forced = (
        "--raw",
        "--prompt",
        "x",
        "--set",
        "logit_bias=\x1b:100",
        "--max-tokens",
        "5",
        "--preset",
        "deterministic",
    )
    piped = run("run", *forced)
    assert (piped.status, piped.out) == (0, "\x1b" * 5 + "\n")
    master, slave = pty.openpty()
    process = start("run", *forced, stdout=slave)
    os.close(slave)
    shown = _read_all(master)
    _, err = process.communicate()
    os.close(master)
    assert (process.returncode, err) == (0, b"")
    assert shown.decode().strip() == "\u241b" * 5


def _read_all(master: int) -> bytes:
    data = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # Linux: the other side is closed
            return data
        if not piece:
            return data
        data += piece
