"""Vectorised state: each row as if it were alone, levels exact on the schedule's grid."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion_toy.contract.messages import Disc, InjectionRule, NoiseKind
from diffusion_toy.diffusion import process as diffusion
from diffusion_toy.diffusion.schedule import make_schedule
from inference_server.engine.kernel import Advanced, Rows, advance
from inference_server.engine.readings import Gauge
from inference_server.engine.slots import InjectionRows, SlotState

SHAPE = (1, 28, 28)


def state_with(*schedules: tuple[str, int]) -> SlotState:
    state = SlotState(len(schedules), SHAPE)
    for slot, (name, steps) in enumerate(schedules):
        state.set_schedule(slot, make_schedule(name, steps))
    return state


def step(state: SlotState, slots: np.ndarray, v: np.ndarray, stride: float = 1.0) -> Advanced:
    """A DDIM step of these slots."""
    count = len(slots)
    no, yes = np.zeros(count, bool), np.ones(count, bool)
    tick = Rows(
        state.state[slots], state.earlier[slots], state.earlier_level[slots], state.levels[slots],
        state.num_time_steps[slots], slots, np.zeros(count, np.int64),
        np.full(count, stride, np.float32), np.zeros(count, np.float32), no, no, yes,
    )  # fmt: skip
    advanced = advance(tick, v, Gauge(None, None), any_noising=False, any_multistep=False)
    state.store(slots, tick, advanced)
    return advanced


def rows(slots: list[int], **values: float) -> InjectionRows:
    given = {"center_x": 0.5, "center_y": 0.5, "radius": 0.25, "amount": 40.0, **values}
    count = len(slots)

    def whole(value: float) -> np.ndarray:
        return np.full(count, int(value))

    return InjectionRows(
        slots=np.array(slots),
        seeds=np.arange(count) + 5,
        numbers=whole(0),
        **{
            k: np.full(count, v, np.float32)
            for k, v in given.items()
            if k in ("center_x", "center_y", "radius", "amount")
        },
        kinds=whole(given.get("kind", NoiseKind.GAUSSIAN)),
        rules=whole(given.get("rule", InjectionRule.TRUTH)),
    )


@pytest.mark.parametrize(
    ("name", "steps"), [("cosine", 300), ("linear", 300), ("linear", 1000), ("cosine", 1000)]
)
def test_every_time_step_of_the_grid_reads_back_exactly(name: str, steps: int) -> None:
    state = state_with((name, steps))
    table = make_schedule(name, steps).levels.astype(np.float32)
    slots = np.array([0])
    for t in range(0, steps + 1, 7):
        state.u[0] = table[t]
        read = state.time_steps(slots)
        assert (read == t).all()
        assert np.array_equal(state.levels_of(slots, read), state.u)


def test_time_steps_between_grid_points_read_back_closely() -> None:
    state = state_with(("linear", 300))
    slots = np.array([0])
    t = np.linspace(0, 300, 784, dtype=np.float32).reshape(1, 28, 28)
    state.u[0] = state.levels_of(slots, t)[0]
    assert np.abs(state.time_steps(slots) - t).max() < 0.05


def test_a_full_reverse_walk_ends_exactly_clean_in_as_many_steps_as_time_steps() -> None:
    state = state_with(("cosine", 300), ("linear", 300), ("cosine", 7))
    slots = np.arange(3)
    for slot, level in enumerate((1.0, make_schedule("linear", 300).max_level, 1.0)):
        state.start_from_noise(slot, level, seed=slot)
    v = np.zeros((3, *SHAPE), np.float32)
    remaining = []
    for _ in range(300):
        remaining.append(state.time_steps(slots).max((1, 2)))
        step(state, slots, v)
    assert (state.u == 0).all()
    assert remaining[6].tolist() == [294, 294, 1]
    assert remaining[299].tolist() == [1, 1, 0]


def test_an_injection_touches_only_the_pixels_under_the_disc() -> None:
    state = state_with(("cosine", 300))
    before = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    state.x[0] = before
    state.inject(rows([0], radius=0.2, center_x=0.25, center_y=0.75))
    columns = (np.arange(28) + 0.5) / 28
    inside = (columns[None, :] - 0.25) ** 2 + (columns[:, None] - 0.75) ** 2 <= 0.2**2
    assert np.array_equal(state.u[0] > 0, inside)
    assert np.array_equal(state.x[0, 0] == before[0], ~inside)
    np.testing.assert_allclose(state.u[0][inside], 40 / 300, rtol=1e-6)


def test_injections_accumulate_up_to_pure_noise() -> None:
    state = state_with(("cosine", 300))
    for _ in range(3):
        state.inject(rows([0], radius=float("inf"), amount=120.0))
    assert (state.u == 1).all()
    np.testing.assert_allclose(state.g, 0, atol=1e-6)
    np.testing.assert_allclose(state.n2, 1, rtol=1e-6)


def test_truth_keeps_nominal_and_actual_together() -> None:
    state = state_with(("linear", 300))
    for _ in range(4):
        state.inject(rows([0], amount=33.3))
    np.testing.assert_allclose(diffusion.actual_level(state.g, state.n2), state.u, atol=1e-4)


def test_naive_is_noisier_than_nominal_and_a_lie_changes_the_claim_alone() -> None:
    naive, lie = state_with(("cosine", 300)), state_with(("cosine", 300))
    naive.inject(rows([0], amount=100.0))
    naive.inject(rows([0], amount=10.0, rule=InjectionRule.NAIVE))
    inside = naive.u[0] > 0
    assert (diffusion.actual_level(naive.g, naive.n2)[0][inside] > naive.u[0][inside] + 0.05).all()
    x = lie.x.copy()
    lie.inject(rows([0], amount=60.0, rule=InjectionRule.LIE))
    assert np.array_equal(lie.x, x)
    assert (diffusion.actual_level(lie.g, lie.n2) == 0).all()
    assert lie.u.max() == pytest.approx(0.2)
    lie.inject(rows([0], amount=-60.0, rule=InjectionRule.LIE))
    assert (lie.u == 0).all()


def test_rows_are_as_if_alone() -> None:
    """The same injection with others in the round gives the same picture, bit for bit."""
    together, alone = state_with(*[("cosine", 300)] * 6), state_with(*[("cosine", 300)] * 6)
    batch = rows([0, 1, 2, 3, 4, 5])
    together.inject(batch)
    for row in range(6):
        alone.inject(InjectionRows(**{name: value[row : row + 1] for name, value in vars(batch).items()}))
    assert np.array_equal(together.x, alone.x)
    assert np.array_equal(together.u, alone.u)


def test_a_state_that_would_not_be_finite_is_not_taken_over() -> None:
    state = state_with(("cosine", 300), ("cosine", 300))
    slots = np.arange(2)
    for slot in (0, 1):
        state.start_from_noise(slot, 1.0, seed=slot)
    before = state.x.copy()
    v = np.zeros((2, *SHAPE), np.float32)
    v[0, 0, 3, 3] = float("nan")
    step(state, slots, v, stride=30.0)
    assert np.array_equal(state.x[0], before[0])
    assert (state.u[0] == 1).all()
    assert not np.array_equal(state.x[1], before[1])


def test_a_new_schedule_keeps_the_levels_but_clamps_them_to_its_range() -> None:
    state = state_with(("cosine", 300))
    state.u[0, :14], state.u[0, 14:] = 1.0, 0.25
    schedule = make_schedule("linear", 300)
    state.set_schedule(0, schedule)
    assert state.u.max() == pytest.approx(schedule.max_level)
    assert (state.u[0, 14:] == 0.25).all()


@pytest.mark.parametrize("size", [(28, 28), (8, 20), (20, 8)])
def test_a_disc_is_the_same_for_the_server_as_for_the_viewer(size: tuple[int, int]) -> None:
    state = SlotState(1, (1, *size))
    for number in range(50):
        x, y, radius = np.random.default_rng(number).random(3).tolist()
        inside = state.inside(*(np.array([value], np.float32) for value in (x, y, radius)))[0]
        assert (inside == Disc(x, y, radius).covers(*size)).all()
