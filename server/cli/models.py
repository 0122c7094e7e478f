"""`motet models`: what there is, loading and unloading, pins, pulls, live events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from config.errors import Unavailable
from server.cli.command import AsJson, Home, get, out, request, run, settings_of
from server.cli.console import say
from server.data_folder import server_address

model_app = typer.Typer(
    help="Models: what there is and why, load, unload, pull, pin, watch. Alone: the list."
)

Name = Annotated[str, typer.Argument(help="As `motet models` shows it, or BACKEND/SOURCE.")]
Wait = Annotated[float, typer.Option(min=0.001, max=3600, help="Seconds to wait at most.")]


@model_app.callback(invoke_without_command=True)
def models(context: typer.Context, home: Home = None, as_json: AsJson = False) -> None:
    """Show the models, what each role resolves to and why, and the memory they take."""
    if context.invoked_subcommand is None:
        models_list(home, as_json)
    elif home or as_json:
        raise typer.BadParameter("--home and --json stand behind the name of the command.")


@model_app.command("list")
def models_list(home: Home = None, as_json: AsJson = False) -> None:
    """Show the models, what each role resolves to and why, and the memory they take."""
    from server.cli.model_tables import print_models

    listed = get(home, "/models")
    out.print_json(data=listed) if as_json else print_models(listed, out)


@model_app.command("load")
def models_load(
    name: Annotated[str, typer.Argument(help="A model's name, or a role's.")],
    wait: Wait = 600.0,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Load a model now, so that the first request need not wait."""
    _show(_request(home, "POST", f"/models/{name}/load", json={"wait_s": wait}), as_json)


@model_app.command("unload")
def models_unload(
    name: Name, wait: Wait = 600.0, home: Home = None, as_json: AsJson = False
) -> None:
    """Unload a model as soon as its work under way has ended, and wait until it is gone."""
    _show(_request(home, "POST", f"/models/{name}/unload", json={"wait_s": wait}), as_json)


@model_app.command("add")
def models_add(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A name of the list, ./model.gguf, hf.co/OWNER/REPOSITORY[:Q4_K_M], "
            "ollama.com/NAME:TAG, ollama/NAME:TAG, or a folder with a model. Alone: the list."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What models.yaml calls it.")] = None,
    projector: Annotated[
        Path | None,
        typer.Option(help="The GGUF file (mmproj) by which the model sees.", exists=True),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="What it is for, where that is not what it seems.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Add a model by one command: get its files, declare it in models.yaml, put its role on it.

    Without a name, list what can be had, marked by what suits this machine.
    """
    from server.cli.model_add import AddOptions, add_model
    from server.cli.model_tables import print_offers

    if model is None:
        listed = get(home, "/models/profile")
        out.print_json(data=listed["offers"]) if as_json else print_offers(listed, out)
        return
    options = AddOptions(model, name, projector, task, as_json)
    if not run(add_model(settings_of(home), options, out)):
        raise typer.Exit(1)


@model_app.command("remove")
def models_remove(name: Name, home: Home = None, as_json: AsJson = False) -> None:
    """Take a model out of your models.yaml; GGUF files that were pulled for it are deleted."""
    from server.cli.model_tables import format_bytes

    removed = request(home, "DELETE", f"/models/{name}")
    if as_json:
        out.print_json(data=removed)
        return
    freed_bytes = removed["freed_bytes"]
    files = f"its files freed {format_bytes(freed_bytes)}" if freed_bytes else "its files stay"
    say(out, (name, "bold"), f" is removed from models.yaml; {files}")


@model_app.command("pull")
def models_pull(
    name: Annotated[
        str | None,
        typer.Argument(help="A model of models.yaml, or BACKEND/SOURCE, as in ollama/qwen3:4b."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything that the roles name and is not here.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before; with --json alone, nothing is got.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Get a model onto this machine, with its progress. Ctrl-C stops; the next pull goes on there.

    From Ollama's library, or from the Hugging Face Hub for `transformers`, `diffusers`,
    `sentence_transformers`, `cross_encoder` and `coqui`; GGUF models from both, by `llamacpp`.
    """
    from server.cli.model_add import pull_missing
    from server.cli.model_follow import pull_model

    if (name is None) != everything:
        raise typer.BadParameter("Name a model, or say --all.")
    if name is None:
        done = run(pull_missing(settings_of(home), yes, as_json, out))
    else:
        done = run(pull_model(settings_of(home), name, as_json, out))
    if not done:
        raise typer.Exit(1)


@model_app.command("pulls")
def models_pulls(home: Home = None, as_json: AsJson = False) -> None:
    """List the pulls: under way, done, stopped and failed ones."""
    from server.cli.model_tables import print_pulls

    listed = get(home, "/models/pulls")
    out.print_json(data=listed) if as_json else print_pulls(listed["pulls"], out)


@model_app.command("pin")
def models_pin(name: Name, home: Home = None, as_json: AsJson = False) -> None:
    """Keep a model loaded, whatever else needs room, until the service ends.

    `pin: true` in models.yaml keeps it always.
    """
    _show(_request(home, "PUT", f"/models/{name}/pin"), as_json)


@model_app.command("unpin")
def models_unpin(name: Name, home: Home = None, as_json: AsJson = False) -> None:
    """Let a model go again when others need its room."""
    _show(_request(home, "DELETE", f"/models/{name}/pin"), as_json)


@model_app.command("events")
def models_events(
    after: Annotated[
        int | None, typer.Option(help="Begin behind this number; 0: with the oldest kept.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Watch what happens to models, live, until Ctrl-C."""
    from server.cli.model_follow import watch_models

    _need_service(home)
    run(watch_models(settings_of(home), after, as_json, out))


@model_app.command("profile")
def models_profile(
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="Print a models.yaml that tries these models first.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show this machine's devices, the models that suit it, and how to get each."""
    from server.cli.model_tables import print_profile, profile_yaml

    listed = get(home, "/models/profile")
    if as_yaml:
        print(profile_yaml(listed))
    elif as_json:
        out.print_json(data=listed)
    else:
        print_profile(listed, out)


def _request(home: Path | None, method: str, path: str, **more: Any) -> Any:
    _need_service(home)
    return request(home, method, path, **more)


def _need_service(home: Path | None) -> None:
    """Raise `Unavailable` where no service runs: one that ends with the command keeps nothing."""
    settings = settings_of(home)
    if not (settings.server_url or server_address(settings.home)):
        raise Unavailable(
            f"No service runs on {settings.home}, so nothing would stay loaded. Start one with "
            "`motet serve`.",
            code="service_not_running",
        )


def _show(model: dict[str, Any], as_json: bool) -> None:
    from server.cli.model_tables import format_bytes

    if as_json:
        out.print_json(data=model)
        return
    where = (
        f" on {model['device']}, {format_bytes(model['memory_bytes'])}"
        if model["memory_bytes"]
        else ""
    )
    pinned = ", pinned" if model["pin"] else ""
    say(out, (model["name"], "bold"), f" is {model['state']}{where}{pinned}")
