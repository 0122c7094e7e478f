"""The rings of tests, and which of them are slow: tables, so that no test file has to say it.

- `pure`: decides in memory. No process, no connection, no database: `RingGuard` sees to it.
- `component`: real parts of one package in this process, with files, workers and fake servers.
- `acceptance`: a real server process, or a notebook, as its users meet them.
- `real_models`: language models that people use; their files are gotten apart.

`slow` are modules that together cost some seconds of a core, and single tests that cost one. `make
test-fast` leaves them out, and the acceptance ring with them, so that it stays short:
`pytest --durations=30 -m "not slow and not acceptance"` shows what has grown too large for it.
"""

from __future__ import annotations

from typing import Any

REAL_MODELS = "tests/real_models/"
ACCEPTANCE = ("tests/acceptance/", "tests/test_notebooks.py")

PURE = (
    "tests/benchmarks/",
    "tests/config/",
    "tests/graphs/chat/test_context_window.py",
    "tests/graphs/compile/",
    "tests/graphs/drawing/",
    "tests/graphs/grounding/",
    "tests/graphs/nodes/",
    "tests/graphs/spec/",
    "tests/graphs/templates/",
    "tests/graphs/test_catalog.py",
    "tests/graphs/test_files.py",
    "tests/graphs/test_library.py",
    "tests/indexes/crawls/test_decisions.py",
    "tests/indexes/formats/test_code.py",
    "tests/indexes/formats/test_docx.py",
    "tests/indexes/formats/test_epub.py",
    "tests/indexes/formats/test_image.py",
    "tests/indexes/formats/test_jsons.py",
    "tests/indexes/formats/test_mail.py",
    "tests/indexes/formats/test_pdf.py",
    "tests/indexes/formats/test_pptx.py",
    "tests/indexes/formats/test_sheets.py",
    "tests/indexes/formats/test_spans.py",
    "tests/indexes/formats/test_table.py",
    "tests/indexes/quality/",
    "tests/indexes/reading/test_chunks.py",
    "tests/indexes/reading/test_documents.py",
    "tests/indexes/retrieval/test_excerpts.py",
    "tests/indexes/retrieval/test_smoothing.py",
    "tests/indexes/test_spec.py",
    "tests/models/backends/test_gguf.py",
    "tests/models/backends/test_llamacpp_errors.py",
    "tests/models/backends/test_llamacpp_needs.py",
    "tests/models/additions/test_candidate.py",
    "tests/models/backends/test_overflow.py",
    "tests/models/backends/test_sampling_words.py",
    "tests/models/catalog/",
    "tests/models/output/",
    "tests/models/scheduling/",
    "tests/models/test_estimates_file.py",
    "tests/models/test_events.py",
    "tests/models/text/",
    "tests/runs/parts/test_chunks.py",
    "tests/runs/parts/test_spine.py",
    "tests/runs/test_answers.py",
    "tests/runs/test_failures.py",
    "tests/runs/test_record.py",
    "tests/runs/test_stream_translator.py",
    "tests/server/http/",
    "tests/test_conventions.py",
    "tests/test_error_codes.py",
    "tests/tools/json_schema/",
    "tests/tools/media/test_kinds.py",
    "tests/tools/test_artifacts.py",
    "tests/tools/test_calculate.py",
    "tests/tools/test_clock.py",
    "tests/tools/test_model_arguments.py",
    "tests/tools/test_registry.py",
    "tests/tools/test_spec.py",
    "tests/tools/test_user_tools.py",
)
SLOW = (
    "tests/config/test_json_values.py",
    "tests/graphs/compile/test_flow.py",
    "tests/graphs/templates/test_work.py",
    "tests/graphs/test_catalog.py",
    "tests/graphs/test_components.py",
    "tests/graphs/test_library",
    "tests/graphs/test_outside.py",
    "tests/indexes/crawls/test_crawls.py",
    "tests/indexes/derived/test_hybrid_index.py::test_keyword_scores",
    "tests/indexes/formats/test_hostile_documents.py",
    "tests/indexes/formats/test_hostile_text.py",
    "tests/indexes/formats/test_spans.py",
    "tests/indexes/ingestion/",
    "tests/indexes/reading/test_documents.py::test_hostile_nesting",
    "tests/indexes/reading/test_reader.py",
    "tests/indexes/retrieval/test_search.py::test_filter_matching_one_percent",
    "tests/indexes/storage/test_scrub.py",
    "tests/indexes/storage/test_snapshot.py",
    "tests/indexes/test_completeness.py",
    "tests/indexes/test_full_disk.py",
    "tests/indexes/test_kills.py",
    "tests/indexes/test_minilm.py",
    "tests/indexes/test_operations.py",
    "tests/indexes/test_recovery.py",
    "tests/models/additions/test_additions.py",
    "tests/models/backends/test_chat_contract.py",
    "tests/models/backends/test_coqui.py",
    "tests/models/backends/test_cross_encoder.py",
    "tests/models/backends/test_describer.py",
    "tests/models/backends/test_diffusers",
    "tests/models/backends/test_espeak.py",
    "tests/models/backends/test_llamacpp.py",
    "tests/models/backends/test_faster_whisper.py",
    "tests/models/backends/test_minilm",
    "tests/models/backends/test_ollama",
    "tests/models/backends/test_openai",
    "tests/models/backends/test_remote_contracts.py",
    "tests/models/backends/test_round_trip.py",
    "tests/models/backends/test_sentence_transformers.py",
    "tests/models/backends/test_storyteller.py",
    "tests/models/backends/test_transformers",
    "tests/models/backends/test_transports.py",
    "tests/models/devices/test_detect.py",
    "tests/models/pulls/",
    "tests/models/scenarios/",
    "tests/models/scheduling/test_invariants.py",
    "tests/models/scheduling/test_simulator.py",
    "tests/models/servers/",
    "tests/models/workers/",
    "tests/runs/test_agent_versions.py",
    "tests/runs/test_broken_runs.py",
    "tests/runs/test_cancelling.py",
    "tests/runs/test_engine.py",
    "tests/runs/test_going_on.py",
    "tests/runs/test_poison.py",
    "tests/runs/test_recovery",
    "tests/runs/test_retention.py",
    "tests/runs/test_schema_kills.py",
    "tests/runs/test_siblings.py",
    "tests/runs/test_state_edits",
    "tests/runs/test_tenants.py",
    "tests/runs/test_threads.py",
    "tests/runs/test_unstorable.py",
    "tests/runs/test_user_code.py",
    "tests/server/cli/test_check.py",
    "tests/server/cli/test_ingest.py",
    "tests/server/cli/test_run.py",
    "tests/server/test_tenants.py",
    "tests/support/test_replay.py",
    "tests/test_contributing.py",
    "tests/test_conventions.py",
    "tests/test_docs.py",
    "tests/tools/json_schema/test_keywords.py",
    "tests/tools/media/test_hostile_",
    "tests/tools/test_calculate.py",
    "tests/tools/test_web.py::test_broken_html",
)
"""By the beginning of the node id: whole modules, or single tests of quick ones."""

LONGEST = (
    "tests/acceptance/test_cli.py",
    "tests/models/backends/test_diffusers.py",
    "tests/runs/test_recovery_yaml.py",
    "tests/indexes/test_operations.py",
    "tests/indexes/test_kills.py",
    "tests/acceptance/test_damaged_files.py",
    "tests/acceptance/test_data_folder.py",
    "tests/acceptance/test_kills.py",
    "tests/models/backends/test_transformers_chat.py",
    "tests/models/backends/test_llamacpp.py",
    "tests/models/scheduling/test_invariants.py",
    "tests/tools/json_schema/test_keywords.py",
    "tests/models/backends/test_sentence_transformers.py",
    "tests/acceptance/test_media.py",
    "tests/models/backends/test_chat_contract.py",
    "tests/models/backends/test_coqui.py",
    "tests/indexes/formats/test_hostile_text.py",
    "tests/acceptance/test_server_process.py",
    "tests/test_notebooks.py",
    "tests/test_contributing.py",
    "tests/acceptance/test_load.py",
    "tests/acceptance/test_pulls.py",
    "tests/acceptance/test_logs.py",
    "tests/acceptance/test_hostile.py",
    "tests/acceptance/test_worker_crash.py",
    "tests/acceptance/test_crash.py",
)
"""Modules that take longest begin first, lest one of them runs alone at the end."""

FORBIDDEN = frozenset({"os.fork", "socket.connect", "sqlite3.connect", "subprocess.Popen"})
"""Audit events that a pure test must not raise."""


def ring_of(test: str) -> str:
    """Return the ring of a test by its node id."""
    if test.startswith(REAL_MODELS):
        return "real_models"
    if test.startswith(ACCEPTANCE):
        return "acceptance"
    return "pure" if test.startswith(PURE) else "component"


def start_order(test: str) -> int:
    """Return a number that is the smaller the earlier the test should begin."""
    module = test.partition("::")[0]
    return LONGEST.index(module) if module in LONGEST else len(LONGEST)


def is_slow(test: str) -> bool:
    return test.startswith(SLOW)


class RingGuard:
    """An audit hook that fails the pure test which starts a process or opens a connection."""

    def __init__(self) -> None:
        self.test = ""
        """The pure test under way, or nothing."""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.test and event in FORBIDDEN:
            raise RuntimeError(f"{self.test} is a pure test, but does this: {event}{arguments}")
