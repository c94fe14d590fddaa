"""`llm-playground models pull`: progress on a terminal, one result on standard output."""

from __future__ import annotations

import asyncio
import signal

import click
import msgspec

from playground.cli.models_output import write_json
from playground.cli.run_output import INTERRUPTED, say
from playground.cli.status_line import StatusLine
from playground.domain.display import display_line
from playground.domain.errors import ModelFileError
from playground.domain.models import LoadOptions
from playground.domain.sizes import size_text
from playground.engine.memory import available_bytes
from playground.services.hub_address import find_hub
from playground.services.hub_names import Reference, choices, offered, parse_reference
from playground.services.hub_offers import Offer, incomplete, look_up
from playground.services.model_facts import USUAL_CONTEXT, memory_at, read_facts
from playground.services.model_hub import HubClient
from playground.services.model_pull import Progress, Pulled, Puller, pace_text
from playground.services.model_words import fits


def pull(reference: str, endpoint: str, *, only_list: bool, as_json: bool) -> int:
    """Fetch a model, or list what a repository has; the exit status. Raises PlaygroundError."""
    return asyncio.run(_Pull(as_json).run(reference, endpoint, only_list=only_list))


class _Pull:
    """One call of the command."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._line = StatusLine()
        self._latest: Progress | None = None

    async def run(self, reference: str, endpoint: str, *, only_list: bool) -> int:
        wanted = parse_reference(reference)
        hub = find_hub(endpoint or wanted.host)
        if hub.note:
            self._say(hub.note)
        client = HubClient(hub, self._say)
        working = asyncio.ensure_future(self._list(client, wanted) if only_list else self._pull(client, wanted))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
        try:
            await working
        except asyncio.CancelledError:
            done = self._latest
            how_far = f" at {size_text(done.done_bytes)} of {size_text(done.total_bytes)}" if done else ""
            self._say(f"Stopped{how_far}. The same command goes on from there.")
            return INTERRUPTED
        finally:
            self._line.clear()
        return 0

    async def _list(self, client: HubClient, wanted: Reference) -> None:
        async with client:
            listing = await client.listing(wanted)
        for choice in choices(listing.files):
            if self._as_json:
                write_json({**msgspec.to_builtins(choice), "size_bytes": choice.size_bytes, "licence": listing.licence})
                continue
            parts = f" in {len(choice.files)} files" if len(choice.files) > 1 else ""
            name = display_line(choice.files[0].path)
            click.echo(f"{choice.quantisation or '–':<12} {size_text(choice.size_bytes):>8}{parts}  {name}")
        for lacking in incomplete(listing.files):
            self._say(lacking.sentence(listing.repository))

    async def _pull(self, client: HubClient, wanted: Reference) -> None:
        async with client:
            offer = await look_up(client, wanted)
            self._announce(offer, wanted)
            pulled = await Puller(client, offer, self._report).pull()
        self._line.clear()
        self._tell(offer, pulled)

    def _announce(self, offer: Offer, wanted: Reference) -> None:
        choice, listing = offer.choice, offer.listing
        licence = f", licence {listing.licence}" if listing.licence else ""
        parts = f" in {len(choice.files)} files" if len(choice.files) > 1 else ""
        self._say(f"{choice.label} of {listing.repository}: {size_text(choice.size_bytes)}{parts}{licence}.")
        if offer.others and not (wanted.quantisation or wanted.file):
            self._say(f"There is also: {offered(offer.others, 12)}. Say which with {listing.repository}:QUANT.")

    def _report(self, progress: Progress) -> None:
        self._latest = progress
        share = progress.done_bytes / max(1, progress.total_bytes)
        part = f" ({progress.part} of {progress.parts})" if progress.parts > 1 else ""
        self._line.show(f"{share:4.0%}  {pace_text(progress)}  {display_line(progress.file)}{part}")

    def _tell(self, offer: Offer, pulled: Pulled) -> None:
        if self._as_json:
            told = {name: getattr(pulled, name) for name in pulled.__struct_fields__}
            write_json(
                {**told, "path": str(pulled.path), "commit": offer.listing.commit, "licence": offer.listing.licence}
            )
            return
        if pulled.was_there:
            self._say("It is here already.")
        elif not pulled.checked:
            self._say("The hub names no checksum: only the size was checked.")
        try:
            facts = read_facts(pulled.path, LoadOptions())
        except ModelFileError as error:
            self._say(str(error))
        else:
            memory = memory_at(facts, min(USUAL_CONTEXT, facts.context or USUAL_CONTEXT), available_bytes())
            if memory.missing_bytes:
                self._say(f"It {fits(memory)} into the memory that is free now.")
        click.echo(str(pulled.path))

    def _say(self, text: str) -> None:
        self._line.clear()
        say(text)
