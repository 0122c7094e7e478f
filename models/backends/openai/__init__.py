"""Models of any server that speaks OpenAI's protocol."""
