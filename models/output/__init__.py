"""What a model writes, read while it streams: what is thinking, what calls a tool, what answers.

- `thinking`: thinking between tags. `harmony`: the channels of gpt-oss, written as such tags.
- `call_filter`: keeps back, of a streaming text, what may be calls of tools. `call_candidates`:
  where such a piece ends. `call_parsing`: the calls in it. `values`: values in brackets, be they
  JSON or nearly so.
- `repetition`: text that goes round in circles.
- `answer_reader`: all of these together, over LangChain's chunks; `plain`: over a whole text.
  `messages`: what is noted on a message.

Pure. What becomes of thinking, calls and cut answers is decided by those who ask a model.
"""
