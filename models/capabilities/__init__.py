"""What a leased model can do: small protocols, one module for each task.

A stream is an async generator: close it (`contextlib.aclosing`) to give the work up early, and the
model stops at its next good place. Every method raises `Unavailable` ("worker_died", ...) when the
model is gone, `Unavailable` ("out_of_memory") when its device has no room for the request, and
`Invalid` for a request that the model cannot do.
"""

from models.capabilities.caption import Caption, CaptionRequest
from models.capabilities.chat import Chat, TokenCounter
from models.capabilities.embed import FLOAT_BYTES, Embed, Embedded, Parts, Vectors
from models.capabilities.image import Image, ImageAbilities, ImageRequest, ImageStep, Picture
from models.capabilities.rerank import Rerank
from models.capabilities.speech import Sound, Speech, SpeechRequest, Voice
from models.capabilities.transcribe import Segment, Transcribe, TranscribeRequest

__all__ = [
    "FLOAT_BYTES",
    "Caption",
    "CaptionRequest",
    "Chat",
    "Embed",
    "Embedded",
    "Image",
    "ImageAbilities",
    "ImageRequest",
    "ImageStep",
    "Parts",
    "Picture",
    "Rerank",
    "Segment",
    "Sound",
    "Speech",
    "SpeechRequest",
    "TokenCounter",
    "Transcribe",
    "TranscribeRequest",
    "Vectors",
    "Voice",
]
