"""Whether meaning survives: scenes are drawn from their prompt, captioned, and compared."""

from __future__ import annotations

import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from benchmarks.measure import show
from benchmarks.tenants import TENANT
from config.settings import load_settings
from models.capabilities import Caption, CaptionRequest, Image, ImageRequest, Picture
from models.manager import open_models
from recipes.shapes import Scene, scenes

SHOWN_WRONG = 10


async def main() -> None:
    """Print the share of all scenes of the small world that come back as they were told."""
    with tempfile.TemporaryDirectory(prefix="motet-roundtrip-") as home:
        async with (
            open_models(load_settings(home=Path(home))) as models,
            models.lease("drawing", "image", tenant=TENANT) as painter,
            models.lease("captioner", "caption", tenant=TENANT) as viewer,
        ):
            begun = time.perf_counter()
            said = {
                scene: await told_again(painter.image, viewer.caption, scene, number)
                for number, scene in enumerate(scenes())
            }
            each_s = (time.perf_counter() - begun) / len(said)
    wrong = {scene.prompt: words for scene, words in said.items() if words != scene.prompt}
    right = f"{100 * (1 - len(wrong) / len(said)):.1f} %"
    show(
        "Prompts that were drawn, captioned and compared",
        ["prompts", "right", "seconds each"],
        [(len(said), right, f"{each_s:.2f}")],
    )
    for prompt, words in list(wrong.items())[:SHOWN_WRONG]:
        print(f"  {prompt}: {words}")


async def told_again(painter: Image, viewer: Caption, scene: Scene, seed: int) -> str:
    """What the viewer says of the picture that the painter made of the scene's prompt."""
    picture = b""
    async with aclosing(painter.draw(ImageRequest(scene.prompt, seed=seed))) as pieces:
        async for piece in pieces:
            if isinstance(piece, Picture):
                picture = piece.data
    async with aclosing(viewer.caption(CaptionRequest([picture]))) as words:
        return "".join([word async for word in words]).strip()
