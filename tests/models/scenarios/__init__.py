"""What may happen to models, with the real manager, real processes and memory that is measured.

The models of `tests.support.scenarios` are worker processes that take so many megabytes and talk,
on a machine of 500 MB that counts what they and other programs really take; Ollama is the server
of `tests.support.ollama`, asked over HTTP by its real driver. No test may leave a process behind.

| scenario | test |
| --- | --- |
| another program takes memory after a load | test_memory: memory_that_another_program_took_..., pressure_of_another_program_..., what_another_program_left_no_room_for_... |
| pressure caused by others evicts nothing useless, and nothing in use | test_memory: pressure_that_no_unload_would_cure_..., pressure_never_takes_... |
| a model that can never fit is refused at once with the numbers | test_memory: what_can_never_fit_... |
| a set is evicted in one decision | test_memory: a_set_that_has_to_go_... |
| a small load passes a blocked big one | test_memory: a_small_load_passes_... |
| a wrong estimate, and memory that grows, are measured | test_memory: what_a_model_really_takes_..., what_a_model_takes_more_with_time_... |
| unload while streaming never cuts a stream | test_requests: unloading_a_model_..., test_ollama: unloading_never_cuts_..., test_server: unloading_lets_a_stream_end |
| 50 first requests at once make one load; so do 50 that leave | test_requests: fifty_..., test_ollama: fifty_first_requests_... |
| a request arrives during an idle unload | test_requests: a_request_that_arrives_..., test_ollama: a_request_during_an_unload_... |
| a client that disconnects frees its place | test_requests, test_ollama, test_server: a_client_that_leaves_... |
| workers are killed at random under many requests | test_requests: a_storm_of_... |
| the service ends while a worker loads | test_requests: closing_while_... |
| a worker is killed while streaming, loading, idle; crashes again and again; hangs | test_workers: a_worker_killed_while_..., a_crash_of_its_library_..., a_worker_that_dies_whenever_..., a_worker_that_hangs_... |
| a load that fails three times backs off and leaks no process | test_workers: a_load_that_fails_three_times_... |
| the late exit of an old worker harms no new one | test_workers: the_late_exit_..., test_ollama: news_of_a_crash_that_come_late_... |
| out of memory, by exception and by text: others go, one more try, a clear end | test_workers: work_that_runs_out_of_memory_..., a_load_that_runs_out_of_memory_..., test_ollama: a_load_that_ollama_has_no_memory_for_..., an_answer_that_ran_out_of_memory_... |
| Ollama is down at the start, dies while it loads, in mid-stream or idle, comes back | test_ollama: ollama_that_... |
| Ollama's /api/ps is stale after a crash | test_ollama: a_crashed_runner_that_ollama_still_lists_... |
| Ollama's queue is full (503) | test_ollama: a_load_waits_while_the_queue_... |
| two names for one blob are counted once | test_ollama: two_names_of_the_same_weights_... |
| a change of num_ctx does not thrash | test_ollama: two_contexts_of_the_same_weights_... |
| Ollama and workers make room for each other | test_ollama: ollama_makes_room_for_a_worker_... |
| a pull is interrupted and resumed | tests/models/pulls/test_hub.py: a_pull_broken_off_goes_on_where_it_was; test_pulls.py: a_restart_knows_what_was_interrupted_and_goes_on |
| a digest that does not match is deleted | tests/models/pulls/test_hub.py: one_that_never_matches_is_deleted_and_told |
"""  # noqa: E501
