"""The `motet` command, beside a running server and without one."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from benchmarks.server import ServerProcess
from tests.support.command import Motet
from tests.support.service import AGENTS
from tests.support.socket_gate import SocketGate

GOOD = """\
version: 1
name: good
nodes:
  a: {type: set, values: {x: 1}}
output: [x]
"""
BAD = """\
version: 1
name: bad
nodes:
  a: {type: sett, values: {x: 1}}
output: [x]
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Motet:
    """The command on a data folder that no server has."""
    home = tmp_path_factory.mktemp("alone")
    shutil.copytree(AGENTS, home / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    return Motet(home)


@pytest.fixture(params=["beside a server", "alone"])
def motet(request: pytest.FixtureRequest, server: ServerProcess, alone: Motet) -> Motet:
    return alone if request.param == "alone" else Motet(server.home)


async def test_what_would_be_pruned_is_counted(motet: Motet) -> None:
    await motet("run", "quick", "x=2")

    counted = await motet("prune", "--runs-days", "0", "--dry-run")

    assert counted.out.startswith("Would delete: ")
    assert " run" in counted.out


async def test_wrong_option_is_told_in_plain_words(motet: Motet) -> None:
    listed = await motet("runs", "list", "--status", "x")

    assert listed.status == 2
    assert "'x' is not one of 'queued'" in listed.error
    assert "Value error" not in listed.error


async def test_what_is_old_is_pruned_without_a_server(alone: Motet) -> None:
    ran = await alone("run", "quick", "x=2", "--json")
    run_id = orjson.loads(ran.out.splitlines()[0])["run_id"]

    pruned = orjson.loads((await alone("prune", "--runs-days", "0", "--json")).out)

    assert pruned["runs"] >= 1
    counted = orjson.loads((await alone("prune", "--runs-days", "0", "--dry-run", "--json")).out)
    assert counted["runs"] == 0
    assert run_id not in (alone.home / "runs.db").read_bytes().decode("latin-1")


async def test_an_earlier_version_is_listed_compared_and_brought_back(
    motet: Motet,
) -> None:
    file = motet.home / "agents" / "turned.py"
    first = (motet.home / "agents" / "quick.py").read_text()
    file.write_text(first)
    assert (await motet("run", "turned", "x=2")).status == 0
    version = (await motet("agents", "versions", "turned")).out.splitlines()[1].split()[0]
    file.write_text("1 / 0")

    compared = await motet("agents", "diff", f"turned@{version}", version)
    ran = await motet("run", f"turned@{version}", "x=2")
    restored = await motet("agents", "restore", f"turned@{version}")

    assert (compared.status, compared.out) == (0, "")
    assert ran.status == 0
    assert version in restored.out
    assert file.read_text() == first


async def test_agents_are_listed_and_run(motet: Motet) -> None:
    listed = await motet("agents")
    assert "quick" in listed.out
    assert "Three nodes that do next to nothing." in listed.out
    ran = await motet("run", "quick", "x=2")
    assert ran.status == 0
    assert [line for line in ran.out.splitlines() if line.startswith("✓")] == [
        "✓ one x: 3, log: 1 items",
        "✓ two x: 4, log: 1 items",
        "✓ three x: 5, log: 1 items",
    ]
    lines = (await motet("run", "quick", "--input", '{"x": 2}', "--json")).out.splitlines()
    events: list[dict[str, Any]] = [orjson.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert events[-1]["data"]["output"]["x"] == 5


@pytest.mark.parametrize("words", [("run", "quick"), ("index", "search", "docs"), ("draw",)])
async def test_argument_that_is_no_text_is_told(alone: Motet, words: tuple[str, ...]) -> None:
    told = await alone(*words, "caf\udce9")
    assert (told.status, "Traceback" in told.error) == (1, False)


async def test_documents_are_indexed_and_searched(motet: Motet, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nBees make honey out of nectar.\n")
    (folder / "whales.md").write_text("# Whales\n\nWhales sing under water [loudly].\n")
    added = await motet("index", "add", "notes", folder)
    assert (added.status, "2 added" in added.out) == (0, True), added
    found = await motet("index", "search", "notes", "what do whales do?", "--limit", "1")
    assert "whales.md" in found.out
    assert "Whales sing under water [loudly]." in found.out


async def test_a_document_and_an_index_are_removed(server: ServerProcess, tmp_path: Path) -> None:
    motet = Motet(server.home)
    file = tmp_path / "bees.md"
    file.write_text("# Bees\n\nBees make honey out of nectar.\n")
    assert "1 added" in (await motet("index", "add", "hive", file)).out
    told = await motet("index", "search", "hive", "honey", "--json")
    passage = orjson.loads(told.out)["passages"][0]
    assert passage["source"] == "bees.md"
    assert "bees.md" in (await motet("index", "ls", "hive")).out
    assert (await motet("index", "rm", "hive", passage["document"], "--yes")).status == 0
    assert "bees.md" not in (await motet("index", "ls", "hive")).out
    assert (await motet("index", "rm", "hive", "-y")).status == 0
    assert "hive" not in (await motet("index", "ls")).out
    gone = await motet("index", "search", "hive", "honey")
    assert (gone.status, "There is no index 'hive'" in gone.error) == (1, True)


async def test_models_command_lists_models_and_roles(motet: Motet) -> None:
    models = await motet("models")
    assert "minilm" in models.out
    assert "chat → " in models.out


async def test_a_model_is_loaded_pinned_watched_and_unloaded(server: ServerProcess) -> None:
    motet = Motet(server.home)
    watching = await motet.begin("models", "events", "--after", "0", "--json")
    assert "minilm is ready on cpu" in (await motet("models", "load", "embed")).out
    assert ", pinned" in (await motet("models", "pin", "minilm")).out
    assert "pinned" in (await motet("models")).out
    assert "pinned" not in (await motet("models", "unpin", "minilm")).out
    assert "minilm is absent" in (await motet("models", "unload", "minilm")).out
    said = await motet("models", "unload", "minilm")
    assert (said.status, "'minilm' is not loaded" in said.error) == (1, True)
    assert watching.stdout
    async with asyncio.timeout(240):
        while orjson.loads(await watching.stdout.readline())["event"] != "unloaded":
            pass
    watching.send_signal(signal.SIGINT)
    await asyncio.wait_for(watching.wait(), 240)


async def test_loading_without_a_service_is_refused(alone: Motet) -> None:
    said = await alone("models", "load", "minilm")
    assert (said.status, "Start one with `motet serve`" in said.error) == (1, True)


async def test_models_for_this_machine_are_proposed(server: ServerProcess) -> None:
    said = await Motet(server.home)("models", "profile")
    assert "motet models add " in said.out


async def test_doctor_prints_machine_models_and_recommendations(alone: Motet) -> None:
    doctor = await alone("doctor")
    assert doctor.status == 0
    assert str(alone.home) in doctor.out
    assert "chat → " in doctor.out
    assert "PyTorch" in doctor.out
    assert "models that suit this machine" in doctor.out
    assert re.search(r"no language model: .*\n +motet models add \S+", doctor.out)


async def test_a_wrong_name_is_a_sentence_that_proposes_one(motet: Motet) -> None:
    said = await motet("run", "quikc")
    assert said.status == 1
    assert said.error == "There is no agent 'quikc'. Did you mean 'quick'?\n"
    assert said.out == ""


async def test_wrong_input_is_told_with_its_field(alone: Motet) -> None:
    said = await alone("run", "quick", "x=two")
    assert (said.status, "x: 'two' is not of type 'integer'" in said.error) == (1, True)


async def test_a_failed_run_fails_the_command(alone: Motet) -> None:
    said = await alone("run", "gated", "gate=/nowhere/at/all")
    assert said.status == 1
    assert "✗ hold" in said.out
    assert "No such file" in said.error


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("quick", "x=2", "--json"), 0),
        (("gated", "gate=/nowhere/at/all", "--json"), 1),
        (("asking", "draft=hello", "--json"), 3),
    ],
)
async def test_status_tells_programs_how_a_run_ended(
    alone: Motet, arguments: tuple[str, ...], status: int
) -> None:
    assert (await alone("run", *arguments)).status == status


@pytest.mark.parametrize("value", ["draft=@none.txt", "draft=@."])
async def test_file_that_an_input_names_and_is_not_there_is_refused(
    alone: Motet, value: str
) -> None:
    said = await alone("run", "asking", value)

    assert said.status == 1
    assert said.error.startswith("draft: the file '")
    assert said.out == ""


async def test_a_run_that_asks_tells_how_to_answer(alone: Motet) -> None:
    said = await alone("run", "asking", "draft=hello")
    assert said.status == 3
    assert '"approve": "HELLO"' in said.out
    run_id = said.out.partition("\n")[0].split()[1]
    assert f"Answer with: motet runs resume {run_id} --answer JSON\n" in said.out


async def test_a_file_is_checked(alone: Motet, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    assert "well formed" in (await alone("check", good)).out
    said = await alone("check", bad)
    assert said.status == 1
    assert f"{bad}:4:13: nodes.a.type: there is no node type 'sett'." in said.out
    assert "Did you mean 'set'?" in said.out
    missing = await alone("check", tmp_path / "none.yaml")
    assert (missing.status, "There is no file" in missing.error) == (1, True)


async def test_a_graph_is_drawn(alone: Motet, tmp_path: Path) -> None:
    assert "one --> two" in (await alone("draw", "quick")).out
    picture = tmp_path / "quick.svg"
    assert (await alone("draw", "quick", "--output", picture)).status == 0
    assert picture.read_text().startswith("<svg")
    said = await alone("draw", "quick", "--output", tmp_path / "quick.gif")
    assert (said.status, "'.gif' is no picture format" in said.error) == (1, True)


async def test_the_schema_of_agent_files_is_printed(alone: Motet) -> None:
    schema = orjson.loads((await alone("schema")).out)
    assert schema["title"] == "Motet agent"
    assert schema["required"] == ["version", "name", "nodes", "output"]


async def test_an_interrupted_command_ends_at_once(alone: Motet, gate: SocketGate) -> None:
    process = await alone.begin("run", "gated", f"gate={gate.path}")
    await gate.knocked()
    process.send_signal(signal.SIGINT)
    _, error = await asyncio.wait_for(process.communicate(), 240)
    assert process.returncode not in (0, None)
    assert b"Traceback" not in error
    await gate.left()
