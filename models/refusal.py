"""What an answer says when the documents do not hold it."""

REFUSAL = "The documents do not say."
LANGUAGE_MODEL_COMMAND = "motet models add qwen3-1.7b"
HOW_TO_GET_LANGUAGE_MODEL = (
    f"`{LANGUAGE_MODEL_COMMAND}` gets one, and `motet models add` lists others; or declare an "
    "OpenAI-compatible server in models.yaml."
)
"""What the reader says, and who else refuses for want of a language model."""
