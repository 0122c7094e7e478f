"""`motet demo` with a language model: it adds the model, which then writes the answer."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import Motet
from tests.support.tiny.gguf_files import write_model

ENTRY = """\
version: 1
models:
  tiny:
    task: chat
    backend: llamacpp
    source: {file}
    options: {{max_tokens: 12, threads: 1}}
"""
"""As `motet models add` declares it; a model of random weights would write without end."""


async def test_demo_shows_an_answer_that_the_named_model_wrote(tmp_path: Path) -> None:
    file = write_model(tmp_path / "tiny.gguf", context=16384)
    home, documents = tmp_path / "home", tmp_path / "documents"
    for folder in (home, documents):
        folder.mkdir()
    (home / "models.yaml").write_text(ENTRY.format(file=file))
    (documents / "sky.md").write_text("# Sky\n\nThe sky is blue by day.\n")
    motet = Motet(home)

    said = await motet(
        "demo", "--folder", documents, "--model", file, "--question", "What is blue?"
    )

    assert said.status == 0, said
    assert "tiny is here" in said.out
    assert "chat → tiny" in said.out
    assert "model tiny: first of role 'chat'" in said.out


async def test_demo_with_a_model_that_is_not_to_be_had_asks_nothing(tmp_path: Path) -> None:
    said = await Motet(tmp_path / "home")("demo", "--model", "qwen3-4")

    assert said.status == 1
    assert "Did you mean 'qwen3-4b'?" in said.error
    assert "The answer" not in said.out
