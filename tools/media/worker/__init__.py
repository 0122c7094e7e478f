"""The workers' side: parses and makes files of pictures (Pillow) and sound (libsndfile).

Nothing of this package is imported by the server.
"""

from tools.media.worker.handlers import PictureHandler, SoundHandler

__all__ = ["PictureHandler", "SoundHandler"]
