"""`motet index`: fill indexes, search them, look after them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.command import AsJson, Home, get, out, request, run, settings_of
from server.cli.console import listing, say

index_app = typer.Typer(
    help="Indexed documents: add, search, look after, remove.", no_args_is_help=True
)

Where = Annotated[
    list[str] | None,
    typer.Option(help="Only documents so: author=Anna, 'year>=2020', 'path~guides/*', or JSON."),
]


@index_app.command("add")
def index_add(
    name: Annotated[str, typer.Argument(help="The index; made when it is new.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folders, files or http(s) URLs. Default: the index's own folders.",
            metavar="SOURCE",
        ),
    ] = None,
    sitemap: Annotated[
        list[str] | None, typer.Option(help="A site map, whose pages are indexed.")
    ] = None,
    crawl: Annotated[
        list[str] | None, typer.Option(help="A page to begin at; its links are followed.")
    ] = None,
    max_pages: Annotated[int, typer.Option(min=1, help="Of each crawl.")] = 500,
    host: Annotated[
        list[str] | None, typer.Option(help="Another host that a crawl may go to.")
    ] = None,
    meta: Annotated[
        list[str] | None, typer.Option(help="name=value, to search by: of files and URLs.")
    ] = None,
    home: Home = None,
) -> None:
    """Index folders, files, web pages or whole sites. What is unchanged is skipped.

    Folders that the service may not read itself are uploaded.
    """
    from server.cli.ingest import IngestSource, add_sources, parse_metadata

    metadata = parse_metadata(meta or [])
    requested = [IngestSource(each, metadata=metadata) for each in sources or []]
    bounds = {"max_pages": max_pages, "hosts": host or []}
    requested += [IngestSource(url, {"sitemap": url, **bounds}) for url in sitemap or []]
    requested += [IngestSource(url, {"crawl": url, **bounds}) for url in crawl or []]
    if not run(add_sources(settings_of(home), name, requested, out)):
        raise typer.Exit(1)


@index_app.command("search")
def index_search(
    names: Annotated[str, typer.Argument(metavar="NAME", help="The index, or several: a,b,c.")],
    query: str,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 5,
    mode: Annotated[str, typer.Option(help="hybrid, dense (meaning) or keyword.")] = "hybrid",
    where: Where = None,
    expand: Annotated[
        str, typer.Option(help="Show more of the document: neighbours or section.")
    ] = "none",
    rerank: Annotated[
        bool | None, typer.Option(help="Let a model sort the best again. Default: the index's.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say why each score.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Search an index, or several in one question."""
    from server.cli.search_output import parse_filter, print_passages

    body: dict[str, Any] = {"query": query, "limit": limit, "mode": mode, "expand": expand}
    body |= {"explain": explain, "highlight": True, "rerank": rerank}
    body |= {"indexes": names.split(","), "where": parse_filter(where or [])}
    answer = request(home, "POST", "/search", json=body)
    out.print_json(data=answer) if as_json else print_passages(answer, out)


@index_app.command("ls")
def index_ls(
    name: Annotated[str | None, typer.Argument(help="List this index's documents.")] = None,
    where: Where = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the indexes, or the documents of one."""
    if name is None:
        answer = get(home, "/indexes")
        keys = ("name", "documents", "passages", "description")
        rows = ([each[key] for key in keys] for each in answer["indexes"])
        out.print_json(data=answer) if as_json else out.print(listing(("index", *keys[1:]), rows))
        return
    from server.cli.ingest import list_documents
    from server.cli.search_output import parse_filter

    answer = run(list_documents(settings_of(home), name, parse_filter(where or [])))
    keys = ("id", "source", "title", "passages")
    rows = ([each[key] for key in keys] for each in answer["documents"])
    out.print_json(data=answer) if as_json else out.print(listing(("document", *keys[1:]), rows))


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
    path = f"/indexes/{name}/documents/{document}" if document else f"/indexes/{name}"
    request(home, "DELETE", path)
    out.print(f"Removed {what}.")


@index_app.command("stats")
def index_stats(name: str, home: Home = None, as_json: AsJson = False) -> None:
    """Show how large an index is, on disk and in memory, and what was indexed lately."""
    from server.cli.search_output import print_stats

    answer = get(home, f"/indexes/{name}/stats")
    if as_json:
        out.print_json(data=answer)
    else:
        print_stats(answer, get(home, f"/indexes/{name}/ingests")["ingests"], out)


@index_app.command("rebuild")
def index_rebuild(name: str, home: Home = None) -> None:
    """Build an index's search files anew; embed again where the model is another one."""
    answer = request(home, "POST", f"/indexes/{name}/rebuild")
    out.print(f"Rebuilt index {name}: {answer['passages']} passages.")


@index_app.command("export")
def index_export(
    name: str,
    file: Annotated[Path, typer.Argument(help="What to write; one that exists is replaced.")],
    home: Home = None,
) -> None:
    """Write an index to a file, as it is at this moment, while it is in use."""
    from server.cli.snapshots import export_index

    size = run(export_index(settings_of(home), name, file))
    out.print(f"Exported index {name} to {file}: {size / 2**20:.1f} MiB.")


@index_app.command("import")
def index_import(
    file: Annotated[Path, typer.Argument(help="A file that `motet index export` wrote.")],
    name: Annotated[str | None, typer.Option(help="Default: the name it had.")] = None,
    home: Home = None,
) -> None:
    """Make an index of an exported file. Nothing is embedded again."""
    from server.cli.snapshots import import_index

    index = run(import_index(settings_of(home), file, name))
    counts = f"{index['documents']} documents, {index['passages']} passages"
    say(out, f"Imported index {index['name']}: {counts}.")


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
    from server.cli.index_quality import calibrate_index, print_threshold

    answer = run(calibrate_index(settings_of(home), name, questions, refuse, out))
    out.print_json(data=answer) if as_json else print_threshold(answer, out)


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
    from server.cli.index_quality import evaluate_index, print_report

    report = run(evaluate_index(settings_of(home), name, questions, k, plot, out))
    out.print_json(data=report) if as_json else print_report(report, out)
