"""Counter-based noise: the published generator, normal, and nobody's business but one's own."""

import pytest
import torch

from diffusion_toy.diffusion.counter_noise import Purpose, philox, standard_normal, uniform_words

# Known answers of the Random123 library for philox4x32-10: counter, key, result.
KNOWN_ANSWERS = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter: list[int], key: list[int], expected: list[int]) -> None:
    words = [torch.tensor([c]) for c in counter]
    seeds = torch.tensor([signed(key[1] << 32 | key[0])])
    assert [int(w) for w in philox((words[0], words[1], words[2], words[3]), seeds)] == expected


def test_a_row_does_not_depend_on_who_else_is_there() -> None:
    seeds = torch.arange(64) * 7919
    steps = torch.arange(64) * 3
    together = standard_normal(seeds, Purpose.SAMPLER, steps, (1, 28, 28))
    for count in range(1, 65):
        for row in {0, (64 - count) // 2, 64 - count}:
            some = slice(row, row + count)
            alone = standard_normal(seeds[some], Purpose.SAMPLER, steps[some], (1, 28, 28))
            assert torch.equal(alone, together[some])


def test_it_is_standard_normal() -> None:
    z = standard_normal(
        torch.arange(400), Purpose.START, torch.zeros(400, dtype=torch.long), (1, 28, 28)
    ).flatten()
    assert abs(z.mean().item()) < 0.01
    assert z.std().item() == pytest.approx(1, abs=0.005)
    assert (z**4).mean().item() == pytest.approx(3, abs=0.05)
    ordered = z.sort().values
    expected = torch.special.ndtr(ordered)
    empirical = torch.arange(1, len(z) + 1) / len(z)
    assert (expected - empirical).abs().max().item() < 1.63 / len(z) ** 0.5 * 1.5  # Kolmogorov–Smirnov


def test_seeds_steps_and_purposes_give_unrelated_noise() -> None:
    def noise(seed: int, purpose: Purpose, step: int) -> torch.Tensor:
        return standard_normal(torch.tensor([seed]), purpose, torch.tensor([step]), (10_000,))[0]

    base = noise(1, Purpose.SAMPLER, 5)
    others = [noise(2, Purpose.SAMPLER, 5), noise(1, Purpose.FORWARD, 5), noise(1, Purpose.SAMPLER, 6)]
    others.append(noise(1 + 2**40, Purpose.SAMPLER, 5))
    others.extend(noise(1, other, 5) for other in Purpose if other is not Purpose.SAMPLER)
    for other in others:
        assert abs((base * other).mean().item()) < 0.05
    assert torch.equal(base, noise(1, Purpose.SAMPLER, 5))


def test_pixels_of_one_picture_are_unrelated() -> None:
    """Box–Muller makes two values of a pair of words: they share a radius, and are independent still."""
    count = 2_000
    z = standard_normal(torch.arange(count), Purpose.SAMPLER, torch.full((count,), 7), (64,))
    correlation = torch.corrcoef(z.T)
    assert (correlation - torch.eye(64)).abs().max() < 6 / count**0.5
    squares = torch.corrcoef(z.T.square())
    assert (squares - torch.eye(64)).abs().max() < 6 / count**0.5


def test_an_odd_number_of_values_is_no_less_normal() -> None:
    z = standard_normal(torch.arange(3), Purpose.START, torch.zeros(3, dtype=torch.long), (5, 7))
    assert z.shape == (3, 5, 7)
    assert torch.isfinite(z).all()


def test_words_have_32_bits() -> None:
    words = uniform_words(torch.tensor([3]), Purpose.CHOICE, torch.tensor([0]), 1001)
    assert words.shape == (1, 1001)
    assert int(words.min()) >= 0
    assert int(words.max()) < 2**32
