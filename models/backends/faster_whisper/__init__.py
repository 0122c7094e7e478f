"""Whisper models in the format of CTranslate2, by faster-whisper."""
