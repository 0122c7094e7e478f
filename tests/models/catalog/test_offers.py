"""The models that can be added by name, and which this machine can hold."""

from __future__ import annotations

from models.additions.candidate import check_name
from models.backends.llamacpp.sources import HubModel, parse_source
from models.catalog.offers import Offer, list_offers
from models.catalog.profiles import choose_profile, load_profiles
from models.devices import DeviceMemory

GIB = 2**30
PROFILES = load_profiles()


def offers(ram_gib: int) -> dict[str, Offer]:
    profile = choose_profile(PROFILES, [], ram_gib * GIB)
    memory = {"ram": DeviceMemory(ram_gib * GIB, ram_gib * GIB)}
    return {each.name: each for each in list_offers(PROFILES, profile, [], memory)}


def test_small_machine_is_shown_what_it_can_hold_and_what_suits_it() -> None:
    small = offers(4)

    assert (small["qwen3-1.7b"].fits, small["qwen3-1.7b"].suits) == (True, True)
    assert (small["qwen2.5-0.5b"].fits, small["qwen2.5-0.5b"].suits) == (True, False)
    assert (small["qwen3-14b"].fits, small["qwen3-14b"].suits) == (False, False)
    assert offers(24)["qwen3-4b"].suits


def test_every_offer_has_a_name_that_models_yaml_takes() -> None:
    for name in PROFILES.offers:
        check_name(name)


def test_gguf_offers_name_one_file_of_a_repository_and_their_license() -> None:
    for name, model in PROFILES.offers.items():
        if model.backend == "llamacpp":
            source = parse_source(model.source)
            assert isinstance(source, HubModel), name
            assert source.file, name
            assert model.license, name
            assert model.memory_bytes > model.download_bytes, name
