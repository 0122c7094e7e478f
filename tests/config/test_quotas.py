"""A tenant has what its quota lets it have, and no other tenant less."""

from __future__ import annotations

import pytest

from config.errors import Busy
from config.quotas import Quota, Usage
from config.settings import Settings

QUOTA = Quota("max_indexes_per_tenant", 2, "indexes")


def test_quota_that_is_exceeded_names_the_setting_and_the_variable() -> None:
    QUOTA.check(2)

    with pytest.raises(Busy) as caught:
        QUOTA.check(3)

    error = caught.value
    assert error.code == "quota_exceeded"
    assert "`max_indexes_per_tenant`" in error.message
    assert "MOTET_MAX_INDEXES_PER_TENANT" in error.details["hint"]
    assert error.retry_after_s is None


def test_what_ends_by_itself_says_when_to_come_again() -> None:
    with pytest.raises(Busy, match="later") as caught:
        Quota("max_runs_per_tenant", 1, "runs", retry_after_s=2).check(2)

    assert caught.value.retry_after_s == 2


def test_usage_is_counted_for_each_tenant_and_given_back() -> None:
    usage = Usage(QUOTA)
    with usage.hold("a"), usage.hold("a"):
        with pytest.raises(Busy), usage.hold("a"):
            pass
        with usage.hold("b"):
            pass
    with pytest.raises(ValueError, match="broke"), usage.hold("a"):
        raise ValueError("broke")

    with usage.hold("a"), usage.hold("a"):
        pass


def test_no_tenant_may_take_all_turns_of_runs_as_the_settings_come() -> None:
    settings = Settings()

    assert settings.max_active_runs_per_tenant < settings.max_active_runs
    assert settings.max_runs_per_tenant < settings.max_active_runs + settings.max_queued_runs
