"""What people write to name a model on a hub, and which of a repository's files it means.

Names of files come from strangers: each part of one is checked before it becomes a name on this disk.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import msgspec

from playground.domain.errors import BadInput
from playground.services.addresses import clean_address, origin
from playground.services.toml_files import one_line

EXAMPLE: Final = "bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M"
_HINT: Final = f"Write ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE.gguf or an address of the hub, such as {EXAMPLE}."
_ENDING: Final = ".gguf"
_HOSTS: Final = ("huggingface.co", "hf.co")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}")
_SPLIT: Final = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})", re.IGNORECASE)
_QUANT: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|FP?16|FP?32)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_PREFERRED: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        *("Q4_K_M", "(UD-)?Q4_.*", "Q5_K_M", "(UD-)?Q5_.*", "Q8_0", "(UD-)?Q6_.*", "(UD-)?Q8_.*", "Q4", "Q8"),
        *("MXFP4.*", "IQ4_.*", "(UD-)?Q3_.*", "BF16", "FP?16", "(UD-)?I?Q.*"),
    )
)
"""What is taken when nobody says which: good for its size first."""
_FORBIDDEN: Final = frozenset('/\\:*?"<>|')
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_MAX_NAME_BYTES: Final = 200
"""Most systems allow 255; what is added while a file comes has to fit, too."""
_MAX_DEPTH: Final = 4


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for."""

    repository: str
    """ORG/REPO."""
    quantisation: str = ""
    file: str = ""
    """A path in the repository; empty: a file is chosen."""
    revision: str = "main"
    host: str = ""
    """Scheme and host of the address that was given; empty: the usual hub."""


class HubFile(msgspec.Struct, frozen=True):
    """A file in a repository."""

    path: str
    size_bytes: int
    sha256: str = ""
    """In hexadecimal; empty when the hub does not tell."""


class Choice(msgspec.Struct, frozen=True):
    """A model of a repository: one file, or all parts of a split one, the first part first."""

    name: str
    """Path of the file without the ending and the number of its part."""
    quantisation: str
    """As written in the name, e.g. "Q4_K_M"; empty when the name does not tell."""
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        """All parts together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def label(self) -> str:
        """What to write behind the repository to mean this one; safe for a terminal."""
        return one_line(self.quantisation or self.name, 100)


def parse_reference(text: str) -> Reference:
    """Read ORG/REPO, ORG/REPO:QUANT, ORG/REPO/FILE.gguf, or an address of a repository or file.

    Raises BadInput for anything else, and for names that are none.
    """
    text = text.strip()
    if "://" in text or text.lower().startswith(tuple(f"{host}/" for host in _HOSTS)):
        return _parse_address(text if "://" in text else f"https://{text}")
    parts = text.split("/")
    if len(parts) > 2:
        return _reference(parts[0], parts[1], file="/".join(parts[2:]))
    repository, _, quantisation = text.partition(":")
    org, _, name = repository.partition("/")
    return _reference(org, name, quantisation)


def check_name(path: str) -> str:
    """The path of a file on the hub, if it may become one below a folder of ours.

    Raises BadInput for names that lead elsewhere, hide, cannot be written on every system, or hold control characters.
    """
    parts = path.split("/")
    if len(parts) > _MAX_DEPTH or not all(map(_is_plain, parts)):
        raise BadInput(
            f"A file called {one_line(repr(path), 120)} is not stored: such a name is not safe on this computer.",
            "Choose another file of the repository, or another repository.",
        )
    return path


def choices(files: Iterable[HubFile]) -> list[Choice]:
    """The models among a repository's files, smallest first.

    Left out are projectors, importance matrices, names that are not safe, and split models with parts missing, which
    `hub_offers` tells.
    """
    found = [
        choice_of(name, parts) for (name, count), parts in grouped(files).items() if [*parts] == [*range(1, count + 1)]
    ]
    return sorted(found, key=lambda choice: (choice.size_bytes, choice.name))


def grouped(files: Iterable[HubFile]) -> dict[tuple[str, int], dict[int, HubFile]]:
    """Files by the name of their model and the number of its parts: each by the number of its part, in order."""
    groups: dict[tuple[str, int], dict[int, HubFile]] = {}
    for file in files:
        if _is_model(file.path):
            stem = file.path[: -len(_ENDING)]
            split = _SPLIT.fullmatch(stem)
            key, part = ((split["stem"], int(split["count"])), int(split["part"])) if split else ((stem, 1), 1)
            groups.setdefault(key, {})[part] = file
    return {key: dict(sorted(parts.items())) for key, parts in groups.items()}


def choice_of(name: str, parts: dict[int, HubFile]) -> Choice:
    """A model by its name, and the parts there are of it."""
    return Choice(name, _quantisation(name), tuple(parts.values()))


def choose(found: Sequence[Choice], reference: Reference) -> Choice:
    """The model that is meant. Raises BadInput, with what there is, when none or more than one is."""
    if not found:
        raise BadInput(
            f"{reference.repository} holds no GGUF model.",
            "Look for a repository whose name ends in -GGUF; the original weights are not what llama.cpp reads.",
        )
    if reference.file:
        return _by_file(found, reference)
    wanted = reference.quantisation.casefold()
    if not wanted:
        return min(found, key=_rank)
    matches = [one for one in found if wanted in (one.quantisation.casefold(), one.name.casefold())]
    matches = matches or [one for one in found if one.quantisation.casefold().removeprefix("ud-") == wanted]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(one_line(one.files[0].path, 100) for one in matches[:5])
        raise BadInput(
            f"{len(matches)} files of {reference.repository} are {one_line(reference.quantisation, 40)}.",
            f"Say which: {reference.repository}/FILE with one of {names}.",
        )
    raise BadInput(
        f"{reference.repository} has no {one_line(reference.quantisation, 40)}.", f"There is: {offered(found)}."
    )


def offered(found: Iterable[Choice], most: int = 30) -> str:
    """What there is, in one line."""
    labels = list(dict.fromkeys(one.label for one in found))
    return ", ".join(labels[:most]) + (", …" if len(labels) > most else "")


def _by_file(found: Sequence[Choice], reference: Reference) -> Choice:
    wanted = reference.file.casefold()
    for one in found:
        if wanted in (path for file in one.files for path in (file.path.casefold(), _base(file.path).casefold())):
            return one
    names = {_base(one.files[0].path).casefold(): one.files[0].path for one in found}
    near = difflib.get_close_matches(_base(wanted), names, 3) or list(names)[:3]
    raise BadInput(
        f"{reference.repository} has no model file {one_line(reference.file, 100)}.",
        f"There is, for example: {', '.join(one_line(names[name], 100) for name in near)}.",
    )


def _rank(choice: Choice) -> tuple[int, int, str]:
    order = (number for number, pattern in enumerate(_PREFERRED) if pattern.fullmatch(choice.quantisation))
    return next(order, len(_PREFERRED)), choice.size_bytes, choice.name


def _parse_address(text: str) -> Reference:
    try:
        parts = urlsplit(text)
        host = origin(clean_address(f"{parts.scheme}://{parts.netloc}"))
    except ValueError:
        # What was written is not quoted: it may hold a password.
        raise BadInput("That is no address of a model on a hub.", _HINT) from None
    org, name, *rest = [unquote(part) for part in (*_path(parts), "", "")]
    rest = [part for part in rest if part]
    name, _, quantisation = name.partition(":")
    known = urlsplit(host).hostname in {f"{www}{one}" for one in _HOSTS for www in ("", "www.")}
    host = "" if known else host
    if not rest or rest[0] not in ("tree", "blob", "resolve", "raw"):
        file = "/".join(rest)
        return _reference(org, name, quantisation, file if file.lower().endswith(_ENDING) else "", host=host)
    revision, file = "".join(rest[1:2]) or "main", "/".join(rest[2:])
    if not file.lower().endswith(_ENDING):
        # The address of a folder: repositories keep each quantisation in one.
        quantisation, file = quantisation or _base(file), ""
    if not _NAME.fullmatch(revision):
        raise BadInput(f"{one_line(revision, 60)} is no revision.", _HINT)
    return _reference(org, name, quantisation, file, revision=revision, host=host)


def _path(parts: SplitResult) -> list[str]:
    return [part for part in parts.path.split("/") if part]


def _reference(
    org: str, name: str, quantisation: str = "", file: str = "", *, revision: str = "main", host: str = ""
) -> Reference:
    for part in (org, name):
        if not _NAME.fullmatch(part) or ".." in part:
            raise BadInput(f"{one_line(f'{org}/{name}'.strip('/'), 100)!r} is not the name of a repository.", _HINT)
    if quantisation.lower().endswith(_ENDING):
        quantisation, file = "", quantisation
    if file:
        check_name(file)
        if not file.lower().endswith(_ENDING):
            raise BadInput(f"{one_line(file, 100)} is no GGUF file.", _HINT)
    return Reference(
        repository=f"{org}/{name}", quantisation=quantisation.strip(), file=file, revision=revision, host=host
    )


def _is_model(path: str) -> bool:
    low = path.lower()
    if not low.endswith(_ENDING) or "mmproj" in low or "imatrix" in low:
        return False
    try:
        check_name(path)
    except BadInput:
        return False
    return True


def _is_plain(part: str) -> bool:
    return not (
        not part
        or part.startswith((".", " ", "~"))
        or part.endswith((".", " "))
        or _FORBIDDEN & set(part)
        or any(unicodedata.category(char)[0] in "CZ" and char != " " for char in part)
        or _RESERVED.fullmatch(part)
        or len(part.encode("utf-8", "replace")) > _MAX_NAME_BYTES
    )


def _quantisation(name: str) -> str:
    """The last word of a path that names a quantisation; of its folders when the file's own name has none."""
    for part in reversed(name.split("/")):
        words = _QUANT.findall(part)
        if words:
            return str(words[-1])
    return ""


def _base(path: str) -> str:
    return path.rpartition("/")[2]
