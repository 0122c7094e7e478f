"""The `motet` command: thin; every command is a request to the service or a look at a file."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from config.errors import MotetError
from config.logging import configure_logging
from config.settings import Settings, load_settings
from server.console import listing, plain_console, say

app = typer.Typer(
    help="Motet runs multi-step AI agents, written as YAML graphs, on your own hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
index_app = typer.Typer(help="Indexed documents: add, search, list, remove.", no_args_is_help=True)
app.add_typer(index_app, name="index")

Home = Annotated[
    Path | None, typer.Option("--home", help="Data folder. Default: $MOTET_HOME or ~/.motet.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

out = plain_console()


def main() -> None:
    """Run the command; an error of ours is a sentence on standard error and exit status 1."""
    try:
        app()
    except MotetError as error:
        plain_console(stderr=True).print(error.message, style="red", soft_wrap=True)
        sys.exit(1)


@app.command()
def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="A motet.yaml of your own.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Start the service on http://127.0.0.1:8000."""
    settings = load_settings(config, home=home, host=host, port=port, log_level=log_level)
    configure_logging(settings.log_level)
    from server.serving import serve as serve_

    _run(serve_(settings))


@app.command()
def run(
    agent: Annotated[str, typer.Argument(help="An agent's name; `motet agents` lists them.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="name=value pairs, or one text for the agent's first input."),
    ] = None,
    input_json: Annotated[
        str | None, typer.Option("--input", help="The whole input as JSON.")
    ] = None,
    thread: Annotated[
        str | None, typer.Option(help="Conversation to run on (a UUID); made when it is new.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run an agent and watch its steps. Asks you when it waits for a person."""
    from server.commands import run_agent

    settings = _settings(home)
    _run(run_agent(settings, agent, inputs or [], input_json, thread, as_json, out))


@app.command()
def agents(home: Home = None, as_json: AsJson = False) -> None:
    """List the agents: shipped, your own, Python graphs."""
    found = _get(home, "/agents")
    if as_json:
        out.print_json(data=found)
        return
    rows = ((each["name"], each["origin"], each["description"]) for each in found["agents"])
    out.print(listing(("agent", "origin", "description"), rows))
    for problem in found["problems"]:
        say(out, ("not loaded: ", "red"), problem["message"])


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="An agent's YAML file.")], home: Home = None
) -> None:
    """Check an agent's file: every problem with its line, its field and a proposal."""
    from server.agent_files import check_file

    if not check_file(_settings(home), file, out):
        raise typer.Exit(1)


@app.command()
def draw(
    agent: Annotated[str, typer.Argument(help="An agent's name, or its YAML file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .svg or .mmd file.")
    ] = None,
    home: Home = None,
) -> None:
    """Draw an agent's graph: Mermaid on the screen, or a picture in a file."""
    from server.agent_files import draw_agent

    draw_agent(_settings(home), agent, output, out)


@app.command()
def schema() -> None:
    """Print the JSON Schema of agent files, for completion in an editor."""
    from graphs.spec import spec_json_schema

    print(orjson.dumps(spec_json_schema(), option=orjson.OPT_INDENT_2).decode())


@index_app.command("add")
def index_add(
    name: Annotated[str, typer.Argument(help="The index; made when it is new.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders, files or http(s) URLs. Default: the index's own folders.",
            metavar="SOURCE...",
        ),
    ] = None,
    home: Home = None,
) -> None:
    """Index folders, files or web pages. Unchanged files are skipped."""
    from server.commands import add_sources

    if not _run(add_sources(_settings(home), name, sources or [], out)):
        raise typer.Exit(1)


@index_app.command("search")
def index_search(
    name: str,
    query: str,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 5,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Search an index."""
    found = _post(home, f"/indexes/{name}/search", {"query": query, "limit": limit})
    if as_json:
        out.print_json(data=found)
        return
    for passage in found["passages"]:
        place = " › ".join([passage["source"], *passage["heading"]])
        say(out, (f"{passage['score']:.3f} ", "bold"), (place, "cyan"))
        out.print(f"{passage['text']}\n")


@index_app.command("ls")
def index_ls(
    name: Annotated[str | None, typer.Argument(help="List this index's documents.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the indexes, or the documents of one."""
    found = _get(home, f"/indexes/{name}/documents" if name else "/indexes")
    if as_json:
        out.print_json(data=found)
    elif name:
        keys = ("id", "source", "title", "passages")
        rows = ([each[key] for key in keys] for each in found["documents"])
        out.print(listing(("document", *keys[1:]), rows))
    else:
        keys = ("name", "documents", "passages", "description")
        rows = ([each[key] for key in keys] for each in found["indexes"])
        out.print(listing(("index", *keys[1:]), rows))


@index_app.command("rm")
def index_rm(
    name: str,
    document: Annotated[
        str | None, typer.Argument(help="A document's id; without it the whole index goes.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    home: Home = None,
) -> None:
    """Remove a document, or an index with all of them."""
    what = f"document {document} of index {name}" if document else f"index {name}"
    if not yes:
        typer.confirm(f"Remove {what}?", abort=True)
    _request(
        home, "DELETE", f"/indexes/{name}/documents/{document}" if document else f"/indexes/{name}"
    )
    out.print(f"Removed {what}.")


@index_app.command("calibrate")
def index_calibrate(
    name: str,
    questions: Annotated[
        Path | None,
        typer.Option(help="Your questions: JSON lines or YAML. Default: made of its passages."),
    ] = None,
    refuse: Annotated[
        float, typer.Option(min=0, max=1, help="The share of unanswerable questions to refuse.")
    ] = 0.8,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find out from which score on an index holds the answer, so that it refuses the rest."""
    from server.index_commands import calibrate_index, print_threshold

    found = _run(calibrate_index(_settings(home), name, questions, refuse, out))
    out.print_json(data=found) if as_json else print_threshold(found, out)


@index_app.command("eval")
def index_eval(
    name: str,
    questions: Annotated[Path, typer.Option(help="Your questions: JSON lines or YAML.")],
    k: Annotated[int, typer.Option(min=1, max=100, help="Measure the first K passages.")] = 10,
    plot: Annotated[Path | None, typer.Option(help="An .svg file for the curve.")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Measure what an index finds, answers and refuses, by questions with known answers."""
    from server.index_commands import evaluate_index, print_report

    report = _run(evaluate_index(_settings(home), name, questions, k, plot, out))
    out.print_json(data=report) if as_json else print_report(report, out)


@app.command()
def models(home: Home = None, as_json: AsJson = False) -> None:
    """Show the models, what each role resolves to and why, and the memory they take."""
    from server.doctor import print_models

    found = _get(home, "/models")
    if as_json:
        out.print_json(data=found)
    else:
        print_models(found, out)


@app.command()
def doctor(home: Home = None) -> None:
    """Tell what this machine has, what was chosen for each role and why, and what is missing."""
    from server.doctor import examine

    _run(examine(_settings(home), out))


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Documents to ask. Default: Motet's own.")
    ] = None,
    question: Annotated[str | None, typer.Option(help="What to ask of them.")] = None,
) -> None:
    """Index documents, start the service, ask it a question over HTTP, stop it again."""
    from server.demo import demonstrate

    _run(demonstrate(folder, question, out))


def _settings(home: Path | None) -> Settings:
    settings = load_settings(home=home)
    configure_logging("warning")
    return settings


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    import uvloop

    return uvloop.run(work)


def _request(home: Path | None, method: str, path: str, body: Any = None) -> Any:
    from server.client import answer, connect

    settings = _settings(home)

    async def request() -> Any:
        async with connect(settings) as client:
            return await answer(await client.request(method, path, json=body))

    return _run(request())


def _get(home: Path | None, path: str) -> Any:
    return _request(home, "GET", path)


def _post(home: Path | None, path: str, body: Any) -> Any:
    return _request(home, "POST", path, body)
