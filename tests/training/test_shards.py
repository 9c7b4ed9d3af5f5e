"""Sums over shards: one order, whoever has which shards."""

import pytest
import torch

from tinylm.jit.thread_pool import ThreadPool
from tinylm.training import shards as module
from tinylm.training.shards import Shards, add_up, pairwise
from tinylm.training.world import World


class Rank(World):
    """A rank of a world whose other ranks were asked before it, in turn."""

    def __init__(self, rank: int, size: int, sent: dict) -> None:
        self.rank, self.size, self._sent = rank, size, sent

    def fill(self, pieces):
        for n, (owner, tensor) in enumerate(pieces):
            if owner == self.rank:
                self._sent[n] = tensor.clone()
            elif n in self._sent:
                tensor.copy_(self._sent[n])


def in_pairs(numbers: list[torch.Tensor]) -> torch.Tensor:
    """The sum by the definition: of the largest power of two of numbers, and of those that are left."""
    if len(numbers) == 1:
        return numbers[0]
    half = 1 << (len(numbers) - 1).bit_length() - 1
    return in_pairs(numbers[:half]) + in_pairs(numbers[half:])


def gradients(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return [torch.randn(1000, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("count", range(1, 20))
def test_any_number_of_ranks_adds_in_the_same_order(count):
    expected = in_pairs(gradients(count))
    for size in range(1, 12):
        sent = {}
        for _ in range(2):  # ranks wait for each other: the first time round each sends, the second each receives
            for rank in range(size):
                shards = Shards(count, Rank(rank, size, sent))
                own = [gradients(count)[shard] for shard in shards.own]
                memory = list[int]()  # which is asked for, by number
                total = shards.sum_up(own, lambda n: memory.append(n) or torch.zeros(1000), ThreadPool())  # noqa: B023
                assert memory == list(range(len(memory)))
        assert torch.equal(total, expected)


def test_the_ranks_have_all_shards_once_and_a_rank_sends_few_sums():
    for size in (1, 2, 4, 8):
        owned = [Shards(8, Rank(rank, size, {})).own for rank in range(size)]
        assert [shard for own in owned for shard in own] == list(range(8))
        assert all(len(pairwise([(shard, shard + 1) for shard in own], 8)[1]) == 1 for own in owned)


def test_sums_are_added_in_their_order_however_many_cores_add(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_NUMBERS", 48)
    monkeypatch.setattr(module, "MIN_NUMBERS_PER_CORE", 200)
    pairs, [(_, whole)] = pairwise([(i, i + 1) for i in range(7)], 7)
    assert whole == (0, 7)
    for cores in (1, 2, 3, 16):
        ours = gradients(7)
        add_up(ours, pairs, ThreadPool(cores))
        assert torch.equal(ours[0], in_pairs(gradients(7)))


def test_numbers_of_shards_are_gathered_in_their_order():
    class Gathering(World):
        rank, size = 1, 3

        def gather(self, numbers):
            return [[0.0, 1.0, 0.0], list(numbers), [5.0, 6.0, 7.0]]

    assert Shards(8, Gathering()).own == range(2, 5)
    assert Shards(8, Gathering()).gather([[2.0], [3.0], [4.0]], 1) == [[float(i)] for i in range(8)]
