"""Reading: from bytes to text with structure, cut into passages, in a worker of its own.

reader      the server's end: starts the worker, bounds its time, translates its failures
worker      the worker's end
documents   chooses a document's reader among `indexes.formats`, and cleans what it returns
content     what reading yields: text and blocks
source      the bytes, and how they become text; encodings guesses how
chunks      cuts a document into passages
"""
