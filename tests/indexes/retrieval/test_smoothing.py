"""Blending: a passage's vector leans towards what stands around it in its document."""

from __future__ import annotations

import numpy as np
import pytest

from indexes.retrieval.smoothing import NEIGHBOR_REACH, NEIGHBOR_SHARE, smooth_with_neighbors


def test_vector_is_mixed_with_neighbors_of_its_document_alone() -> None:
    rows = np.array([[1, 0], [0, 1], [0, 1], [1, 0]], np.float32)
    found = smooth_with_neighbors([7, 7, 9, 9], rows)
    mean = np.array([0.5, 0.5])
    for row, result in zip(rows, found, strict=True):
        assert result == pytest.approx((1 - NEIGHBOR_SHARE) * row + NEIGHBOR_SHARE * mean)


def test_neighbors_beyond_the_reach_do_not_count() -> None:
    rows = np.zeros((3 * NEIGHBOR_REACH, 2), np.float32)
    rows[:, 0] = np.arange(3 * NEIGHBOR_REACH)
    found = smooth_with_neighbors([1] * len(rows), rows)
    middle = NEIGHBOR_REACH + 2
    assert found[middle][0] == pytest.approx(middle)
    assert found[0][0] == pytest.approx(NEIGHBOR_SHARE * np.mean(range(NEIGHBOR_REACH + 1)))


def test_part_of_a_document_with_its_margins_gives_the_same_vectors() -> None:
    rows = np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32)
    documents = [1] * 45 + [2] * 15
    whole = smooth_with_neighbors(documents, rows)
    piece = smooth_with_neighbors(documents[10:40], rows[10:40])
    assert piece[NEIGHBOR_REACH:-NEIGHBOR_REACH] == pytest.approx(
        whole[10 + NEIGHBOR_REACH : 40 - NEIGHBOR_REACH], abs=1e-6
    )


def test_vector_of_a_single_passage_stays() -> None:
    row = np.array([[0.6, 0.8]], np.float32)
    assert smooth_with_neighbors([1], row) == pytest.approx(row)
