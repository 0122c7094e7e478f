"""Servers that Motet starts and ends: a command or a container, for a model or for Ollama."""
