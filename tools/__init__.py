"""What an agent may call: one callable with a JSON schema in each module.

A file of one's own tools needs only this package: `from tools import tool, ToolContext`.

    spec            what a tool is, and how it is called
    registry        all tools of the service; user_tools reads those of a folder
    calculate, clock, index, search, web
    caption, image, speech, transcribe, book    on media_deps: a leased model, files, artifacts
    artifacts, artifact_record, references      bytes by their hash, and how callers name files
    safe_fetch      URLs that others chose, without reaching into our network (addresses, responses,
                    url_guard, address_policy, name_resolver)
    json_schema     schemas of callers and files, refused or checked within bounds
    media           files of pictures and sound, parsed and made in workers
    user_code       running what users wrote, such as their tools

Tools know neither HTTP nor graphs; who calls one gives a `ToolContext`.
"""

from tools.spec import Tool, ToolContext
from tools.user_tools import tool

__all__ = ["Tool", "ToolContext", "tool"]
