"""What models are asked where the caller leaves it to them."""

DESCRIBE = "Describe this picture in one or two sentences. Answer with the description alone."
