"""Codes of the family `unavailable`: a model, server, memory or disk that cannot be had now."""

from __future__ import annotations

from collections.abc import Mapping

from config.error_codes.kinds import ErrorCode

UNAVAILABLE: Mapping[str, ErrorCode] = {
    "address_in_use": ErrorCode(
        "The service cannot listen on its port.",
        "Choose another with `--port`; 0 takes a free one.",
    ),
    "artifact_damaged": ErrorCode(
        "The bytes or the description of an artifact are not what was stored.",
        "Store the same file again, or delete the artifact; `motet doctor` lists damaged ones.",
    ),
    "async_only": ErrorCode(
        "A notebook called a chat model synchronously.", "Use `ainvoke` or `astream`."
    ),
    "chat_template_missing": ErrorCode(
        "The model has no chat template, so it only continues texts.",
        "Name a Jinja file in its option `chat_template`, or take a model made for chat.",
    ),
    "container_unavailable": ErrorCode(
        "The container of a model's server cannot be run.",
        "Start Docker or Podman, and read the reason in the message.",
    ),
    "data_folder_unusable": ErrorCode(
        "The data folder is no folder, cannot be written, or is another user's.",
        "Read the reason in the message; name another with `--home`.",
    ),
    "device_missing": ErrorCode(
        "The device that the model may compute on is not there, or PyTorch cannot use it.",
        "Change `device` or `cpu_fallback` in models.yaml.",
    ),
    "digest_mismatch": ErrorCode(
        "A downloaded file of a model was damaged, and deleted.", "Pull the model again."
    ),
    "embedding_changed": ErrorCode(
        "The index changed to another embedding model during the search.", "Search again."
    ),
    "fetch_failed": ErrorCode(
        "The web server answered with an error.", "Open the URL yourself, and try again later."
    ),
    "file_damaged": ErrorCode(
        "A file in which the service remembers something could not be read at a start.",
        "Nothing else is lost. Mend the file that is set aside and rename it, or delete it.",
    ),
    "host_not_found": ErrorCode("The host name cannot be resolved.", "Correct the URL."),
    "host_unreachable": ErrorCode(
        "The host does not answer, or broke off.", "Try again later, or correct the URL."
    ),
    "hub_forbidden": ErrorCode(
        "The Hugging Face Hub asks for consent to the model's terms.",
        "Give it on the model's page, and set `HF_TOKEN`.",
    ),
    "hub_unreachable": ErrorCode(
        "The Hugging Face Hub cannot be reached, or fails.",
        "Try again later; unset `HF_HUB_OFFLINE` to pull.",
    ),
    "index_save_failed": ErrorCode(
        "The search files of an index cannot be written; nothing is lost.",
        "Free disk space; the next save writes them.",
    ),
    "index_stale": ErrorCode(
        "The search worker has not seen all changes of the index, which is opened again.",
        "Search again.",
    ),
    "index_storage_failed": ErrorCode(
        "The database of the indexes cannot be read or written.",
        "Free disk space, or mend the data folder.",
    ),
    "index_storage_version": ErrorCode(
        "The database of the indexes was made by a newer version of Motet.",
        "Start that version, or use another data folder.",
    ),
    "index_worker_crash_loop": ErrorCode(
        "The search worker died several times within a minute.",
        "Read the log; searches start it again after a while.",
    ),
    "insufficient_memory": ErrorCode(
        "The model needs more memory than can be freed; `details` has the bytes.",
        "Take a smaller model, or unload what is in use.",
    ),
    "invalid_response": ErrorCode(
        "What answered a command is not Motet, or broke off.", "Check `MOTET_SERVER_URL`."
    ),
    "library_missing": ErrorCode(
        "A Python library that the model needs is not installed.", "Install what the message names."
    ),
    "load_failed": ErrorCode("Loading the model raised an error.", "Read the message and the log."),
    "model_connection_lost": ErrorCode(
        "The connection to the model's server broke while it worked.", "Try again."
    ),
    "model_crash_loop": ErrorCode(
        "The model's process died several times, so it is not loaded for a while.",
        "Read its last lines in the log, and mend its options.",
    ),
    "model_failed": ErrorCode(
        "The model's server failed at the request.", "Read the reason in `details.cause`."
    ),
    "model_forbidden": ErrorCode(
        "The model's server refuses the key.", "Check the variable that `api_key_env` names."
    ),
    "model_key_missing": ErrorCode(
        "The variable with the key of the model's server is not set.", "Set it."
    ),
    "model_missing": ErrorCode(
        "The model is declared, but its files are not on this machine or its server.",
        "Pull it with `motet models pull NAME`.",
    ),
    "model_starting": ErrorCode(
        "The server of the model runs and is still loading it.", "Try again in a moment."
    ),
    "model_unreadable": ErrorCode(
        "The model's files are damaged or of another kind.",
        "Pull it again, or correct its `source`.",
    ),
    "needs_language_model": ErrorCode(
        "The request needs a language model, and only the embedded reader is available; "
        "`details.state` says whether one is `starting`, `unreachable` or `unavailable`.",
        "Read which and why; without any, `motet models add` gets one.",
    ),
    "needs_vision_model": ErrorCode(
        "The request needs a chat model that sees images.",
        "Pull one, and name it or make it available to the role `vision`.",
    ),
    "not_ready": ErrorCode(
        "The service is stopping, or its disk takes no writes; `details.reasons` has each reason.",
        "Ask again later; free disk space where it is full.",
    ),
    "ollama_not_startable": ErrorCode(
        "Ollama does not run, and neither its program nor a container can be started.",
        "Install Ollama, or start it yourself.",
    ),
    "ollama_starting": ErrorCode("Motet is starting Ollama.", "Try again in a moment."),
    "ollama_unreachable": ErrorCode(
        "Ollama does not answer.", "Start it, or set `MOTET_OLLAMA_URL` to where it runs."
    ),
    "openai_unreachable": ErrorCode(
        "No server answers at the model's `base_url`.", "Start it, or correct `base_url`."
    ),
    "only_thinking": ErrorCode(
        "The model thought and ended without an answer.",
        "Try again, give it more tokens (`max_tokens`), or have it think less where it can.",
    ),
    "out_of_memory": ErrorCode(
        "The device ran out of memory during the request, also after others were unloaded.",
        "Ask for less at once, or take a smaller model.",
    ),
    "pictures_unavailable": ErrorCode(
        "The agent runs where no images can be read, such as in a notebook.",
        "Run it through the service.",
    ),
    "pull_failed": ErrorCode(
        "A model could not be downloaded.", "Read the message, and pull again: it goes on."
    ),
    "registry_forbidden": ErrorCode(
        "A registry does not give the model without an account.",
        "Take a public model, or get the file yourself and add it by its path.",
    ),
    "registry_unreachable": ErrorCode(
        "A registry of models cannot be reached, or fails.",
        "Check the network and the proxy, and pull again: it goes on.",
    ),
    "response_empty": ErrorCode(
        "The model ended without any result.", "Try again, or take another model."
    ),
    "response_incomplete": ErrorCode(
        "The model broke off its answer without an end.", "Try again, or take another model."
    ),
    "role_unavailable": ErrorCode(
        "No model of the role is available; `details.passed_over` has `model`, `why` and `state`.",
        "Make one available; `motet models profile` proposes models.",
    ),
    "run_storage_failed": ErrorCode(
        "The database of runs cannot be opened or written.",
        "Free disk space, or mend the data folder; runs under way continue by themselves.",
    ),
    "run_storage_version": ErrorCode(
        "The database of runs was made by a newer version of Motet.",
        "Start that version, or give another data folder.",
    ),
    "runtime_unavailable": ErrorCode(
        "`runtime: openvino` is declared and cannot be used.",
        "Install what the message names, or leave the option out.",
    ),
    "search_incomplete": ErrorCode(
        "A search could not look at all of an index; as a warning, `reason` says why.",
        "Read the message; ask again when the index is whole.",
    ),
    "server_died": ErrorCode(
        "The server of a model ended; the log has its last lines under `details.incident`.",
        "Mend what they say; the next request starts it again.",
    ),
    "server_start_failed": ErrorCode(
        "The server of a model cannot be started.", "Correct `serve:` in models.yaml."
    ),
    "service_not_running": ErrorCode(
        "The command needs a running service.", "Start one with `motet serve`."
    ),
    "service_start_failed": ErrorCode(
        "The service that a command started ended at once.", "Read what it printed."
    ),
    "service_unreachable": ErrorCode(
        "The command has no connection to the service, or lost it.",
        "See whether the service runs, and what its log says.",
    ),
    "shutting_down": ErrorCode("The service is stopping.", "Try again when it has started."),
    "storage_denied": ErrorCode(
        "The permissions of a file or folder of the service do not allow it.",
        "Give it to the user who runs the service; the log has its path.",
    ),
    "storage_failed": ErrorCode(
        "A file of the service cannot be read or written.",
        "Read the log, which has its path; mend the disk or the data folder.",
    ),
    "storage_full": ErrorCode(
        "No space is left for a file of the service, on the disk or in a quota.",
        "Free some space, and try again.",
    ),
    "storage_read_only": ErrorCode(
        "The disk of the data folder is mounted read-only.",
        "Mount it for writing, or choose another data folder.",
    ),
    "structured_output_invalid": ErrorCode(
        "The model did not answer in the form that the node asks for, also after repairs.",
        "Simplify the schema, or take a stronger model.",
    ),
    "too_many_turns": ErrorCode(
        "The model used up its turns with tools; as a warning, it is asked to answer without.",
        "Raise `max_steps` of the node, or take a model that is better with tools.",
    ),
    "tool_cut_off": ErrorCode(
        "A tool that must not run twice was interrupted, so its effect is not known.",
        "Check the effect, then start a new run.",
    ),
    "tool_failed": ErrorCode(
        "The code of a tool raised an exception.", "Mend the tool; the message holds the exception."
    ),
    "unsafe_weights": ErrorCode(
        "The weights of a model are pickles, which can run code when they are read.",
        "Take one with safetensors, or set `allow_pickles: true` for its back end in models.yaml.",
    ),
    "worker_died": ErrorCode(
        "A worker process ended; the log has its last lines under `details.incident`.",
        "Try again; a new worker is started.",
    ),
    "worker_failed": ErrorCode(
        "A worker process failed at the request.", "Read the message and the log."
    ),
    "worker_start_failed": ErrorCode(
        "A worker process cannot be started.",
        "Read its last lines in the log, under `details.incident`.",
    ),
    "worker_stopped": ErrorCode("The worker process was stopped while it worked.", "Try again."),
}
