"""`llm-playground doctor`: what is right and wrong on this machine, and that nothing secret is among it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.domain.endpoints import Secret
from playground.services.doctor import examine
from playground.services.history import history_path
from playground.services.history_check import check_history
from playground.services.keys import save_key
from playground.services.settings import settings_path
from playground.services.terminal_facts import TerminalFacts, terminal_facts
from tests.cli.support import COMMAND, run

KEY = "sk-planted-0123456789abcdef"


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine of the test says about its terminal does not count."""
    for name in ("COLORTERM", "NO_COLOR", "TERM_PROGRAM", "TMUX", "STY", "ZELLIJ", "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def findings(area: str, *, status: int = 0) -> list[dict[str, Any]]:
    done = run("doctor", "--json")
    assert (done.status, done.err) == (status, "")
    return [one for one in done.objects if one["area"] == area]


@pytest.mark.usefixtures("starter_gguf")
def test_a_machine_on_which_all_is_well() -> None:
    done = run("doctor")
    assert (done.status, done.err) == (0, "")
    assert "problem" not in done.out
    for area in ("versions", "llama.cpp", "machine", "folders", "settings", "presets", "keys", "models", "terminal"):
        assert f"\n{area}\n" in f"\n{done.out}"
    assert "llama-cpp-python " in done.out
    for device in (line for line in done.out.splitlines() if "computes on " in line):
        assert "GPU" in device or "free" not in device, "a processor's memory is the machine's"
    assert "none yet" in done.out
    assert "starter: 1, " in done.out


@pytest.mark.usefixtures("starter_gguf")
def test_keys_are_told_by_their_place_and_never_by_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("MY_OWN", f"{KEY}-own")
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text(
        f"""
        [endpoints.box]
        base_url = "https://box.example.org/v1"
        api_key = "${{MY_OWN}}"
        [endpoints.written]
        base_url = "https://written.example.org/v1"
        api_key = "{KEY}-written"
        """
    )
    save_key("kept", "https://kept.example.org/v1", Secret(f"{KEY}-kept"))
    done = run("doctor", "--json")
    told = {one["text"].partition(":")[0]: one["text"] for one in done.objects if one["area"] == "keys"}
    assert told["openai"].endswith("found in OPENAI_API_KEY")
    assert told["box"].endswith("found in MY_OWN")
    assert told["written"].endswith("settings.toml")
    everything = done.out + done.err + run("doctor").out
    for part in (KEY, KEY[3:], KEY[:8], KEY[-8:]):
        assert part not in everything
    assert any("api_key can be read by others" in one["text"] for one in done.objects) == bool(
        settings_path().stat().st_mode & 0o077
    )


@pytest.mark.usefixtures("starter_gguf")
def test_mistakes_in_files_are_problems_with_a_next_step(sealed: Path) -> None:
    config = sealed / "playground" / "config"
    for kind in ("presets", "themes"):
        (config / kind).mkdir(parents=True)
    (config / "settings.toml").write_text(
        'nonsense = 1\npreset = "balancd"\ntheme = "nosuch"\n[keymap]\n"prompt.send" = "nokey"\n'
    )
    (config / "presets" / "bad.toml").write_text("[sampling]\ntemperature = 99\n")
    (config / "themes" / "bad.toml").write_text('name = "bad"\n')
    done = run("doctor", "--json")
    assert done.status == 1
    problems = {(one["area"], one["text"]): one["next_step"] for one in done.objects if one["state"] == "problem"}
    for area, says in [
        ("settings", "nonsense"),
        ("settings", "preset: There is no preset 'balancd'."),
        ("presets", "bad.toml"),
        ("themes", "bad.toml"),
        ("keys of the app", "'nokey' is no key"),
    ]:
        (step,) = [step for (where, text), step in problems.items() if where == area and says in text]
        assert step or area == "themes"
    assert any(one["area"] == "themes" and "'nosuch'" in one["text"] for one in done.objects)
    assert "problems" in run("doctor").out


@pytest.fixture
def history(starter_gguf: Path) -> Path:
    """A history with one reply."""
    del starter_gguf
    assert run("run", "-p", "Hello", "--max-tokens", "1").status == 0
    with contextlib.closing(sqlite3.connect(history_path())) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return history_path()


def test_a_history_that_can_be_used_is_told_with_its_replies_and_its_size(history: Path) -> None:
    before = history.read_bytes()
    (one,) = findings("history")
    assert (one["state"], one["text"][:9]) == ("ok", "1 reply, ")
    assert one["text"].endswith(" kB")
    assert history.read_bytes() == before


@pytest.mark.parametrize("fault", ["damaged", "torn", "newer", "another's", "a folder"])
def test_a_history_that_cannot_be_used_is_a_problem_with_a_next_step(history: Path, fault: str) -> None:
    says = {"newer": "newer version", "another's": "another program's", "a folder": "cannot be kept"}
    if fault == "damaged":
        history.write_bytes(b"nothing of the kind" * 1000)
    elif fault == "torn":  # its first page is whole
        pages = history.read_bytes()
        history.write_bytes(pages[:4096] + b"\xff" * (len(pages) - 4096))
    elif fault == "a folder":
        history.unlink()
        history.mkdir()
    else:
        with contextlib.closing(sqlite3.connect(history)) as file:
            file.execute("PRAGMA user_version = 99" if fault == "newer" else "PRAGMA application_id = 7")
    (one,) = findings("history", status=1)
    assert one["state"] == "problem"
    assert says.get(fault, "damaged") in one["text"]
    assert one["next_step"]


def test_a_history_that_takes_too_long_to_check_is_told_all_the_same(history: Path) -> None:
    health = check_history(history, patience_s=-1.0)
    assert health is not None
    assert (health.replies, health.whole) == (1, False)


@pytest.mark.usefixtures("starter_gguf")
def test_a_file_where_a_folder_belongs_is_a_problem(sealed: Path) -> None:
    home = sealed / "playground"
    home.mkdir()
    (home / "cache").write_text("")
    (wrong,) = [one for one in findings("folders", status=1) if one["state"] == "problem"]
    assert "cache" in wrong["text"]
    assert wrong["next_step"]


async def test_a_server_that_answers_is_found_and_sent_nothing(
    starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del starter_gguf
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text(
        f"""
        [endpoints.here]
        base_url = "http://127.0.0.1:{port}/v1"
        [endpoints.gone]
        base_url = "http://127.0.0.1:9/v1"
        """
    )
    async with server:
        told = await asyncio.to_thread(findings, "servers")
    states = {one["text"].split()[0]: (one["state"], one["next_step"]) for one in told}
    assert states["here"] == ("ok", "")
    assert states["gone"][0] == "note"
    assert states["gone"][1]
    assert got == [b""]


async def test_nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    asked: list[str] = []
    connect = asyncio.open_connection

    async def watched(host: str, port: int) -> Any:
        asked.append(host)
        return await connect(host, port)

    monkeypatch.setattr(asyncio, "open_connection", watched)
    assert [finding async for finding in examine()]
    assert set(asked) == {"127.0.0.1"}


def test_a_broken_llama_cpp_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "llama_cpp"
    package.mkdir()
    (package / "__init__.py").write_text("raise OSError('libllama.so: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    (wrong,) = findings("llama.cpp", status=1)
    assert "cannot be loaded" in wrong["text"]
    assert "pip install" in wrong["next_step"]


def test_no_model_is_a_problem_with_the_way_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.services.doctor.starter_model", lambda: None)
    monkeypatch.setattr("playground.services.models.starter_model", lambda: None)

    async def last() -> list[Any]:
        return [finding async for finding in examine()]

    wrong = asyncio.run(last())[-1]
    assert (wrong.area, wrong.state) == ("models", "problem")
    assert "llm-playground-tui[starter]" in wrong.next_step


class Terminal:
    """Our end of a terminal, which answers what it is asked."""

    def __init__(self, answer: bytes) -> None:
        self.ours, self.theirs = pty.openpty()
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        seen = b""
        while b"\x1b[c" not in seen:
            try:
                seen += os.read(self.ours, 1024)
            except OSError:
                return
        os.write(self.ours, self._answer)

    def close(self) -> None:
        os.close(self.theirs)
        self._thread.join(5)
        os.close(self.ours)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    made: list[Terminal] = []
    yield made
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("answer", "knows"),
    [(b"\x1b[?0u\x1b[?62;c", True), (b"\x1b[?1;2c", False)],
    ids=["kitty protocol", "none"],
)
def test_a_terminal_is_asked_which_keys_it_can_send(answer: bytes, knows: bool, terminals: list[Terminal]) -> None:
    terminals.append(Terminal(answer))
    assert terminal_facts(terminals[0].theirs, {"TERM": "xterm"}).kitty_keys is knows


def test_a_terminal_that_does_not_answer_is_not_waited_for(terminals: list[Terminal]) -> None:
    terminals.append(Terminal(b""))
    assert terminal_facts(terminals[0].theirs, {"TERM": "xterm"}).kitty_keys is None


@pytest.mark.parametrize(
    ("environment", "colours"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, 1 << 24),
        ({"TERM": "xterm-256color"}, 256),
        ({"TERM": "xterm-kitty"}, 1 << 24),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, 256),
        ({"TERM": "xterm", "NO_COLOR": "1"}, 0),
        ({"TERM": "xterm"}, None),
        ({"TERM": "dumb"}, 0),
    ],
)
def test_colours_as_far_as_they_are_told(environment: dict[str, str], colours: int | None) -> None:
    facts: TerminalFacts = terminal_facts(None, environment)
    assert facts.colours == colours


def test_a_multiplexer_and_a_far_terminal_are_named() -> None:
    facts = terminal_facts(None, {"TERM": "tmux-256color", "TMUX": "/tmp/t,1,0", "SSH_TTY": "/dev/pts/1"})
    assert (facts.multiplexer, facts.remote) == ("tmux", True)
    assert facts.utf8 is False
    assert terminal_facts(None, {"LANG": "de_DE.UTF-8"}).utf8


@pytest.mark.usefixtures("starter_gguf")
def test_in_a_terminal_the_report_asks_it_and_leaves_it_as_it_was(terminals: list[Terminal]) -> None:
    terminals.append(Terminal(b"\x1b[?0u\x1b[?62;c"))
    ours = terminals[0]
    process = subprocess.Popen(
        [*COMMAND, "doctor"], stdin=ours.theirs, stdout=ours.theirs, stderr=subprocess.PIPE, start_new_session=True
    )
    ours._thread.join(60)
    seen = b""
    while b"kitty keyboard protocol" not in seen:
        seen += os.read(ours.ours, 4096)
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert sys.platform != "linux" or b"tells all keys apart" in seen
