"""coqui-tts: VITS, XTTS and whatever else its library speaks with, in a worker."""
