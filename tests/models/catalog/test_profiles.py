"""The models that suit a machine: of its size, and what of them fits at once."""

from __future__ import annotations

import pytest

from models.backends import BACKENDS
from models.catalog.profiles import (
    ORDER,
    Profile,
    Profiles,
    Recommendation,
    choose_profile,
    load_profiles,
    recommend,
)
from models.catalog.roles import ROLE_TASKS
from models.devices import DeviceMemory
from models.devices.accelerator import Accelerator

GIB = 2**30
PROFILES = load_profiles()


def card(gib: float, **more: object) -> Accelerator:
    return Accelerator("cuda:0", "nvidia", "A card", int(gib * GIB), **more)  # type: ignore[arg-type]


MAC = Accelerator("mps", "apple", "M4", 0, unified=True)


def recommended(
    accelerators: list[Accelerator], ram_gib: int
) -> tuple[Profile, dict[str, Recommendation]]:
    profile = choose_profile(PROFILES, accelerators, ram_gib * GIB)
    memory = {"ram": DeviceMemory(ram_gib * GIB, ram_gib * GIB)}
    found = recommend(PROFILES, profile, accelerators, memory)
    return profile, {each.role: each for each in found}


@pytest.mark.parametrize(
    ("accelerators", "ram_gib", "name"),
    [
        ([], 8, "cpu-small"), ([], 24, "cpu"), ([], 64, "cpu-large"),
        ([card(4)], 16, "gpu-small"), ([card(6)], 16, "gpu-6"),
        ([card(7.6)], 16, "gpu-8"), ([card(11.99)], 16, "gpu-12"), ([card(15.9)], 16, "gpu-16"),
        ([card(23.5), card(8)], 32, "gpu-24"), ([card(47.5)], 64, "gpu-48"),
        ([card(79.6)], 128, "gpu-80"), ([card(139.8)], 128, "gpu-140"),
        ([MAC], 8, "shared-8"), ([MAC], 16, "shared-16"), ([MAC], 36, "shared-32"),
        ([MAC], 64, "shared-64"), ([MAC], 128, "shared-128"),
    ],
)  # fmt: skip
def test_a_machine_gets_the_profile_of_its_size_and_every_model_of_it_fits(
    accelerators: list[Accelerator], ram_gib: int, name: str
) -> None:
    profile, found = recommended(accelerators, ram_gib)
    assert profile.name == name
    assert [role for role, each in found.items() if each.fit == "no"] == []
    assert (found["chat"].fit, found["embed"].fit) == ("together", "together")


def test_the_commands_get_what_does_not_come_with_motet() -> None:
    _, found = recommended([card(7.9)], 16)
    assert found["chat"].command == "motet models add ollama-qwen3-8b"
    assert found["image"].command == "motet models add sd-turbo"
    assert (found["embed"].command, found["embed"].as_dict()["command"]) == ("", None)


def test_what_does_not_fit_beside_the_others_takes_turns() -> None:
    _, found = recommended([card(11.99)], 16)
    fits = {role: each.fit for role, each in found.items() if each.device == "cuda:0"}
    assert (fits["chat"], fits["vision"]) == ("together", "together")
    assert (fits["voice"], fits["image"]) == ("in_turn", "in_turn")


def test_a_gpu_that_torch_cannot_use_is_left_to_ollama() -> None:
    _, found = recommended([card(24, problem="PyTorch is built for the CPU")], 64)
    assert found["chat"].device == "cuda:0"
    assert found["image"].device == "cpu"


def test_every_model_is_known_to_a_back_end_and_profiles_name_all_but_more_language_models() -> (
    None
):
    used = {name for profile in PROFILES.profiles for name in profile.models.values()}
    assert used <= set(PROFILES.models)
    assert {PROFILES.models[name].task for name in set(PROFILES.models) - used} == {"chat"}
    for profile in PROFILES.profiles:
        for task, name in profile.models.items():
            assert PROFILES.models[name].task == task
    assert {model.backend for model in PROFILES.models.values()} <= set(BACKENDS)


def test_every_usual_role_gets_its_room() -> None:
    assert set(ORDER) == set(ROLE_TASKS)


def test_profiles_of_a_kind_grow() -> None:
    for kind in ("cpu", "gpu", "shared"):
        sizes = [each.at_least_gb for each in PROFILES.profiles if each.device == kind]
        assert sizes[0] == 0
        assert sizes == sorted(set(sizes))


def test_the_file_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="extra"):
        Profiles.model_validate({"version": 1, "models": {}, "profiles": [], "more": 1})
