"""espeak-ng: the embedded voice. It makes sounds from formants: intelligible, and robotic."""
