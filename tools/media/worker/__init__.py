"""The workers' side: parses and makes files of pictures (Pillow) and sound (libsndfile)."""

from tools.media.worker.handlers import PictureHandler, SoundHandler

__all__ = ["PictureHandler", "SoundHandler"]
