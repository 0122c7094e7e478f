from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image as Pillow

from config.errors import Invalid, MotetError, Unavailable
from config.settings import load_settings
from models.backends.common.wav import read_wav, wav_file
from models.backends.openai.driver import OpenAIDriver
from models.capabilities import (
    Image,
    ImageRequest,
    Picture,
    Speech,
    SpeechRequest,
    Transcribe,
    TranscribeRequest,
)
from models.catalog.spec import ModelSpec
from models.driver import DriverContext
from models.lease import ModelSource
from models.scheduling.requirement import MemoryRequirement
from tests.models.backends.contracts.image import ImageContract
from tests.models.backends.contracts.speech import SpeechContract
from tests.models.backends.contracts.transcribe import TranscribeContract
from tests.support.openai import RATE, OpenAIDouble, png


@pytest.fixture
def double() -> Iterator[OpenAIDouble]:
    double = OpenAIDouble()
    double.start()
    yield double
    double.stop()


class Loaded:
    """Capabilities of the double's model, unloaded at the end."""

    def __init__(self, driver: OpenAIDriver, url: str) -> None:
        self.driver, self.url = driver, url
        self.models: list[Any] = []

    async def get(self, task: str, **options: Any) -> Any:
        fields = {"name": "mine", "task": task, "backend": "openai", "source": "maker"}
        given = {"base_url": f"{self.url}/v1", **options}
        spec = ModelSpec.model_validate({**fields, "options": given})
        self.models.append(await self.driver.load(spec, MemoryRequirement(), lambda news: None))
        return self.models[-1].capability


@pytest.fixture
async def loaded(double: OpenAIDouble, tmp_path: Path) -> AsyncIterator[Loaded]:
    context = DriverContext(load_settings(home=tmp_path), {}, cast(ModelSource, None))
    driver = OpenAIDriver(context)
    loaded = Loaded(driver, double.url)
    yield loaded
    for model in loaded.models:
        await model.unload()
    await driver.close()


class TestImage(ImageContract):
    tells_steps = False
    keeps_seeds = False

    @pytest.fixture
    async def painter(self, loaded: Loaded) -> Image:
        return cast(Image, await loaded.get("image", width=64, height=64, sends=["steps", "seed"]))


class TestSpeech(SpeechContract):
    @pytest.fixture
    async def speaker(self, loaded: Loaded) -> Speech:
        return cast(Speech, await loaded.get("speech", voices=["alloy", "nova"]))


class TestTranscribe(TranscribeContract):
    @pytest.fixture
    async def listener(self, double: OpenAIDouble, loaded: Loaded) -> Transcribe:
        double.segments = [(0.0, 1.5, "Hello."), (1.5, 3.0, "Bye.")]
        return cast(Transcribe, await loaded.get("transcribe"))


async def test_pictures_are_drawn_in_the_size_asked_for(
    double: OpenAIDouble, loaded: Loaded
) -> None:
    image = await loaded.get("image", sends=["seed", "steps"])
    request = ImageRequest("a red circle", width=64, height=32, count=2, seed=7, steps=4)
    made = [each async for each in image.draw(request)]
    assert [(each.width, each.height, each.seed) for each in made] == [(64, 32, 7), (64, 32, 8)]
    path, body = double.asked[0]
    assert path == "/v1/images/generations"
    assert (body["prompt"], body["n"], body["size"]) == ("a red circle", 2, "64x32")
    assert (body["seed"], body["steps"], body["response_format"]) == (7, 4, "b64_json")


async def test_extra_fields_go_to_every_task(double: OpenAIDouble, loaded: Loaded) -> None:
    extra = {"user": "me"}
    image, speech, transcribe = [
        await loaded.get(task, extra=extra) for task in ("image", "speech", "transcribe")
    ]

    assert [each async for each in image.draw(ImageRequest("a circle"))]
    assert [each async for each in speech.speak(SpeechRequest("Hello."))]
    for translate in (False, True):
        request = TranscribeRequest(bytes(2 * RATE), translate=translate)
        [each async for each in transcribe.transcribe(request)]

    assert [body["user"] for _, body in double.asked] == ["me"] * 4


async def test_what_the_server_does_not_understand_is_refused_by_its_field(
    double: OpenAIDouble, loaded: Loaded
) -> None:
    image = await loaded.get("image", edits=False)
    for field, request in {
        "negative_prompt": ImageRequest("x", negative_prompt="y"),
        "scheduler": ImageRequest("x", scheduler="ddim"),
        "image": ImageRequest("x", image=png(8, 8)),
        "count": ImageRequest("x", count=99),
    }.items():
        with pytest.raises(Invalid) as caught:
            [each async for each in image.draw(request)]
        assert caught.value.details["field"] == field
    assert double.asked == []


async def test_an_edit_sends_the_picture_and_a_mask_that_is_transparent_where_ours_is_white(
    double: OpenAIDouble, loaded: Loaded
) -> None:
    drawn = Pillow.new("L", (8, 8), 0)
    drawn.paste(255, (0, 0, 4, 8))
    mask = BytesIO()
    drawn.save(mask, "PNG")
    image = await loaded.get("image", width=16, height=16)
    request = ImageRequest("x", image=png(8, 8), mask=mask.getvalue())
    (made,) = [each async for each in image.draw(request)]
    assert isinstance(made, Picture)
    path, body = double.asked[0]
    assert path == "/v1/images/edits"
    assert body["image"] == png(8, 8)
    sent = Pillow.open(BytesIO(body["mask"])).convert("RGBA")
    alpha = [cast(tuple[int, ...], sent.getpixel(place))[3] for place in ((0, 0), (7, 7))]
    assert alpha == [0, 255]


async def test_a_picture_that_is_no_png_is_an_error(double: OpenAIDouble, loaded: Loaded) -> None:
    double.picture = b"GIF89a"
    image = await loaded.get("image")
    with pytest.raises(Unavailable, match="not PNG"):
        [each async for each in image.draw(ImageRequest("x"))]


FAILURES = [
    (500, "CUDA out of memory. Tried to allocate 2 GiB", "out_of_memory"),
    (400, "your prompt is not allowed", "model_refused"),
    (429, "slow down", "model_busy"),
    (500, "broken", "model_failed"),
    (500, "input (12004 tokens) is too large to process", "context_overflow"),
    (400, "Failed to load image or audio file", "unreadable_image"),
]


@pytest.mark.parametrize(("status", "message", "code"), FAILURES)
async def test_failures_come_in_our_families(
    double: OpenAIDouble, loaded: Loaded, status: int, message: str, code: str
) -> None:
    double.failure = status, message
    image = await loaded.get("image")
    with pytest.raises(MotetError) as caught:
        [each async for each in image.draw(ImageRequest("x"))]
    assert caught.value.code == code


@pytest.mark.parametrize("form", ["wav", "pcm"])
async def test_each_sentence_is_asked_for_and_heard_by_itself(
    double: OpenAIDouble, loaded: Loaded, form: str
) -> None:
    speech = await loaded.get("speech", voice="nova", format=form)
    sounds = [each async for each in speech.speak(SpeechRequest("Hello there. How are you?"))]
    assert [each.text for each in sounds] == ["Hello there.", "How are you?"]
    assert [(each.rate, len(each.samples)) for each in sounds] == [(RATE, 2400), (RATE, 2400)]
    assert [body["voice"] for _, body in double.asked] == ["nova", "nova"]


async def test_a_voice_it_has_not_is_named_with_the_nearest(loaded: Loaded) -> None:
    speech = await loaded.get("speech", voices=["alloy", "nova"])
    assert [voice.id for voice in speech.voices] == ["alloy", "nova"]
    with pytest.raises(Invalid, match="Did you mean 'nova'") as caught:
        [each async for each in speech.speak(SpeechRequest("Hi.", voice="novo"))]
    assert caught.value.details["field"] == "voice"
    with pytest.raises(Invalid, match="clone"):
        [each async for each in speech.speak(SpeechRequest("Hi.", reference=b"RIFF"))]


async def test_what_is_heard_comes_in_segments_with_their_times(
    double: OpenAIDouble, loaded: Loaded
) -> None:
    double.segments = [(0.0, 1.5, "Hello."), (1.5, 3.0, "Bye.")]
    ears = await loaded.get("transcribe")
    samples = b"\1\0" * 16_000 * 3
    request = TranscribeRequest(samples, language="en-GB")
    heard = [(each.start_s, each.end_s, each.text) async for each in ears.transcribe(request)]
    assert heard == double.segments
    path, body = double.asked[0]
    assert (path, body["language"]) == ("/v1/audio/transcriptions", "en")
    sent = read_wav(body["file"])
    assert sent is not None
    assert (sent.rate, sent.samples) == (16_000, samples)


async def test_a_model_without_times_gives_one_segment_of_the_whole(
    double: OpenAIDouble, loaded: Loaded
) -> None:
    double.segments, double.tells_times = [(0.0, 1.0, "Hello.")], False
    ears = await loaded.get("transcribe", segments=False)
    request = TranscribeRequest(b"\1\0" * 16_000 * 2, translate=True)
    heard = [(each.start_s, each.end_s, each.text) async for each in ears.transcribe(request)]
    assert heard == [(0.0, 2.0, "Hello.")]
    assert double.asked[0][0] == "/v1/audio/translations"


def test_a_streamed_wav_that_does_not_know_its_length_is_read_to_the_end() -> None:
    whole = bytearray(wav_file(b"\1\0" * 50, 8000))
    whole[40:44] = b"\xff\xff\xff\xff"
    read = read_wav(bytes(whole))
    assert read is not None
    assert (len(read.samples), read.rate) == (100, 8000)
    assert read_wav(b"OggS") is None
