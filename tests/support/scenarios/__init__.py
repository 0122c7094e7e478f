"""A small machine whose models are real worker processes that take real memory and talk.

`stage` is what a test holds; `machine` counts memory; `backend` is the driver, in this process;
`handlers` what runs in its workers."""
