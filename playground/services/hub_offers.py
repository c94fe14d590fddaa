"""What a repository of a hub has to offer: the model that was meant, those beside it, and what is not complete."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

import msgspec

from playground.domain.errors import BadInput, BadReply, RequestRefused
from playground.services.hub_names import (
    Choice,
    HubFile,
    Reference,
    choice_of,
    choices,
    choose,
    grouped,
    offered,
)
from playground.services.model_hub import HubClient, Listing
from playground.services.toml_files import one_line


class Offer(msgspec.Struct, frozen=True):
    """What a repository has, and which of it was meant."""

    listing: Listing
    choice: Choice
    others: tuple[Choice, ...]


class Incomplete(msgspec.Struct, frozen=True):
    """A split model of which the repository does not hold every part."""

    choice: Choice
    """What there is of it."""
    missing: tuple[str, ...]
    """Paths of the files that are not there."""

    def sentence(self, repository: str) -> str:
        """What is wrong with it, in words."""
        first, count = one_line(_last(self.missing[0]), 100), len(self.missing)
        lacking = f"{first} is" if count == 1 else f"{first} and {count - 1:,} more are"
        return f"{self.choice.label} of {repository} is not complete: {lacking} missing."

    def is_meant(self, reference: Reference) -> bool:
        """True when the reference names it, or names none at all."""
        names = (self.choice.quantisation, self.choice.name, *self.missing, *(file.path for file in self.choice.files))
        wanted = (reference.file or reference.quantisation).casefold()
        return not wanted or wanted in {name.casefold() for path in names for name in (path, _last(path))}


def incomplete(files: Iterable[HubFile]) -> list[Incomplete]:
    """The split models among a repository's files of which parts are missing, by their names."""
    found = []
    for (name, count), parts in grouped(files).items():
        lacking = [number for number in range(1, count + 1) if number not in parts]
        if lacking:
            missing = tuple(f"{name}-{number:05}-of-{count:05}.gguf" for number in lacking)
            found.append(Incomplete(choice_of(name, parts), missing))
    return sorted(found, key=lambda one: one.choice.name)


async def look_up(client: HubClient, reference: Reference) -> Offer:
    """Ask the hub what there is and choose. Raises PlaygroundError: BadInput when nothing is meant by the reference."""
    listing = await client.listing(reference)
    found = choices(listing.files)
    await _check_whole(client, reference, listing, found)
    choice = choose(found, reference)
    if not all(file.size_bytes for file in choice.files):
        raise BadReply(f"{client.hub.address} does not tell how big {choice.label} is.", "Ask another hub.")
    return Offer(listing, choice, tuple(one for one in found if one is not choice))


async def _check_whole(client: HubClient, reference: Reference, listing: Listing, found: Sequence[Choice]) -> None:
    """Raise RequestRefused when there is nothing to choose from, or of what is meant a part is missing."""
    meant = [one for one in incomplete(listing.files) if one.is_meant(reference)]
    if meant and (not found or reference.file or reference.quantisation):
        with contextlib.suppress(BadInput):
            choose(found, reference)
            return  # the same is there as a whole, too
        others = f"There is also: {offered(found)}." if found else ""
        wrong = meant[0].sentence(reference.repository)
        raise RequestRefused(wrong, others or await _neighbours(client, reference) or "Take another repository.")
    if not found and (near := await _neighbours(client, reference)):
        raise RequestRefused(f"{reference.repository} holds no GGUF model.", near)


async def _neighbours(client: HubClient, reference: Reference) -> str:
    """Where to look instead, as a sentence; empty when nobody knows."""
    near = await client.near(reference)
    return f"These repositories hold one: {', '.join(near)}." if near else ""


def _last(path: str) -> str:
    return path.rpartition("/")[2]
