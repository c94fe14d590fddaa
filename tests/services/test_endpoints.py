"""Endpoints: what is built in, what settings and environment make of it, and what is said about mistakes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from playground.domain.endpoints import Endpoint
from playground.services.addresses import clean_address
from playground.services.endpoints import (
    describe,
    endpoint_problems,
    fallback_for,
    load_endpoints,
    running,
)
from playground.services.settings import Settings, settings_path
from tests.services.settings_file import written


def said(settings: Settings) -> str:
    return "\n".join(str(problem) for problem in endpoint_problems(settings))


def test_known_endpoints_are_there_without_settings() -> None:
    found = load_endpoints(Settings())
    assert found["anthropic"].api == "anthropic"
    assert found["anthropic"].base_url == "https://api.anthropic.com"
    assert found["openai"].base_url == "https://api.openai.com/v1"
    assert found["openai"].key_needed
    for name in ("llamacpp", "ollama", "lmstudio", "vllm"):
        assert not found[name].key_needed
        assert found[name].base_url.startswith("http://127.0.0.1:")
    assert all(clean_address(endpoint.base_url) == endpoint.base_url for endpoint in found.values())
    assert endpoint_problems(Settings()) == []


def test_settings_change_a_known_endpoint_and_add_others() -> None:
    settings = written(
        """
        [endpoints.vllm]
        base_url = "http://127.0.0.1:9000/v1"
        [endpoints.openai]
        base_url = "https://proxy.example/v1"
        [endpoints.azure]
        base_url = "https://me.openai.azure.com/openai/v1"
        api_key = "${AZURE_KEY}"
        api_version = "2026-01-01"
        models = ["gpt"]
        price_provider = "azure"
        [endpoints.claude]
        api = "anthropic"
        base_url = "https://claude.example"
        """
    )
    found = load_endpoints(settings)
    assert found["vllm"] == Endpoint(name="vllm", api="openai", base_url="http://127.0.0.1:9000/v1", key_needed=False)
    assert found["openai"].base_url == "https://proxy.example/v1"
    assert found["openai"].price_provider == "", "a proxy has prices of its own"
    assert found["azure"].key_needed
    assert (found["azure"].api_version, found["azure"].models) == ("2026-01-01", ("gpt",))
    assert found["claude"].api == "anthropic"


def test_an_endpoint_nobody_knows_the_address_of_is_left_out_and_reported() -> None:
    settings = written('[endpoints.box]\nmodels = ["a"]\n')
    assert "box" not in load_endpoints(settings)
    assert "endpoints.box has no base_url" in said(settings)


def test_the_usual_variable_moves_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:4000/v1/")
    moved = load_endpoints(Settings())["openai"]
    assert moved.base_url == "http://localhost:4000/v1"
    assert not moved.key_needed, "a server on this machine may take anybody"
    monkeypatch.setenv("OPENAI_BASE_URL", "file:///etc/passwd")
    assert load_endpoints(Settings())["openai"].base_url == "https://api.openai.com/v1"
    assert "OPENAI_BASE_URL must be an address" in said(Settings())


def test_variables_in_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = written(
        '[endpoints.box]\nbase_url = "https://box.example"\n'
        'headers = { Authorization = "Bearer ${BOX}", "X-Title" = "playground" }\n'
    )
    monkeypatch.delenv("BOX", raising=False)
    assert dict(load_endpoints(settings)["box"].headers) == {"X-Title": "playground"}
    assert "endpoints.box.headers names BOX, which is not set" in said(settings)
    monkeypatch.setenv("BOX", "k1")
    assert dict(load_endpoints(settings)["box"].headers) == {"Authorization": "Bearer k1", "X-Title": "playground"}
    assert said(settings) == ""
    monkeypatch.setenv("BOX", "k1\r\nX-Evil: 1")
    assert dict(load_endpoints(settings)["box"].headers) == {"X-Title": "playground"}


def test_what_would_be_readable_on_the_way_is_reported() -> None:
    settings = written('[endpoints.lan]\nbase_url = "http://10.0.0.7:8000/v1"\napi_key = "${LAN}"\n')
    assert "The key of lan is not sent: http://10.0.0.7:8000 is not encrypted" in said(settings)
    assert said(written('[endpoints.lan]\nbase_url = "http://10.0.0.7:8000/v1"\n')) == ""


def test_a_key_in_settings_that_others_can_read_is_reported() -> None:
    settings = written('[endpoints.box]\nbase_url = "https://box.example"\napi_key = "literal"\n')
    settings_path().chmod(0o644)
    assert "endpoints.box.api_key can be read by others" in said(settings)
    settings_path().chmod(0o600)
    assert said(settings) == ""


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (" HTTPS://API.Example.com:443/v1/ ", "https://api.example.com/v1"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1"),
    ],
)
def test_one_spelling_of_an_address(text: str, clean: str) -> None:
    assert clean_address(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "api.example.com",
            "ftp://a/b",
            "http://",
            "http:///v1",
            "https://a b/",
            "https://a:99999",
            "https://a:x",
        ),
        *("https://me@a/", "https://a/v1?x=1", "https://a/#x", "https://a\\@b", "https://a/\x1b[31m", "https://ä.de"),
        *("https://[::1", "javascript:alert(1)", "https://" + "a" * 600),
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="an address such as"):
        clean_address(text)


def test_fallback_of_an_endpoint_stands_before_that_of_all() -> None:
    settings = written('[hosted]\nfallback = "openai/y"\n[endpoints.groq]\nfallback = "openai/x"\n')
    found = load_endpoints(settings)
    assert fallback_for(found["groq"], settings) == "openai/x"
    assert fallback_for(found["anthropic"], settings) == "openai/y"


async def test_servers_on_this_machine_are_found_by_their_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        there = Endpoint(name="there", api="openai", base_url=f"http://127.0.0.1:{port}/v1")
        far = Endpoint(name="far", api="openai", base_url="https://api.openai.com/v1")
        assert await running([there, far]) == ["there"]
    assert await running([there]) == []


def test_a_description_names_kind_and_place(sealed: Path) -> None:
    found = load_endpoints(Settings())
    assert describe(found["anthropic"]) == "Anthropic's API at https://api.anthropic.com"
    assert describe(found["ollama"]) == "OpenAI-compatible API on this machine, at http://127.0.0.1:11434/v1"
