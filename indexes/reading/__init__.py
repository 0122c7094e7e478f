"""Reading: from bytes to text with structure, cut into passages, in a worker of its own."""
