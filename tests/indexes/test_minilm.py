"""The whole chain with the real embedding model and the model manager."""

from __future__ import annotations

from pathlib import Path

from config.settings import load_settings
from indexes.service import open_indexes
from models.manager import open_models
from tests.support.tenants import TENANT

DOCUMENTS = {
    "garden.md": "# Growing vegetables\n\nTomatoes need warm soil, much sun and watering.\n",
    "bread.md": "# Baking\n\nLet the dough rise overnight in a cold place before it is baked.\n",
    "wood.md": "# Joinery\n\nA sharp chisel cuts oak cleanly across the grain.\n",
}


async def test_a_paraphrased_question_finds_its_passage_through_the_real_model(
    tmp_path: Path,
) -> None:
    settings = load_settings(home=tmp_path / "home")
    for name, text in DOCUMENTS.items():
        (tmp_path / name).write_text(text)
    async with (
        open_models(settings) as models,
        open_indexes(settings, models, tenant=TENANT) as indexes,
    ):
        docs = await indexes.get("docs", tenant=TENANT)
        report = await docs.add_folder(tmp_path)
        assert (report.added, report.failed) == (3, [])
        for question, name in (
            ("Which plants like it hot and wet?", "garden.md"),
            ("How long must yeast work until the loaf goes in the oven?", "bread.md"),
            ("tools for shaping timber", "wood.md"),
        ):
            for mode in ("dense", "hybrid"):
                found = await indexes.search("docs", question, mode=mode, tenant=TENANT)
                assert found[0].source == name
                assert 0 < found[0].score <= 1
