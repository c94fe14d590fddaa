"""What a hub of models answers when it does not give what was asked for, as errors of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playground.backends.hosted_texts import retry_after_s
from playground.domain.errors import (
    BadReply,
    HostedError,
    KeyMissing,
    KeyRefused,
    PlaygroundError,
    RateLimited,
    RequestRefused,
    ServerFailed,
    ServerUnreachable,
)
from playground.services.hub_address import Hub
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    import httpx2


def refusal(hub: Hub, response: httpx2.Response, repository: str, path: str = "") -> PlaygroundError:
    """The error for an answer that is none.

    The hub's own code comes first: it answers 401 for a licence that is not accepted as well as for a repository that
    does not exist, with a token or without.
    """
    host, status, code = hub.address, response.status_code, response.headers.get("x-error-code", "")
    said, wait_s = one_line(response.headers.get("x-error-message", ""), 200), retry_after_s(response.headers)
    if status == 429:
        return RateLimited(
            f"{host} wants a pause: too many requests (429).", "Try again later.", said, retry_after_s=wait_s
        )
    if status >= 500 or status == 408:
        return ServerFailed(f"{host} failed ({status}).", "Try again later.", said, retry_after_s=wait_s)
    if code == "GatedRepo" or (status == 403 and not code and repository):
        return _gated(hub, repository, said)
    if status == 401 and hub.token is not None and code != "RepoNotFound":
        hint = f"Make a new one at {host}/settings/tokens and set HF_TOKEN to it."
        return KeyRefused(f"{host} does not accept the token of {hub.source}.", hint, said)
    if not repository:
        return RequestRefused(f"{host} does not search ({status}).", "Write the whole name, ORG/REPO.", said)
    if status in (401, 404):
        thing = f"{one_line(path, 100)} in {repository}" if path else repository
        hint = f"Check the spelling; a private one needs a token in HF_TOKEN ({host}/settings/tokens)."
        return RequestRefused(f"{host} knows no {thing}.", hint, said)
    if status == 416:
        return BadReply(f"{host} has fewer bytes of {one_line(path, 100)} than it says.", "Pull again later.")
    return RequestRefused(f"{host} refuses to give {repository} ({status}).", said)


def unreachable(hub: Hub, error: httpx2.HTTPError) -> HostedError:
    """The error for a connection that could not be made, or broke."""
    import httpx2

    if isinstance(error, httpx2.TimeoutException):
        return ServerUnreachable(f"{hub.address} was silent for too long.", "Check the network.")
    if isinstance(error, httpx2.ConnectError):
        hint = "Check the network and the address."
        return ServerUnreachable(f"{hub.address} cannot be reached.", hint, one_line(str(error)))
    return ServerUnreachable(f"The connection to {hub.address} broke.", "Check the network.", one_line(str(error)))


def unreadable(hub: Hub) -> BadReply:
    """The error for an answer that nobody understands."""
    return BadReply(f"{hub.address} did not answer as a hub of models does.", "Check the address.")


def _gated(hub: Hub, repository: str, said: str) -> PlaygroundError:
    what, page = f"{repository} is gated: its licence has to be accepted first.", f"{hub.address}/{repository}"
    if hub.token is None:
        hint = f"Accept it at {page}, make a token at {hub.address}/settings/tokens and set HF_TOKEN to it."
        return KeyMissing(what, hint, said)
    return KeyRefused(what, f"Accept it at {page} with the account that the token of {hub.source} belongs to.", said)
