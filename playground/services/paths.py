"""Where things lie: what the app ships, and what it keeps for the person who runs it.

Only the standard library is imported here, so that the shipped files can be found from anywhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

APP_NAME: Final = "llm-playground"

HOME_VARIABLE: Final = "LLM_PLAYGROUND_HOME"
"""Environment variable naming one folder for everything the app keeps, with config/, data/, state/, cache/ and logs/
below it."""
_SHOWN: Final = 80
"""Characters of a path in a message that it may be too long for."""
_HANDLES: Final = re.compile(r"/dev/fd|/proc/[^/]+/(?:task/[^/]+/)?fd")
"""Folders in which what a process has open stands by its number."""
_MOST_LINKS: Final = 40
_INTO: Final = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY


def shipped(kind: Literal["themes", "presets", "recordings"]) -> Path:
    """The folder of shipped themes, presets or recordings, in an installed wheel as well as in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "data" / kind
    return installed if installed.is_dir() else package.parent / kind


def user_config_dir() -> Path:
    """Folder of settings, own themes and own presets; it may not exist yet."""
    return _own_folder("config")


def user_data_dir() -> Path:
    """Folder of transcripts and experiments; it may not exist yet."""
    return _own_folder("data")


def user_state_dir() -> Path:
    """Folder of what is remembered between runs, such as recent models; it may not exist yet."""
    return _own_folder("state")


def user_cache_dir() -> Path:
    """Folder of what can be fetched or made again, such as vocabularies; it may not exist yet."""
    return _own_folder("cache")


def log_dir() -> Path:
    """Folder of log files; it may not exist yet."""
    return _own_folder("logs")


def path_from(text: str) -> Path:
    """The path that a person has typed, with ~ for a home folder; nothing need be there yet.

    A ~ before a name that nobody has here is part of the name, as in a shell. Raises BadInput for what no file can be
    called, such as a name that is too long.
    """
    try:
        path = os.path.expanduser(text)
        os.stat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # ValueError: a NUL, or half of a surrogate pair
        from playground.domain.display import display_line
        from playground.domain.errors import BadInput

        why = error.strerror if isinstance(error, OSError) and error.strerror else "no file can be called so"
        name = display_line(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
        raise BadInput(f"{name} cannot be used: {why}.", "Give another path.") from error
    return Path(path)


def write_text_atomic(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file's text so that a reader, or a crash, sees either the old text or the new one.

    Missing folders are made. A link is followed, and a file that exists keeps its permissions; a new one gets `mode`.
    What is there and no regular file, such as a device or a pipe, is written into and stays what it is; a pipe that
    nobody reads is waited for. So is what a process has open, such as /dev/stdout, also where that is a regular file:
    what stands in it stays. Raises OSError as writing does, and ValueError for what is no name or no text.
    """
    open_one = _open_one(path)
    if open_one or _takes_text_in(path):
        handle = _handle_of(open_one) if open_one else os.open(path, _INTO)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        return
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        mode = target.stat().st_mode & 0o777
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _open_one(path: Path) -> str:
    """The name by its number of what a process has open, where that is what a path leads to; else nothing."""
    here = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(here)
        folder = os.path.realpath(folder)
        if _HANDLES.fullmatch(folder):
            return os.path.join(folder, name)
        try:
            here = os.path.join(folder, os.readlink(os.path.join(folder, name)))
        except OSError:
            return ""
    return ""


def _handle_of(name: str) -> int:
    """Another handle of what is open under that name: it writes where the first one would. Raises OSError."""
    folder, number = os.path.split(name)
    if folder in ("/dev/fd", os.path.realpath("/proc/self/fd")) and re.fullmatch("[0-9]{1,9}", number):
        return os.dup(int(number))
    return os.open(name, _INTO | os.O_APPEND)  # where another process writes at the moment, nobody can tell


def _takes_text_in(path: Path) -> bool:
    """True for what a new file would destroy: it is there, and neither a regular file nor a folder."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold off other instances of the app while a file is read, changed and written again.

    `name` stands for that file. Where no lock can be had, the work goes on without one.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            folder = user_state_dir()
            folder.mkdir(parents=True, exist_ok=True)
            # The path itself would be too long for a file name, and two files must not share a lock.
            import hashlib

            lock = folder / f"{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.lock"
            fcntl.flock(held.enter_context(lock.open("a")), fcntl.LOCK_EX)
        yield


def _own_folder(kind: Literal["config", "data", "state", "cache", "logs"]) -> Path:
    home = os.environ.get(HOME_VARIABLE)
    if home:
        return Path(os.path.expanduser(home)) / kind
    import platformdirs

    match kind:
        case "config":
            return platformdirs.user_config_path(APP_NAME, appauthor=False)
        case "data":
            return platformdirs.user_data_path(APP_NAME, appauthor=False)
        case "state":
            return platformdirs.user_state_path(APP_NAME, appauthor=False)
        case "cache":
            return platformdirs.user_cache_path(APP_NAME, appauthor=False)
        case "logs":
            return platformdirs.user_log_path(APP_NAME, appauthor=False)
