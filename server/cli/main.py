"""The `motet` command: its entry point, and the commands that need no group.

Each command is a request to the service or a look at a file; what is more than a few lines
stands in a module of its own, imported when the command is called.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from typer.core import TyperGroup

from config.errors import MotetError
from config.logging import configure_logging, log_uncaught_errors
from config.settings import load_settings
from server.cli.agent_versions import agents_app
from server.cli.command import AsJson, Home, out, settings_of
from server.cli.command import run as run_
from server.cli.console import plain_console
from server.cli.index import index_app
from server.cli.models import model_app
from server.cli.runs import runs_app

WAITING = 3
"""Exit status of `motet run` for a run that waits; 1 is a failure, 2 a wrong command line."""


class Commands(TyperGroup):
    """The commands, with wrong options told without a word of the library that found them."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Raises `BadParameter`."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    cls=Commands,
    help="Motet runs multi-step AI agents, written as YAML graphs, on your own hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(agents_app, name="agents")
app.add_typer(index_app, name="index")
app.add_typer(model_app, name="models")
app.add_typer(runs_app, name="runs")


def main() -> None:
    """Run the command.

    One of our errors, and what the disk refuses, is a sentence on standard error and exit status 1.
    Threads of users do not keep the process.
    """
    try:
        _run_app()
    except SystemExit as exit_:
        from server.event_loop import end_despite_threads

        end_despite_threads(exit_.code if isinstance(exit_.code, int) else bool(exit_.code))
        raise


def _run_app() -> None:
    try:
        app()
    except MotetError as error:
        incident = error.details.get("incident")
        more = f" (more in the log of the service: incident {incident})" if incident else ""
        plain_console(stderr=True).print(error.message + more, style="red", soft_wrap=True)
        sys.exit(1)
    except UnicodeEncodeError as error:
        # The shell hands on any bytes; what is no text in them becomes halves of characters.
        part = error.object[max(0, error.start - 20) : error.end + 20]
        message = f"'{part}' is not UTF-8 text."
        plain_console(stderr=True).print(message, style="red", soft_wrap=True, markup=False)
        sys.exit(1)
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        message = f"{named}{error.strerror or error}."
        plain_console(stderr=True).print(message, style="red", soft_wrap=True, markup=False)
        sys.exit(1)


@app.command()
def serve(
    home: Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="A motet.yaml of your own.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="Which of the environments of models.yaml is taken.")
    ] = None,
    hold_runs: Annotated[
        bool, typer.Option("--hold-runs", help="Take up no run that is left; see `motet runs`.")
    ] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Start the service on http://127.0.0.1:8000."""
    flags = {"home": home, "host": host, "port": port, "log_level": log_level}
    flags["hold_runs"] = hold_runs or None
    settings = load_settings(config, environment=environment, **flags)
    configure_logging(settings.log_level)
    log_uncaught_errors()
    from server.serving import serve as serve_

    run_(serve_(settings))


@app.command()
def run(
    agent: Annotated[str, typer.Argument(help="An agent's name; `motet agents` lists them.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(help="name=value or name=@file pairs, or one text for the first input."),
    ] = None,
    input_json: Annotated[
        str | None, typer.Option("--input", help="The whole input as JSON.")
    ] = None,
    thread: Annotated[
        str | None, typer.Option(help="Conversation to run on (a UUID); made when it is new.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Folder for the files that the agent makes.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Run an agent and watch its steps. Asks you when it waits for a person.

    A field that takes a picture, a sound or a file is given one by its path, as in
    `picture=@photo.jpg`; so is a long text. Ends with 3 where the run waits for a person.
    """
    from server.cli.run import RunOptions, run_agent

    options = RunOptions(agent, inputs or [], input_json, thread, as_json, save)
    if run_(run_agent(settings_of(home), options, out)) == "waiting":
        raise typer.Exit(WAITING)


@app.command()
def check(
    files: Annotated[
        list[Path],
        typer.Argument(help="Agents, models.yaml, indexes.yaml, motet.yaml, questions, folders."),
    ],
    home: Home = None,
) -> None:
    """Check files: every problem with its line, its field and a proposal."""
    from server.cli.check import check_files

    if not check_files(settings_of(home), files, out):
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
    from server.cli.agents import draw_agent

    draw_agent(settings_of(home), agent, output, out)


@app.command()
def schema() -> None:
    """Print the JSON Schema of agent files, for completion in an editor."""
    from graphs.spec.agent_spec import spec_json_schema

    print(orjson.dumps(spec_json_schema(), option=orjson.OPT_INDENT_2).decode())


@app.command()
def prune(
    runs_days: Annotated[float | None, typer.Option(help="Delete runs that ended before.")] = None,
    threads_days: Annotated[
        float | None, typer.Option(help="Delete threads that were not used since.")
    ] = None,
    artifacts_days: Annotated[
        float | None, typer.Option(help="Delete older artifacts that nothing names.")
    ] = None,
    keys_days: Annotated[float | None, typer.Option(help="Forget older idempotency keys.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and delete nothing.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Delete what is older than so many days; the data folder shrinks."""
    from server.cli.retention import prune as prune_

    days = (runs_days, threads_days, artifacts_days, keys_days)
    prune_(settings_of(home), days, dry_run, None if as_json else out)


@app.command()
def doctor(
    home: Home = None,
    artifacts: Annotated[
        bool,
        typer.Option("--artifacts", help="Instead, read every artifact: is it what was stored?"),
    ] = False,
) -> None:
    """Tell what this machine has, what was chosen for each role and why, and what is missing."""
    if artifacts:
        from server.cli.artifact_scan import scan_artifacts

        if not scan_artifacts(settings_of(home).home / "artifacts", out):
            raise typer.Exit(1)
        return
    from server.cli.doctor import examine

    run_(examine(settings_of(home), out))


@app.command()
def demo(
    folder: Annotated[
        Path | None, typer.Option(help="Documents to ask. Default: Motet's own.")
    ] = None,
    question: Annotated[str | None, typer.Option(help="What to ask of them.")] = None,
    model: Annotated[
        str | None, typer.Option(help="Who writes the answer, as `motet models add` takes it.")
    ] = None,
) -> None:
    """Index documents, start the service, ask it a question over HTTP, stop it again."""
    from server.cli.demo import demonstrate

    if not run_(demonstrate(folder, question, model, out)):
        raise typer.Exit(1)
