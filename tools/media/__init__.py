"""Files of pictures and sound, which may come from anywhere: read, checked, made and changed.

`media.Media` is what a server uses; `worker` is its processes' side, where alone the files are
parsed. `kinds` tells files by how they begin, `sounds` has the types of sound.
"""

from tools.media.kinds import kind_of
from tools.media.media import Media, TenantMedia
from tools.media.pictures import PictureFacts, PreparedPicture
from tools.media.sounds import (
    MEDIA_TYPES,
    Chapter,
    EncodedSound,
    ListenedSound,
    SoundFacts,
    SoundFormat,
)

__all__ = [
    "MEDIA_TYPES",
    "Chapter",
    "EncodedSound",
    "ListenedSound",
    "Media",
    "PictureFacts",
    "PreparedPicture",
    "SoundFacts",
    "SoundFormat",
    "TenantMedia",
    "kind_of",
]
