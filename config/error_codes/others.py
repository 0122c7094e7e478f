"""Codes of the smaller families: not found, conflict, busy, timed out, cancelled, internal."""

from __future__ import annotations

from collections.abc import Mapping

from config.error_codes.kinds import ErrorCode

NOT_FOUND: Mapping[str, ErrorCode] = {
    "agent_not_found": ErrorCode(
        "There is no agent of this name.", "Take a name from `GET /agents`."
    ),
    "agent_version_not_found": ErrorCode(
        "Neither the agent's file is that version, nor was its source saved.",
        "Take a version from `motet agents versions NAME`, or start the run anew.",
    ),
    "artifact_not_found": ErrorCode(
        "The tenant has no artifact of this id.",
        "Upload the file, or take an id of a run's output.",
    ),
    "checkpoint_not_found": ErrorCode(
        "The thread has no checkpoint of this id.",
        "Take an id from `GET /threads/{thread_id}/history`.",
    ),
    "document_not_found": ErrorCode(
        "The index holds no such document.", "Take an id from `GET /indexes/{name}/documents`."
    ),
    "file_not_found": ErrorCode(
        "A command names a file or folder that does not exist here.", "Correct the path."
    ),
    "index_not_found": ErrorCode(
        "There is no index of this name.", "Create it, or take a name from `GET /indexes`."
    ),
    "ingest_not_found": ErrorCode(
        "The index has no ingest of this id.", "Take an id from `GET /indexes/{name}/ingests`."
    ),
    "model_not_found": ErrorCode(
        "There is no model or role of this name, here or where models are pulled from.",
        "Take a name from `GET /models`, or declare the model in models.yaml.",
    ),
    "model_not_loaded": ErrorCode(
        "The model to unload is not loaded.", "Nothing needs to be done."
    ),
    "page_not_found": ErrorCode(
        "The web server answers that the page does not exist.", "Correct the URL."
    ),
    "passage_not_found": ErrorCode(
        "The index holds no such passage.", "Search again: a changed document has new passages."
    ),
    "pull_not_found": ErrorCode(
        "No pull of this name was started since the service runs.",
        "Start it with `POST /models/pull`.",
    ),
    "route_not_found": ErrorCode(
        "The service has no such address.", "Compare the path with `/openapi.json`."
    ),
    "run_not_found": ErrorCode("The tenant has no run of this id.", "Take an id from `GET /runs`."),
    "thread_not_found": ErrorCode(
        "The tenant has no thread of this id.",
        'Create it with `POST /threads`, or send `"if_not_exists": "create"`.',
    ),
    "tool_not_found": ErrorCode("There is no tool of this name.", "Take a name from `GET /tools`."),
}

CONFLICT: Mapping[str, ErrorCode] = {
    "agent_exists": ErrorCode(
        "An agent of this name exists already.", "Replace it with `PUT /agents/{name}`."
    ),
    "agent_in_use": ErrorCode(
        "Other agents call the agent that is to be deleted.", "Change or delete those first."
    ),
    "agent_read_only": ErrorCode(
        "The agent is shipped or written in Python, so the API cannot change it.",
        "Edit its Python file, or save an agent of your own under this name.",
    ),
    "data_folder_in_use": ErrorCode(
        "Another process of Motet uses the data folder.",
        "Talk to that process, stop it, or choose another folder with `--home`.",
    ),
    "idempotency_key_reused": ErrorCode(
        "The `Idempotency-Key` came with another request before.",
        "Use a new key for each different request.",
    ),
    "index_exists": ErrorCode(
        "An index of this name exists already.", "Choose another name, or delete the index."
    ),
    "model_exists": ErrorCode(
        "A model of this name is declared already, with another source.",
        "Give another name, or remove that model.",
    ),
    "model_read_only": ErrorCode(
        "The model is not of your own models.yaml, so it is not removed from there.",
        "Declare a model of this name in your models.yaml to change it.",
    ),
    "models_file_not_editable": ErrorCode(
        "The service cannot change models.yaml without changing what else it says.",
        "Change it by hand.",
    ),
    "run_ended": ErrorCode("The run has ended, so it cannot be cancelled.", "Read its result."),
    "run_not_ended": ErrorCode(
        "The run has not ended, and what was asked for needs its end.",
        "Wait for its end, or cancel it.",
    ),
    "run_not_held": ErrorCode(
        "The run is not held, so it cannot be taken up.", "Look at its status before resuming it."
    ),
    "run_not_waiting": ErrorCode(
        "The run does not wait for an answer.", "Look at its status before resuming it."
    ),
    "run_superseded": ErrorCode(
        "Another run begins on the thread in this one's place, or the thread was taken back to "
        "another checkpoint.",
        "Follow the other run, or go on with one without input.",
    ),
    "thread_busy": ErrorCode(
        "A run is under way on the thread.",
        "Wait for it, cancel it, or choose another `multitask_strategy`.",
    ),
    "thread_exists": ErrorCode(
        "A thread of this id exists already.", 'Send `"if_exists": "do_nothing"` to take it.'
    ),
    "thread_names_run": ErrorCode(
        "The id of the new thread is that of a run.", "Choose another UUID, or let one be chosen."
    ),
    "thread_of_other_agent": ErrorCode(
        "The thread belongs to another agent.", "Use a thread for each agent."
    ),
    "thread_without_agent": ErrorCode(
        "The thread has no state yet, because no agent ran on it.", "Run an agent on it first."
    ),
    "tool_name_taken": ErrorCode(
        "Two tools have the same name.", "Rename the one in your tools folder."
    ),
    "webhook_missing": ErrorCode(
        "The run was given no webhook, so none can be sent again.",
        "Give `webhook` with the request that starts a run.",
    ),
}

BUSY: Mapping[str, ErrorCode] = {
    "artifact_storage_full": ErrorCode(
        "The tenant's artifacts use all the room they may.", "Delete artifacts, then try again."
    ),
    "index_reembedding": ErrorCode(
        "The index is being embedded by another model.",
        "Export it when that has ended; `GET /indexes/{name}` says how far it is.",
    ),
    "model_busy": ErrorCode(
        "The server of the model takes no more requests now.", "Try again after `Retry-After`."
    ),
    "queue_full": ErrorCode(
        "As many requests wait for the model or index as may.", "Try again after `Retry-After`."
    ),
    "quota_exceeded": ErrorCode(
        "This caller has as many runs, agents, indexes, ingests or media calls as one may.",
        "Wait for some to end, or delete some; or raise the setting that `details.setting` names.",
    ),
    "stream_overrun": ErrorCode(
        "A model's stream was dropped because its reader fell far behind.",
        "Read the stream as it comes.",
    ),
    "too_many_runs": ErrorCode(
        "As many runs are under way or wait as the service accepts.",
        "Try again later, or raise `MOTET_MAX_QUEUED_RUNS`.",
    ),
    "user_code_busy": ErrorCode(
        "No thread is free for a function of a tool or Python graph of one's own.",
        "Let the function end sooner; the message says what holds its threads.",
    ),
}

TIMED_OUT: Mapping[str, ErrorCode] = {
    "body_timed_out": ErrorCode(
        "The client stopped sending the body of its request.", "Send the request again."
    ),
    "fetch_timed_out": ErrorCode("A web server did not send the page in time.", "Try again later."),
    "lease_timed_out": ErrorCode(
        "The model was not free within the wait that was asked for.",
        "Try again, or wait longer (`wait_s`).",
    ),
    "load_timed_out": ErrorCode(
        "Loading the model took longer than it may.",
        "Try again: files read once are read faster; else take a smaller model.",
    ),
    "model_timed_out": ErrorCode(
        "The model was silent for longer than its option `timeout_s`.",
        "Raise `timeout_s` in models.yaml, or ask for less.",
    ),
    "node_timed_out": ErrorCode(
        "A node took longer than its `timeout_s`.", "Raise it in the agent's file."
    ),
    "server_start_timed_out": ErrorCode(
        "The server of a model was not ready within `start_timeout_s`.",
        "Raise it in models.yaml; the log has the server's last lines under `details.incident`.",
    ),
    "tool_timed_out": ErrorCode(
        "A tool took longer than it may.", "Give the tool more time, or ask it for less."
    ),
    "unload_timed_out": ErrorCode(
        "The model is still in use after the wait that was asked for; it is unloaded afterwards.",
        "Look at `GET /models/{name}` later.",
    ),
    "worker_start_timed_out": ErrorCode(
        "A worker process was not ready in time.", "Try again; the machine may be busy."
    ),
    "worker_timed_out": ErrorCode(
        "A worker process did not answer in time.", "Try again, or ask for less at once."
    ),
}

CANCELLED: Mapping[str, ErrorCode] = {
    "cancelled": ErrorCode(
        "The work was cancelled; `details.reason` may say by whom.", "Start it again if needed."
    ),
}

INTERNAL: Mapping[str, ErrorCode] = {
    "internal_error": ErrorCode(
        "The service has a fault.", "Look into its log, and report the fault."
    ),
    "step_failed": ErrorCode(
        "The code of a node raised an exception that is not one of Motet's errors.",
        "Mend the node; the message holds the exception.",
    ),
    "too_many_crashes": ErrorCode(
        "The process ended during several attempts in a row at this run, each without progress.",
        "Find in the log what ended the process, mend it, and run the agent again.",
    ),
}
