"""What an answer says when the documents do not hold it."""

REFUSAL = "The documents do not say."
