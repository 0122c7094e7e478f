"""Pipelines of Diffusers in their worker: tiny ones in the real formats, and the shipped one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from PIL import Image as Files

from config.errors import Invalid, MotetError, Unavailable
from config.settings import load_settings
from models.backends.diffusers.image import DiffusersImage, SerialWorkerModel
from models.capabilities import Image, ImageRequest, ImageStep, Picture
from models.driver import Driver
from models.manager import Models
from recipes.judge import read
from recipes.shapes import scenes
from tests.models.backends.contracts.image import (
    BOUND_S,
    ImageContract,
    opened,
    picture,
    pictures,
    pieces,
)
from tests.support.tenants import TENANT
from tests.support.tiny.models import ROOT, SMALL, TINY, loaded, opened_models, spec
from tests.support.tiny.models import opened as driver_of

MAKE = TINY / "make_diffusers.py"
STEPS = 4
SAMPLE = 16
ROOM_BYTES = 64 * 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("diffusers")
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, MAKE, folder], check=True, capture_output=True, env=env)
    return folder


@pytest.fixture(scope="module")
async def driver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Driver]:
    async with driver_of("diffusers", tmp_path_factory.mktemp("home")) as driver:
        yield driver


@pytest.fixture(scope="module")
async def model(driver: Driver, folder: Path) -> AsyncIterator[SerialWorkerModel]:
    wanted = spec("diffusers", "image", folder / "sd", steps=STEPS, note="random weights")
    async with loaded(driver, wanted) as found:
        yield cast(SerialWorkerModel, found)


@pytest.fixture
def sd(model: SerialWorkerModel) -> Image:
    return model.capability


@pytest.fixture(scope="module")
async def sdxl(driver: Driver, folder: Path) -> AsyncIterator[Image]:
    wanted = spec("diffusers", "image", folder / "sdxl", steps=STEPS, max_batch=2, warm_up=True)
    async with loaded(driver, wanted) as found:
        yield cast(Image, found.capability)


class TestStableDiffusion(ImageContract):
    @pytest.fixture
    def painter(self, sd: Image) -> Image:
        return sd


class TestStableDiffusionXL(ImageContract):
    @pytest.fixture
    def painter(self, sdxl: Image) -> Image:
        return sdxl


async def one(painter: Image, **fields: Any) -> Picture:
    (made,) = await pictures(painter, ImageRequest("a red circle", **fields))
    return made


async def test_settings_make_the_same_picture_again(sd: Image) -> None:
    made = await one(sd, guidance=3.0, scheduler="euler_discrete", negative_prompt="blue")
    assert made.settings == {
        "mode": "generate",
        "steps": STEPS,
        "guidance": 3.0,
        "scheduler": "EulerDiscrete",
        "negative_prompt": "blue",
        "note": "random weights",
    }
    again = await one(
        sd, seed=made.seed, guidance=3.0, scheduler="EulerDiscrete", negative_prompt="blue"
    )
    assert again.data == made.data


async def test_every_scheduler_draws_and_the_own_one_comes_back(sd: Image) -> None:
    before = await one(sd, seed=1)
    assert {"DDIM", "EulerDiscrete", "DPMSolverMultistep"} <= set(sd.abilities.schedulers)
    drawn = [await one(sd, seed=1, scheduler=name) for name in sd.abilities.schedulers]
    assert len({made.data for made in drawn}) > len(drawn) // 2
    assert (await one(sd, seed=1)).data == before.data


async def test_an_unknown_scheduler_is_told_with_the_nearest(sd: Image) -> None:
    with pytest.raises(Invalid, match="Did you mean 'EulerDiscrete'") as caught:
        await one(sd, scheduler="EulerDiscreet")
    assert caught.value.details["field"] == "scheduler"


async def test_previews_are_small_pictures_of_what_is_drawn(sd: Image) -> None:
    made = await pieces(sd, ImageRequest("a red circle", preview_every=2))
    steps = [piece for piece in made if isinstance(piece, ImageStep)]
    assert [bool(step.preview) for step in steps] == [False, True, False, True]
    shown = Files.open(io.BytesIO(steps[-1].preview or b""))
    assert shown.format == "JPEG"
    assert shown.size == (64, 64)


@pytest.mark.parametrize(("width", "height"), [(64, 128), (128, 64), (72, 96)])
async def test_sizes_are_as_asked_for(sdxl: Image, width: int, height: int) -> None:
    assert opened(await one(sdxl, width=width, height=height)).size == (width, height)


@pytest.mark.parametrize(
    ("field", "wrong", "words"),
    [
        ("width", {"width": 68}, "multiple of 8, such as"),
        ("height", {"height": 1024}, "from 64 to 128"),
        ("steps", {"steps": -1}, "from 1"),
        ("guidance", {"guidance": -1.0}, "from 0"),
        ("seed", {"seed": -1}, "from 0"),
        ("count", {"count": 0}, "from 1 to 8"),
        ("strength", {"strength": 0.5}, "editing an `image`"),
        ("strength", {"strength": 1.5, "image": picture()}, "from 0 to 1"),
        ("strength", {"strength": 0.1, "image": picture()}, "nothing to draw"),
        ("mask", {"mask": picture()}, "give the `image` too"),
        ("mask", {"image": picture(), "mask": picture(32, 32)}, "make it equal"),
        ("image", {"image": b"GIF89a"}, "no whole PNG or JPEG"),
        ("image", {"image": picture()[:60]}, "no whole PNG or JPEG"),
        ("loras", {"loras": [("/nowhere/at_all.safetensors", 1.0)]}, "there is no file"),
        ("loras", {"loras": [("nobody/no-lora", 1.0)]}, "hf download"),
    ],
)
async def test_a_mistake_names_its_field(
    sd: Image, field: str, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        await one(sd, **wrong)
    assert caught.value.details["field"] == field
    assert caught.value.message.startswith(f"{field}: ")


async def test_an_edited_picture_keeps_its_shape_at_the_usual_area(sd: Image) -> None:
    made = await one(sd, image=picture(640, 160, form="JPEG"), strength=0.5)
    assert (made.width, made.height) == (128, 64)
    assert made.settings["strength"] == 0.5
    assert (await one(sd, image=picture(640, 160), width=64, height=64)).width == 64


async def test_little_strength_keeps_the_picture_and_much_forgets_it(sd: Image) -> None:
    async def away(strength: float) -> float:
        made = opened(await one(sd, seed=1, image=picture(), strength=strength, guidance=1.0))
        kept = opened(await one(sd, seed=1, image=picture(), strength=0.25, guidance=1.0))
        pairs = zip(made.tobytes(), kept.tobytes(), strict=True)
        return sum(abs(one - other) for one, other in pairs) / (64 * 64)

    assert 0 == await away(0.25) < await away(1.0)


async def test_a_lora_changes_what_is_drawn_and_leaves_nothing(sd: Image, folder: Path) -> None:
    before = await one(sd, seed=1)
    source = str(folder / "lora")
    changed = await one(sd, seed=1, loras=[(source, 1.0)])
    more = await one(sd, seed=1, loras=[(source + "/pytorch_lora_weights.safetensors", 2.0)])
    assert len({before.data, changed.data, more.data}) == 3
    assert changed.settings["loras"] == [[source, 1.0]]
    assert (await one(sd, seed=1)).data == before.data


async def test_a_lora_of_another_model_is_refused_and_leaves_nothing(
    sd: Image, folder: Path
) -> None:
    before = await one(sd, seed=1)
    with pytest.raises(Invalid, match="does not fit this model") as caught:
        await one(sd, loras=[(str(folder / "lora"), 1.0), (str(folder / "other"), 1.0)])
    assert caught.value.code == "lora_incompatible"
    assert (await one(sd, seed=1)).data == before.data


async def test_a_drawing_given_up_stops_between_its_steps(
    sd: Image, model: SerialWorkerModel
) -> None:
    stream = sd.draw(ImageRequest("a red circle", steps=500))
    async with asyncio.timeout(BOUND_S):
        assert isinstance(await anext(stream), ImageStep)
        await stream.aclose()
        # The next one is drawn at once: the five hundred steps are not waited for.
        made = await pieces(sd, ImageRequest("a red circle"))
    assert len(made) == STEPS + 1
    assert not model.lost.done()


async def test_more_pictures_than_are_drawn_at_once_come_in_batches(sdxl: Image) -> None:
    made = await pieces(sdxl, ImageRequest("a red circle", seed=5, count=5))
    steps = [piece for piece in made if isinstance(piece, ImageStep)]
    drawn = [piece for piece in made if isinstance(piece, Picture)]
    assert [each.seed for each in drawn] == [5, 6, 7, 8, 9]
    assert len({each.data for each in drawn}) == 5
    assert [step.step for step in steps] == list(range(1, 3 * STEPS + 1))
    assert {step.total for step in steps} == {3 * STEPS}


@pytest.mark.skipif(sys.platform != "linux", reason="bounds another process")
async def test_a_worker_that_runs_out_of_memory_says_so_and_draws_on(
    driver: Driver, folder: Path
) -> None:
    wanted = spec("diffusers", "image", folder / "sd", steps=1, max_side=1024)
    large = ImageRequest("a red circle", width=1024, height=1024)
    async with loaded(driver, wanted) as found:
        painter, pid = cast(Image, found.capability), cast(SerialWorkerModel, found)._worker.pid
        await one(painter)
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        bound = pages * resource.getpagesize() + ROOM_BYTES
        before = resource.prlimit(pid, resource.RLIMIT_AS, (bound, resource.RLIM_INFINITY))
        with pytest.raises(Unavailable) as caught:
            await pictures(painter, large)
        resource.prlimit(pid, resource.RLIMIT_AS, before)
        assert caught.value.code == "out_of_memory", caught.value.message
        assert await one(painter)


async def test_a_model_for_masks_alone_says_what_it_cannot(driver: Driver, folder: Path) -> None:
    wanted = spec("diffusers", "image", folder / "mask", steps=STEPS, warm_up=True)
    async with loaded(driver, wanted) as found:
        painter = cast(Image, found.capability)
        assert painter.abilities.modes == ("inpaint",)
        with pytest.raises(Invalid, match="cannot generate, only inpaint"):
            await one(painter)
        assert await one(painter, image=picture(), mask=picture(color="white"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quantization": "nf4"}, "takes bitsandbytes"),
        ({"stepps": 3}, "mean 'steps'"),
        ({"steps": 0}, r"options\.steps"),
    ],
)
async def test_options_that_cannot_be_are_told(
    driver: Driver, folder: Path, options: dict[str, Any], words: str
) -> None:
    wanted = spec("diffusers", "image", folder / "sd", **options)
    assert words.replace("\\", "") in (await driver.available(wanted) or "")
    with pytest.raises(MotetError, match=words):
        await driver.load(wanted, driver.estimate(spec("diffusers", "image", "x"))[0], print)


async def test_a_wrong_scheduler_of_a_model_is_told_when_it_is_loaded(
    driver: Driver, folder: Path
) -> None:
    wanted = spec("diffusers", "image", folder / "sd", scheduler="EulerDiscreet")
    with pytest.raises(Invalid, match="Did you mean 'EulerDiscrete'"):
        async with loaded(driver, wanted):
            pass


async def test_absent_weights_are_told_with_how_to_get_them(
    driver: Driver, folder: Path, tmp_path: Path
) -> None:
    absent = spec("diffusers", "image", "nobody/no-such-model")
    assert "motet models pull mine" in (await driver.available(absent) or "")
    bare = shutil.copytree(folder / "sd", tmp_path / "bare")
    (bare / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    half = spec("diffusers", "image", bare)
    assert "lacks the weights of unet" in (await driver.available(half) or "")
    with pytest.raises(Unavailable) as caught:
        async with loaded(driver, half):
            pass
    assert caught.value.code == "model_missing"
    (tmp_path / "empty").mkdir()
    empty = spec("diffusers", "image", tmp_path / "empty")
    assert "no model_index.json" in (await driver.available(empty) or "")


async def test_broken_weights_are_told(driver: Driver, folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder / "sd", tmp_path / "broken")
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(Unavailable, match="no Diffusers pipeline that can be read") as caught:
        async with loaded(driver, spec("diffusers", "image", broken)):
            pass
    assert caught.value.code == "model_unreadable"


async def _killed_while_drawing(models: Models) -> None:
    async with models.lease("tiny", "image", tenant=TENANT) as lease:
        loaded = cast(DiffusersImage, lease.image)._model
        async with aclosing(lease.image.draw(ImageRequest("a", steps=500))) as stream:
            async for _ in stream:
                os.kill(loaded._worker.pid, signal.SIGKILL)


async def test_a_worker_killed_while_drawing_is_noticed_and_comes_back(
    folder: Path, tmp_path: Path
) -> None:
    declared = {
        "tiny": {
            "task": "image",
            "backend": "diffusers",
            "source": str(folder / "sd"),
            "options": {"threads": 1},
        }
    }
    (tmp_path / "models.yaml").write_text(json.dumps({"models": declared}))
    async with opened_models(load_settings(home=tmp_path)) as models:
        with pytest.raises(Unavailable) as caught:
            await _killed_while_drawing(models)
        assert caught.value.code == "worker_died"
        async with asyncio.timeout(BOUND_S), models.lease("tiny", "image", tenant=TENANT) as lease:
            assert await pictures(lease.image, ImageRequest("a", steps=2))


class TestShippedModel(ImageContract):
    @pytest.fixture(scope="class")
    async def drawing(self, driver: Driver) -> AsyncIterator[Image]:
        async with loaded(
            driver, spec("diffusers", "image", SMALL / "drawing", steps=6, guidance=2.0)
        ) as found:
            yield cast(Image, found.capability)

    @pytest.fixture
    def painter(self, drawing: Image) -> Image:
        return drawing

    async def test_it_draws_what_it_is_told(self, painter: Image) -> None:
        """By a look at the pixels: nearest colours, and the outline."""
        sample = Random(1).sample(list(scenes()), SAMPLE)
        right = 0
        for seed, scene in enumerate(sample):
            wanted = ImageRequest(f"One day {scene.prompt} was seen.", seed=seed, steps=12)
            (made,) = await pictures(painter, wanted)
            right += read(opened(made)) == scene
        assert right >= SAMPLE - 2

    async def test_words_that_name_nothing_give_a_calm_picture(self, painter: Image) -> None:
        made = await pictures(painter, ImageRequest("The wind sang to the old king.", seed=1))
        assert read(opened(made[0])) is None
