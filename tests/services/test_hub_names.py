"""What people write to name a model on a hub, which file is taken, and names that are refused."""

from __future__ import annotations

import pytest

from playground.domain.errors import BadInput
from playground.services.hub_names import HubFile, check_name, choices, choose, offered, parse_reference
from playground.services.suggestions import SUGGESTIONS

HOSTILE = [
    "../evil.gguf",
    "a/../../evil.gguf",
    "/etc/evil.gguf",
    "a//evil.gguf",
    "..",
    ".hidden.gguf",
    "evil\x1b[31m.gguf",
    "evil\n.gguf",
    "evil\u202egguf.exe.gguf",
    "evil\udcff.gguf",
    "C:\\evil.gguf",
    "a\\evil.gguf",
    "CON.gguf",
    "aux",
    "lpt1.txt.gguf",
    "evil.gguf.",
    "evil.gguf ",
    "~root/evil.gguf",
    "x" * 250 + ".gguf",
    "",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_hostile_names_of_files_are_refused(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_name(name)
    assert refused.value.message.isprintable()
    assert choices([HubFile(name, 1)]) == []


@pytest.mark.parametrize("name", ["a.gguf", "Q4_K_M/model-00001-of-00002.gguf", "Größe 7B.gguf", "console.gguf"])
def test_plain_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("org/repo", ("org/repo", "", "", "main", "")),
        (" org/repo:q4_k_m ", ("org/repo", "q4_k_m", "", "main", "")),
        ("org/repo/dir/a.gguf", ("org/repo", "", "dir/a.gguf", "main", "")),
        ("org/repo:a.gguf", ("org/repo", "", "a.gguf", "main", "")),
        ("hf.co/org/repo:Q8_0", ("org/repo", "Q8_0", "", "main", "")),
        ("https://huggingface.co/org/repo", ("org/repo", "", "", "main", "")),
        ("https://huggingface.co/org/repo/tree/main", ("org/repo", "", "", "main", "")),
        ("https://huggingface.co/org/repo/tree/v2/BF16", ("org/repo", "BF16", "", "v2", "")),
        (
            "https://huggingface.co/org/repo/resolve/main/d/a%20b.gguf?download=true",
            ("org/repo", "", "d/a b.gguf", "main", ""),
        ),
        (
            "http://127.0.0.1:9/org/repo/blob/abc/a.gguf",
            ("org/repo", "", "a.gguf", "abc", "http://127.0.0.1:9"),
        ),
    ],
)
def test_what_people_write(text: str, told: tuple[str, ...]) -> None:
    found = parse_reference(text)
    assert (found.repository, found.quantisation, found.file, found.revision, found.host) == told


@pytest.mark.parametrize(
    "text",
    [
        *("", "repo", "org/", "/repo", "org/..", "../repo", "org/re po", "org/repo/README.md", "org/repo/../a.gguf"),
        *("https://user:pw@huggingface.co/org/repo", "ftp://huggingface.co/org/repo", "https://huggingface.co/"),
        *("https://huggingface.co/org/repo/resolve/main/%2e%2e/%2e%2e/a.gguf", "org/\x1b[31m"),
    ],
)
def test_what_is_no_name_of_a_model_is_a_sentence(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_reference(text)
    assert str(refused.value).isprintable()
    assert "pw" not in str(refused.value)


def _pick(names: list[str], reference: str = "org/repo") -> str:
    return choose(choices([HubFile(name, 100 + at) for at, name in enumerate(names)]), parse_reference(reference)).name


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (["m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-IQ4_XS.gguf", "m-f16.gguf"], "m-Q4_K_M"),
        (["m.q5_k_m.gguf", "m.q4_0.gguf", "m.q8_0.gguf"], "m.q4_0"),
        (["m-Q8_0.gguf", "m-Q5_K_M.gguf", "m-BF16.gguf"], "m-Q5_K_M"),
        (["m-fp16.gguf", "m-Q8_0.gguf"], "m-Q8_0"),
        (["m-UD-Q4_K_XL.gguf", "m-Q2_K.gguf"], "m-UD-Q4_K_XL"),
        (["gpt-oss-20b-mxfp4.gguf"], "gpt-oss-20b-mxfp4"),
        (["mmproj-m-Q4_K_M.gguf", "m.imatrix.gguf", "m-F16.gguf", "README.md"], "m-F16"),
        (["Q4_K_M/m-00002-of-00002.gguf", "Q4_K_M/m-00001-of-00002.gguf", "m-Q8_0.gguf"], "Q4_K_M/m"),
        (["m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"], "m-Q8_0"),
        (["ggml-model.gguf"], "ggml-model"),
    ],
)
def test_the_file_that_is_taken_when_nobody_says_which(names: list[str], taken: str) -> None:
    assert _pick(names) == taken


def test_saying_which() -> None:
    names = ["m-Q4_K_M.gguf", "m-UD-Q4_K_XL.gguf", "m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"]
    assert _pick(names, "org/repo:q4_k_xl") == "m-UD-Q4_K_XL"
    assert _pick(names, "org/repo:Q8_0") == _pick(names, "org/repo/m-Q8_0-00002-of-00002.gguf") == "m-Q8_0"
    with pytest.raises(BadInput, match=r"has no Q3_K.*There is: Q4_K_M, UD-Q4_K_XL, Q8_0"):
        _pick(names, "org/repo:Q3_K")
    with pytest.raises(BadInput, match=r"has no model file m-Q4_K_N.gguf.*m-Q4_K_M.gguf"):
        _pick(names, "org/repo/m-Q4_K_N.gguf")
    with pytest.raises(BadInput, match="Say which"):
        _pick(["a-Q8_0.gguf", "b-Q8_0.gguf"], "org/repo:Q8_0")
    with pytest.raises(BadInput, match="holds no GGUF model"):
        _pick(["model.safetensors"])
    assert offered(choices([HubFile(name, 1) for name in names])) == "Q4_K_M, UD-Q4_K_XL, Q8_0"


def test_suggestions_can_be_pulled_as_they_are_written() -> None:
    for one in SUGGESTIONS:
        assert parse_reference(one.reference).quantisation
        assert one.licence
        assert one.approx_size_bytes > 50e6
