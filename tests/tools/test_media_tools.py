"""The tools for pictures and sound: files in, artifacts with provenance out, progress meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.errors import Invalid, NotFound, Unavailable
from tests.support.media import STEPS, FakeMediaModels, png
from tests.support.site import Site
from tools.artifacts import Artifacts
from tools.media import Media, kind_of
from tools.media_deps import MediaToolDeps
from tools.references import ReferenceReader, encode_data_url
from tools.registry import MEDIA_TOOLS, Toolbox, ToolDeps, load_toolbox
from tools.safe_fetch import FetchLimits
from tools.spec import ToolContext


@pytest.fixture(scope="module")
async def media() -> AsyncIterator[Media]:
    media = Media()
    yield media
    await media.close()


@dataclass
class Bench:
    """The tools over a workshop, and what they told."""

    workshop: FakeMediaModels
    artifacts: Artifacts
    box: Toolbox
    events: list[dict[str, Any]] = field(default_factory=list)

    async def call(self, tool: str, **arguments: Any) -> Any:
        context = ToolContext("acme", "run-1", self.events.append, "draw")
        return await self.box.get(tool).call(arguments, context)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["motet"] == kind]


@pytest.fixture
def bench(tmp_path: Path, media: Media, loopback: FetchLimits) -> Bench:
    workshop, artifacts = FakeMediaModels(), Artifacts(tmp_path)
    making = MediaToolDeps(workshop, media, artifacts, ReferenceReader(artifacts, loopback))
    return Bench(workshop, artifacts, load_toolbox(ToolDeps(_search, media=making)))


async def _search(names: list[str], query: str, **how: Any) -> list[dict[str, Any]]:
    return []


async def test_every_media_tool_is_named_as_it_is_registered(bench: Bench) -> None:
    assert set(MEDIA_TOOLS) <= set(bench.box.names())
    for name in MEDIA_TOOLS:
        tool = bench.box.get(name)
        assert (tool.name, tool.repeatable) == (name, True)
        assert len(tool.description) > 40


async def test_stored_picture_names_seed_and_settings_that_make_it_again(bench: Bench) -> None:
    made = await bench.call("image", prompt="a red circle", seed=5, negative_prompt="text")
    kept = await bench.artifacts.get(made["artifact"]["id"], tenant="acme")
    assert kept.path.read_bytes() == png("a red circle 5")
    assert kept.provenance == {
        "run": "run-1",
        "node": "draw",
        "tool": "image",
        "model": "painter",
        "backend": "fake",
        "mode": "generate",
        "prompt": "a red circle",
        "negative_prompt": "text",
        "seed": 5,
        "settings": {"steps": STEPS},
    }
    assert made["artifact"] == {
        "id": kept.id,
        "url": f"/artifacts/{kept.id}",
        "name": f"image-{kept.id[:8]}.png",
        "media_type": "image/png",
        "size_bytes": kept.size_bytes,
        "width": 32,
        "height": 24,
        "seed": 5,
    }
    assert (made["model"], made["seed"]) == ("painter", 5)
    assert bench.workshop.tenants == ["acme"]


async def test_step_events_carry_previews_that_are_no_artifacts(bench: Bench) -> None:
    await bench.call("image", prompt="a red circle", preview_every=2)
    steps = bench.told("progress")
    assert [step["step_done"] for step in steps] == [1, 2, 3, 4]
    assert {step["step_total"] for step in steps} == {STEPS}
    assert ["preview" in step for step in steps] == [False, True, False, True]
    assert steps[1]["preview"].startswith("data:image/jpeg;base64,")
    assert len(bench.told("artifact")) == len(await bench.artifacts.list(tenant="acme")) == 1
    assert [event["phase"] for event in bench.told("model")] == ["chosen"]


async def test_several_pictures_have_seeds_that_follow(bench: Bench) -> None:
    made = await bench.call("image", prompt="a red circle", seed=3, count=3)
    assert [each["seed"] for each in made["artifacts"]] == [3, 4, 5]
    assert made["artifact"] == made["artifacts"][0]


async def test_a_picture_that_is_edited_may_be_named_in_any_way(bench: Bench, site: Site) -> None:
    data = png("given", 40, 30)
    site.page("/picture.png", data, "image/png")
    kept = await bench.artifacts.put(data, media_type="image/png", tenant="acme")
    ways: list[Any] = [
        kept.id,
        f"artifact:{kept.id}",
        f"/artifacts/{kept.id}",
        {"id": kept.id},
        {"artifact": {"id": kept.id}},
        encode_data_url(data, "image/png"),
        site.url("/picture.png"),
    ]
    for way in ways:
        await bench.call("image", prompt="blue", image=way, strength=0.4)
        request = bench.workshop.painter.asked[-1]
        assert (request.mode, request.strength) == ("edit", 0.4)
        assert kind_of(request.image or b"") == "image/png"


async def test_a_mask_has_the_size_of_its_picture(bench: Bench) -> None:
    picture, mask = png("given", 40, 30), encode_data_url(_white(20, 15), "image/png")
    await bench.call("image", prompt="blue", image=encode_data_url(picture, "image/png"), mask=mask)
    request = bench.workshop.painter.asked[0]
    assert request.mode == "inpaint"
    looked = await bench.call("caption", image=encode_data_url(request.mask or b"", "image/png"))
    assert looked["text"] == "plain 40x30 picture"
    with pytest.raises(Invalid, match="mask needs the image"):
        await bench.call("image", prompt="blue", mask=mask)


def _white(width: int, height: int) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("L", (width, height), 255).save(file, "PNG")
    return file.getvalue()


async def test_invalid_reference_is_refused_by_field(bench: Bench) -> None:
    for wrong, code in (
        ("photo.jpg", "invalid_reference"),
        ({"name": "photo"}, "invalid_reference"),
        ("data:image/png;base64,%%%", "invalid_reference"),
        (encode_data_url(b"no picture", "image/png"), "unreadable_image"),
        ("http://10.0.0.1/a.png", "forbidden_address"),
    ):
        with pytest.raises(Invalid) as caught:
            await bench.call("caption", image=wrong)
        assert (caught.value.code, bool(caught.value.details["field"])) == (code, True)
    with pytest.raises(NotFound, match="no artifact"):
        await bench.call("caption", image="0" * 64)
    other = await bench.artifacts.put(png("other"), media_type="image/png", tenant="other")
    with pytest.raises(NotFound):
        await bench.call("caption", image=other.id)


async def test_caption_is_sent_as_token_events(bench: Bench) -> None:
    pictures = [
        encode_data_url(png("a", 10, 20), "image/png"),
        encode_data_url(png("b", 30, 40), "image/png"),
    ]
    seen = await bench.call("caption", image=pictures, prompt="What is it?")
    assert seen == {"text": "plain 10x20 30x40 picture", "model": "looker"}
    assert "".join(event["text"] for event in bench.told("token")) == seen["text"]
    assert bench.workshop.looker.asked[0].prompt == "What is it?"


async def test_thinking_before_a_caption_is_no_part_of_it(bench: Bench) -> None:
    bench.workshop.looker.words = ["<think>A pic", "ture.</think>", "\n\nA red circle."]

    seen = await bench.call("caption", image=encode_data_url(png("a"), "image/png"))

    assert seen["text"] == "A red circle."
    assert "".join(event["text"] for event in bench.told("token")) == "A red circle."
    assert "".join(event["text"] for event in bench.told("thinking")) == "A picture."


async def test_caption_of_thinking_alone_is_an_error(bench: Bench) -> None:
    bench.workshop.looker.words = ["<think>A picture."]

    with pytest.raises(Unavailable) as caught:
        await bench.call("caption", image=encode_data_url(png("a"), "image/png"))

    assert caught.value.code == "only_thinking"


async def test_speech_is_one_sound_that_says_where_each_sentence_stands(bench: Bench) -> None:
    spoken = await bench.call("speech", text="It was red. It was round.", format="wav")
    first, second = spoken["sentences"]
    assert (first["text"], first["start_s"], first["end_s"]) == ("It was red.", 0, 0.3)
    assert second["start_s"] == pytest.approx(0.6)
    assert spoken["seconds"] == pytest.approx(0.9)
    assert spoken["artifact"]["media_type"] == "audio/wav"
    assert spoken["artifact"]["seconds"] == spoken["seconds"]
    assert [event["sentence"] for event in bench.told("progress")] == [
        "It was red.",
        "It was round.",
    ]
    kept = await bench.artifacts.get(spoken["artifact"]["id"], tenant="acme")
    assert (kept.provenance["model"], kept.provenance["text"]) == (
        "speaker",
        "It was red. It was round.",
    )


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg"])
async def test_speech_comes_in_the_format_asked_for(bench: Bench, format: str) -> None:
    spoken = await bench.call("speech", text="It was red.", format=format)
    data = await bench.artifacts.read(spoken["artifact"]["id"], tenant="acme")
    assert kind_of(data) == spoken["artifact"]["media_type"]
    assert spoken["artifact"]["name"].endswith(f".{format}")


async def test_chapters_tile_the_sound(bench: Bench) -> None:
    parts = [{"title": "One", "text": "It was red. It was round."}, {"text": "It ended."}]
    spoken = await bench.call("speech", chapters=parts, title="The tale")
    first, second = spoken["chapters"]
    assert (first["title"], first["start_s"]) == ("One", 0)
    assert first["end_s"] == second["start_s"] < second["end_s"] == spoken["seconds"]
    assert spoken["artifact"]["name"] == "the-tale.mp3"
    assert {"done": 2, "total": 2}.items() <= bench.told("progress")[-1].items()


async def test_a_recording_is_a_reference_for_a_voice_and_can_be_written_down(
    bench: Bench,
) -> None:
    spoken = await bench.call("speech", text="It was red and round and large.")
    await bench.call("speech", text="Again.", reference=spoken["artifact"])
    assert kind_of(bench.workshop.speaker.asked[-1].reference or b"") == "audio/wav"
    heard = await bench.call("transcribe", audio=spoken["artifact"], language="en")
    assert (heard["text"], heard["language"]) == ("How do I start the service?", "en")
    assert [segment["end_s"] for segment in heard["segments"]] == [0.5, 1.0]
    request = bench.workshop.listener.asked[0]
    assert (request.language, len(request.samples) // 32_000) == ("en", int(spoken["seconds"]))


async def test_an_error_of_a_model_is_the_tools(bench: Bench) -> None:
    bench.workshop.painter.failures = [Unavailable("The worker died.", code="worker_died")]
    with pytest.raises(Unavailable, match="worker died"):
        await bench.call("image", prompt="a red circle")
    with pytest.raises(NotFound, match="no model 'nobody'"):
        await bench.call("image", prompt="a red circle", model="nobody")
    assert await bench.artifacts.list(tenant="acme") == []
