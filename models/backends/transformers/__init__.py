"""Models of Hugging Face's library: text, pictures into text, speech into text."""
