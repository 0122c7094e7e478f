"""Codes of the family `invalid`: the request, file or graph is wrong and stays wrong."""

from __future__ import annotations

from collections.abc import Mapping

from config.error_codes.kinds import ErrorCode

INVALID: Mapping[str, ErrorCode] = {
    "address_not_allowed": ErrorCode(
        "After private data was read, an address was to be fetched that nobody wrote or listed.",
        "List its host in `hosts` of the node or in the setting `web_hosts`, or approve it.",
    ),
    "agent_recursion": ErrorCode(
        "An agent would call itself, directly or through others.", "Break the circle."
    ),
    "capability_unsupported": ErrorCode(
        "The model cannot do what the request asks, such as looking at pictures.",
        "Leave out the field that `details.field` names, or take another model.",
    ),
    "channel_type_mismatch": ErrorCode(
        "A node wrote a value into a channel that holds another type.",
        "Write a value of the channel's type, or declare another type.",
    ),
    "context_overflow": ErrorCode(
        "The prompt is longer than the model's context.",
        "Shorten it, or raise the model's option for its context.",
    ),
    "empty_mask": ErrorCode(
        "The mask marks nothing.", "Make what is to be drawn anew white or transparent."
    ),
    "expectation_failed": ErrorCode(
        "The header `Expect` asks for what this service does not do.",
        "Leave it out; `100-continue` alone is known.",
    ),
    "expression_failed": ErrorCode(
        "An expression in an agent's file failed for the values of this run.",
        "Correct the expression, or give it a default.",
    ),
    "forbidden": ErrorCode(
        "A web page of another site asks, or a path is named that may not be.",
        "Name the folder in the setting `folders`, or upload the files instead.",
    ),
    "forbidden_address": ErrorCode(
        "The host's address is not public, so it is not fetched.",
        "Name the network in `MOTET_ALLOWED_NETWORKS` if it is yours.",
    ),
    "forbidden_port": ErrorCode(
        "The URL names a port that no web page is fetched from.",
        "Add it to `MOTET_ALLOWED_PORTS`, or name the host's network in `MOTET_ALLOWED_NETWORKS`.",
    ),
    "forbidden_url": ErrorCode(
        "The URL is not one that is fetched.", "Give an http or https URL without credentials."
    ),
    "image_missing": ErrorCode("The model was shown no image.", "Give an image."),
    "invalid_agent": ErrorCode(
        "The agent's definition has errors; `details.problems` lists them with their lines.",
        "Correct them; `motet check FILE` shows them too.",
    ),
    "invalid_answer": ErrorCode(
        "The answer to a waiting run has another form than its question asks for.",
        "Answer as the interrupt's schema says.",
    ),
    "invalid_arguments": ErrorCode(
        "A tool was called with arguments that its schema does not allow.",
        "Follow the tool's schema, as in `GET /tools`.",
    ),
    "invalid_expression": ErrorCode(
        "The text to calculate is not an arithmetic expression.",
        "Use numbers, operators, brackets and the functions that the tool lists.",
    ),
    "invalid_filter": ErrorCode(
        "The filter of a search is malformed.", "Write it as docs/indexes.md shows."
    ),
    "invalid_image_options": ErrorCode(
        "An option of an image to draw is out of the model's range.",
        "Take a value as the message says; `details.field` names the option.",
    ),
    "invalid_index": ErrorCode(
        "The name or the definition of an index is malformed.",
        "Correct the field that `details.field` names.",
    ),
    "invalid_indexes_file": ErrorCode(
        "The file indexes.yaml has an error; the message names its line.", "Correct the file."
    ),
    "invalid_input": ErrorCode(
        "The input does not fit the agent's input schema.",
        "Send what `GET /agents/{name}` shows as `input_schema`.",
    ),
    "invalid_messages": ErrorCode(
        "The messages are no chat messages.", "Give a list of objects with `role` and `content`."
    ),
    "invalid_model_name": ErrorCode(
        "This cannot be the name of a model in models.yaml.",
        "Take small letters, digits, and - _ . between them.",
    ),
    "invalid_model_options": ErrorCode(
        "An option of a model in models.yaml is unknown or has a wrong value.",
        "Correct the option that the message names.",
    ),
    "invalid_model_source": ErrorCode(
        "The source names no model in any of the forms that its back end knows.",
        "Write it in one of the forms that the message lists.",
    ),
    "invalid_models_file": ErrorCode(
        "The file models.yaml has an error; the message names its line.", "Correct the file."
    ),
    "invalid_path": ErrorCode(
        "A snapshot cannot be written to this path.", "Name a folder that exists and is writable."
    ),
    "invalid_questions": ErrorCode(
        "The questions for a calibration or an evaluation are malformed.",
        "Write them as docs/indexes.md shows.",
    ),
    "invalid_reference": ErrorCode(
        "The value names no file.", "Give an artifact's id, a URL or a data URL."
    ),
    "invalid_request": ErrorCode(
        "A field or parameter of the request is wrong.",
        "Correct the one that `details.field` names.",
    ),
    "invalid_samples": ErrorCode(
        "The sound holds no whole 16-bit samples.", "Send mono samples of 16 bits."
    ),
    "invalid_settings": ErrorCode(
        "A setting is unknown or has a wrong value.",
        "Correct the flag, variable or key of motet.yaml that the message names.",
    ),
    "invalid_site_map": ErrorCode(
        "The address holds no site map that can be read.",
        "Give the address of a site map in XML, or crawl from a page.",
    ),
    "invalid_snapshot": ErrorCode(
        "The file is no snapshot of an index, or a damaged one.", "Export the index again."
    ),
    "invalid_span": ErrorCode(
        "The span lies outside the document.", "Take `start` and `end` from a passage."
    ),
    "invalid_tool_file": ErrorCode(
        "A Python file in the tools folder cannot be loaded.", "Correct the file."
    ),
    "lora_incompatible": ErrorCode(
        "The LoRA was made for another kind of model.", "Take one for this model."
    ),
    "lora_missing": ErrorCode(
        "The LoRA is not on this machine.", "Download it, or correct its path."
    ),
    "malformed_body": ErrorCode(
        "The body is not JSON, not UTF-8, not the gzip that it says, or nested too deeply; or the "
        "request is no HTTP.",
        "Send well-formed JSON.",
    ),
    "method_not_allowed": ErrorCode(
        "The route does not take this method.", "Use a method that the header `Allow` names."
    ),
    "model_refused": ErrorCode(
        "The model's server refused the request as wrong.", "Read its reason in `details.cause`."
    ),
    "needs_caption_model": ErrorCode(
        "An image is to be indexed, and no model that describes images is available.",
        "Make the role `vision` available.",
    ),
    "not_acceptable": ErrorCode(
        "The header `Accept` leaves out, or refuses, what this answer is.",
        "Name the media type that the message names, or `*/*`.",
    ),
    "not_pullable": ErrorCode(
        "Models of this back end or of this name are not pulled.",
        "Name a repository as owner/name, or place the files by hand.",
    ),
    "not_text": ErrorCode("The page or file is not text.", "Give one that is."),
    "nothing_to_say": ErrorCode(
        "The text holds no word that the voice can say.", "Give a text with words."
    ),
    "parallel_writes": ErrorCode(
        "Nodes that run in parallel wrote the same channel.",
        "Give the channel a reducer, or let each node write its own.",
    ),
    "precondition_failed": ErrorCode(
        "What is there is not what `If-Match` or another condition of the request says.",
        "Fetch it again, and decide anew.",
    ),
    "quantization_unavailable": ErrorCode(
        "The model's `quantization` needs a library or device that is not there.",
        "Install what the message names, or leave the option out.",
    ),
    "range_not_satisfiable": ErrorCode(
        "The `Range` is not within the file, or not written as one of bytes.",
        "Ask for bytes before the size that the header `Content-Range` tells.",
    ),
    "task_unsupported": ErrorCode(
        "The model or back end is for another task.", "Take a model that is for this task."
    ),
    "too_few_questions": ErrorCode(
        "There are too few questions to calibrate with.",
        "Give more questions, or index more documents.",
    ),
    "too_large": ErrorCode(
        "A body, file, text or result is over its limit.", "Send less; the message has the numbers."
    ),
    "too_many_documents": ErrorCode(
        "The folder holds more documents than one ingest takes.", "Index its parts one by one."
    ),
    "too_many_images": ErrorCode(
        "The request shows more images than the model looks at together.", "Show fewer at once."
    ),
    "too_many_redirects": ErrorCode(
        "The URL redirects again and again.", "Give the address that it leads to."
    ),
    "too_many_steps": ErrorCode(
        "The graph took more steps than its bound allows.",
        "Raise `max_steps` of the file, or `build.recursion_limit` in Python; or bound its loop.",
    ),
    "untrusted_file": ErrorCode(
        "A file that decides what runs here can be changed by other users of the machine.",
        "Read it, then do what the message says: take it over, or close it to others.",
    ),
    "undefined_result": ErrorCode(
        "The arithmetic expression has no value, such as 1/0.", "Correct the expression."
    ),
    "unknown_backend": ErrorCode(
        "There is no back end of this name.", "Take one that the message proposes."
    ),
    "unknown_language": ErrorCode(
        "The voice or model does not speak the language.", "Leave `language` out, or take another."
    ),
    "unknown_scheduler": ErrorCode(
        "The image model has no such scheduler.", "Take one that the message proposes."
    ),
    "unknown_voice": ErrorCode(
        "The speech model has no such voice.", "Take one that the message proposes."
    ),
    "unknown_zone": ErrorCode(
        "There is no time zone of this name.", "Use a name as `Europe/Berlin`."
    ),
    "unreadable_audio": ErrorCode(
        "The sound is damaged or of an unknown format.", "Send WAV, FLAC, MP3, Ogg or AIFF."
    ),
    "unreadable_document": ErrorCode(
        "The document is damaged, locked or empty.", "Repair it, or save it in another format."
    ),
    "unreadable_folder": ErrorCode(
        "The folder does not exist on the server, or cannot be read.", "Correct the path."
    ),
    "unreadable_image": ErrorCode(
        "The image is damaged or of an unknown format.", "Send PNG, JPEG, WebP or GIF."
    ),
    "unstorable_value": ErrorCode(
        "A node or a tool gave what no checkpoint can hold: a whole number of more than 64 bits, "
        "NaN, half a character, an object that is no JSON.",
        "Give another value, or its text; `details` names node or tool and the place.",
    ),
    "unsupported_document": ErrorCode(
        "There is no reader for documents of this type.", "Convert it, for example to PDF or text."
    ),
    "unsupported_media_type": ErrorCode(
        "The body is of a type that the route does not read.",
        "Set `Content-Type` to the type that the message names.",
    ),
}
