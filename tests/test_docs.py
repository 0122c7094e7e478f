"""The pages in docs/ say what is so: every example is checked, every name they use exists."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from pydantic import TypeAdapter

from config.settings import Settings, load_settings
from config.yaml_reader import read_yaml
from graphs.catalog import SHIPPED, Catalog
from graphs.compile.state import REDUCERS
from graphs.loading.python_files import read_python_agent
from graphs.nodes import NODE_TYPES
from graphs.spec.agent_spec import AgentSpec
from graphs.spec.node_spec import NodeSpec
from graphs.templates.expressions import Expressions
from graphs.templates.filters import OWN_FILTERS
from indexes.formats import FORMATS
from indexes.records import Passage
from indexes.retrieval.filters import BUILT_IN, OPERATORS
from indexes.spec import IndexSpec, declared_indexes
from models.backends import BACKENDS
from models.catalog.file import load_models
from models.catalog.spec import ModelSpec
from models.scheduling.slot import State
from server.app import create_app
from server.cli.main import app as command_line
from server.cli.search_output import TYPED
from server.http.errors import STATUS, STATUS_OF_CODE
from server.http.ingest_requests import DocumentBody
from server.routes.agents import RunBody
from server.routes.search import SearchManyBody
from server.services import open_services
from tools.user_tools import read_tools

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
PACKAGES = ("config", "models", "indexes", "tools", "graphs", "runs", "server", "tests")
FOLDERS = "|".join((*PACKAGES, "benchmarks", "recipes", "docs"))
NEW_FILES = {"graphs/nodes/shout.py", "tests/graphs/nodes/test_shout.py"}
"""Files that a page has its reader write."""
OTHER_VARIABLES = {"MOTET_CONFIG", "MOTET_TEST_MODELS", "MOTET_TEST_OLLAMA"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ROUTE = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) (/[^\s`'\",;)|]*)")
COMMAND = re.compile(r"(?:^|[`(])(?:\.venv/bin/)?motet ([a-z][^`\n#]*)", re.MULTILINE)
SHELL = ("bash", "sh", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block and where it stands."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    return [
        Block(file, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for file, text in ((file, file.read_text()) for file in PAGES)
        for match in BLOCK.finditer(text)
        if match[1] in languages and file.name != "CONTRIBUTING.md"  # test_contributing runs those
    ]


def page(name: str) -> str:
    return (DOCS / name).read_text()


def section(text: str, heading: str) -> str:
    """From a heading to the next one of its level or above."""
    level = heading.split()[0]
    after = text.split(f"\n{heading}", 1)[1]
    return re.split(rf"\n#{{1,{len(level)}}} ", after, maxsplit=1)[0]


def rows(text: str) -> dict[str, list[str]]:
    """The cells of every table row by what its first cell names in code."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for name in re.findall(r"`([^`]+)`", cells[0]) if cells else ():
            found[name] = cells
    return found


def names(text: str) -> set[str]:
    """Everything that stands in code marks."""
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


@pytest.fixture(scope="module")
async def routes(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """(method, path) of every route of the real application."""
    async with open_services(load_settings(home=tmp_path_factory.mktemp("home"))) as services:
        paths = create_app(services).openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


# YAML, JSON, Python


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_yaml_example_is_right(block: Block, tmp_path: Path) -> None:
    value = yaml.safe_load(block.text)
    if value is None:  # a comment alone
        return
    if "nodes" in value and "version" in value:
        agent = Catalog(load_settings(home=tmp_path)).check(block.text)
        assert agent.name == value["name"]
    elif {"models", "roles", "backends"} & set(value) and "version" in value:
        (tmp_path / "models.yaml").write_text(block.text)
        loaded = load_models(load_settings(home=tmp_path))
        assert set(value.get("models", {})) <= set(loaded.models)
    elif "indexes" in value:
        (tmp_path / "indexes.yaml").write_text(block.text)
        assert set(value["indexes"]) <= set(declared_indexes(load_settings(home=tmp_path)))
    elif set(value) <= set(Settings.model_fields):
        (tmp_path / "motet.yaml").write_text(block.text)
        loaded_settings = load_settings(home=tmp_path)
        assert all(getattr(loaded_settings, key) is not None for key in value)
    elif set(value) <= set(AgentSpec.model_fields):
        for key, part in value.items():
            field: Any = AgentSpec.model_fields[key]
            TypeAdapter(field.annotation).validate_python(part)
    else:
        for node in value.values():
            NODE_TYPES[node["type"]].spec.model_validate(node)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_a_json_example_is_json(block: Block) -> None:
    assert json.loads(block.text)


def test_the_graph_in_python_is_an_agent(tmp_path: Path) -> None:
    [block] = [block for block in blocks("python") if "def build()" in block.text]
    (tmp_path / "counter.py").write_text(block.text)
    agent = read_python_agent(tmp_path / "counter.py")
    assert agent.description == "Count the words of a text."
    assert (list(agent.input_schema["properties"]), list(agent.output_schema["properties"])) == (
        ["text"],
        ["words"],
    )


async def test_the_tool_in_python_is_a_tool(tmp_path: Path) -> None:
    [block] = [block for block in blocks("python") if "@tool" in block.text]
    (tmp_path / "money.py").write_text(block.text)
    [tool] = read_tools(tmp_path / "money.py")
    assert (tool.name, tool.repeatable) == ("exchange", True)


# Links, files, variables


def slugs(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_somewhere(file: Path) -> None:
    broken = []
    for link in LINK.findall(BLOCK.sub("", file.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        if not target.exists() or (anchor and anchor not in slugs(target.read_text())):
            broken.append(link)
    assert broken == []


def test_every_page_is_reached_from_another() -> None:
    linked = {
        (file.parent / link.partition("#")[0]).resolve()
        for file in PAGES
        for link in LINK.findall(file.read_text())
    }
    assert [file.name for file in DOCS.rglob("*.md") if file not in linked] == []


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_file_of_ours_that_is_named_exists(file: Path) -> None:
    named = (
        set(re.findall(rf"`((?:{FOLDERS})/[\w/]*(?:\.(?:py|yaml|md))?)(?![\w.])", file.read_text()))
        - NEW_FILES
    )
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_variable_that_is_named_is_a_setting(file: Path) -> None:
    known = {f"MOTET_{field.upper()}" for field in Settings.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"MOTET_[A-Z_]*[A-Z]", file.read_text())) <= known


# Commands and routes


def commands(text: str) -> list[list[str]]:
    """The words behind `motet` of every command in a page."""
    return [shlex.split(found.rstrip(" )|,.")) for found in COMMAND.findall(text)]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_command_and_option_exists(file: Path) -> None:
    wrong = []
    for words in commands(file.read_text()):
        # The group is click's own or the copy that typer brings along.
        command: Any = typer.main.get_command(command_line)
        rest = list(words)
        while rest and hasattr(command, "commands") and rest[0] in command.commands:
            command = command.commands[rest.pop(0)]
        options = {option for each in command.params for option in each.opts} | {"--help"}
        given = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        if len(rest) == len(words) or not given <= options:
            wrong.append(" ".join(words))
    assert wrong == []


def shape(path: str) -> str:
    """A path with every parameter alike; a name in capitals stands for one."""
    bare = path.split("?")[0].rstrip("/.")
    return re.sub(r"\{\w+\}|[A-Z]+(?:_[A-Z]+)*", "{}", bare)


def fits(path: str, template: str) -> bool:
    return bool(re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template)), path))


async def test_every_route_is_described_with_an_example(routes: set[tuple[str, str]]) -> None:
    text = page("http-api.md")
    described = {(method, path) for method, path in ROUTE.findall(text)}
    assert described == routes
    asked = {request for block in blocks("bash") for request in requests(block.text)}
    lacking = [
        (method, path)
        for method, path in sorted(routes)
        if not any(method == used and fits(shape(to), path) for used, to in asked)
    ]
    assert lacking == []


def requests(text: str) -> Iterator[tuple[str, str]]:
    """(method, path) of every request that a shell example makes of the service."""
    for line in text.replace("\\\n", " ").splitlines():
        for address in re.findall(r"(?:localhost|127\.0\.0\.1):8000(/[^\s'\"]*)", line):
            if "curl" in line:
                form = " -F " in line or " -d " in line
                method = re.search(r"-X (\w+)", line)
                yield (method[1] if method else "POST" if form else "GET"), address


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
async def test_every_request_goes_to_a_route_that_exists(
    file: Path, routes: set[tuple[str, str]]
) -> None:
    text = file.read_text()
    asked = {(method, path.rstrip(".")) for method, path in ROUTE.findall(text)}
    for match in BLOCK.finditer(text):
        asked |= set(requests(match[2])) if match[1] in SHELL else set()
    wrong = [
        (method, path)
        for method, path in sorted(asked)
        if not any(method == other and fits(shape(path), template) for other, template in routes)
    ]
    assert wrong == []


# Tables that name everything there is


def test_every_setting_has_its_row_with_its_default() -> None:
    table = rows(section(page("operations.md"), "## Settings"))
    for name, field in Settings.model_fields.items():
        cells = table[f"MOTET_{name.upper()}"]
        if field.annotation == Path | None:  # a place in the data folder
            assert cells[1].startswith("`<home>/")
        else:
            assert cells[1].strip("`") == shown(name, field.default), name


def shown(name: str, default: Any) -> str:
    if name.endswith("_bytes"):
        return f"{default // 2**20} MiB"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, float):
        return f"{default:g}"
    return "none" if default in ((), None) else str(default)


@pytest.mark.parametrize("name", NODE_TYPES)
def test_every_field_and_part_of_a_node_type_is_described(name: str) -> None:
    kind = NODE_TYPES[name]
    text = page("agents.md")
    told = names(section(text, f"### `{name}`"))
    own = {
        field.alias or key
        for key, field in kind.spec.model_fields.items()
        if key not in NodeSpec.model_fields
    }
    assert own - told == set()
    assert set(kind.parts or ()) - told == set()
    assert set(NodeSpec.model_fields) <= set(rows(section(text, "## What every node takes")))


def test_every_filter_reducer_and_key_of_an_agent_is_described() -> None:
    text = page("agents.md")
    assert set(OWN_FILTERS) <= names(section(text, "## Expressions and filters"))
    assert set(REDUCERS) | {"last"} <= set(rows(section(text, "## State: channels")))
    assert set(AgentSpec.model_fields) == set(rows(section(text, "## The shape of the file")))


def test_every_shipped_agent_is_described() -> None:
    shipped = {file.stem for file in SHIPPED.glob("*.yaml")}
    assert shipped == set(rows(section(page("agents.md"), "## Shipped agents")))


def test_every_field_of_models_and_indexes_is_described() -> None:
    assert set(ModelSpec.model_fields) - {"name"} <= set(rows(page("models.md")))
    assert set(BACKENDS) <= names(page("models.md"))
    assert set(IndexSpec.model_fields) <= set(rows(page("indexes.md")))


def test_every_state_of_a_model_is_described() -> None:
    told = set(rows(section(page("models.md"), "## What happens to models")))
    assert {state.value for state in State} <= told


def test_every_format_is_described_with_its_file_endings() -> None:
    text = section(page("indexes.md"), "## Which formats are read")
    listed = {ending for line in text.splitlines() if line.startswith("|")
              for ending in re.findall(r"`(\.\w+)`", line)}  # fmt: skip
    assert listed == {suffix for format in FORMATS for suffix in format.suffixes}


def test_every_filter_operator_is_described_as_it_is_typed() -> None:
    text = section(page("indexes.md"), "### Filters")
    table = rows(text)
    assert set(OPERATORS) == set(table)
    assert set(BUILT_IN) <= names(text)
    for sign in ("=", "!=", ">=", "~"):
        assert re.search(rf"\w{sign}\w", table[TYPED[sign]][1])


def test_every_field_of_a_search_and_of_added_documents_is_described() -> None:
    searching = section(page("indexes.md"), "## Searching")
    assert set(SearchManyBody.model_fields) == set(rows(searching.split("\n### ")[0]))
    optional = {field.name for field in fields(Passage) if field.default is not MISSING}
    assert optional <= names(searching)
    adding = section(page("http-api.md"), "## Documents")
    assert set(DocumentBody.model_fields) <= set(rows(adding))


def test_the_defaults_of_an_index_are_told() -> None:
    table = rows(section(page("indexes.md"), "## Creating an index"))
    for name in ("chunk_words", "weight", "model"):
        default = IndexSpec.model_fields[name].default
        assert f"default {default}" in table[name][1].replace("`", ""), name


def test_every_field_of_a_run_request_is_described() -> None:
    described = rows(section(page("http-api.md"), "## Running an agent"))
    assert set(described) >= set(RunBody.model_fields)


def test_families_and_codes_have_the_status_that_the_service_gives_them() -> None:
    table = rows(section(page("http-api.md"), "## Errors"))
    for name, status in {**STATUS, **STATUS_OF_CODE}.items():
        assert table[name][1] == str(status), name


def test_every_error_code_that_is_named_can_happen() -> None:
    source = "\n".join(
        file.read_text() for package in PACKAGES[:-1] for file in (ROOT / package).rglob("*.py")
    )
    known = set(re.findall(r"\"([a-z_]+)\"", source))
    for text in (page("models.md"), page("http-api.md")):
        for table in re.findall(r"^\| code \|.*\n\|[- |]+\n((?:\|.*\n)+)", text, re.MULTILINE):
            assert set(rows(table)) <= known


def table(text: str, heading: str) -> list[list[str]]:
    """The rows of the table with this first line, each cell's code; pipes in code are escaped."""
    lines = text.split(f"{heading}\n", 1)[1].splitlines()[1:]
    table_rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = re.split(r"(?<!\\)\|", line)[1:-1]
        table_rows.append([cell.replace("\\|", "|").strip() for cell in cells])
    return table_rows


EXAMPLES = table(page("agents.md"), "| expression | gives |")
SCALARS = table(page("agents.md"), "| written | is | |")


@pytest.mark.parametrize(("expression", "gives"), EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_example_of_a_filter_gives_what_the_table_says(expression: str, gives: str) -> None:
    template = Expressions().template(f"{{{{ {expression.strip('`')} }}}}")
    assert template.value({}) == json.loads(gives.strip("`"))


def test_every_filter_has_an_example() -> None:
    used = {name for row in EXAMPLES for name in re.findall(r"\| (\w+)", row[0])}
    assert set(OWN_FILTERS) - used <= {"tojson"}


@pytest.mark.parametrize(("written", "is_"), [row[:2] for row in SCALARS])
def test_plain_values_of_yaml_are_what_the_table_says(written: str, is_: str) -> None:
    values = [read_yaml(f"a: {each}") for each in re.findall(r"`([^`]+)`", written)]
    if is_ == "refused":
        assert all(document.faults for document in values)
    else:
        expected = [json.loads(each) for each in re.findall(r"`([^`]+)`", is_)]
        assert [document.value["a"] for document in values] == expected
