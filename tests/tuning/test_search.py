"""Which settings are tried, how the best are found within a time, and how that goes on."""

from typing import ClassVar

import pytest
from tuning_fakes import Clock, FakeQuality, FakeSpeed, kept, loss, speed

from fastitpn.errors import InputError
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.tasks.classify.metrics import TOP1
from fastitpn.tuning.choice import choose, measure_final
from fastitpn.tuning.measured import Measured, Row, pareto
from fastitpn.tuning.search import Budget, Search
from fastitpn.tuning.space import Space

GRID = (14, 14)


def space(grid=GRID, fits=lambda setting: None, seed=0, depth=12, **more) -> Space:
    return Space(grid, depth, ("bipartite", "mean", "random"), fits, seed=seed, **more)


def searched(seconds: float, measured: Measured | None = None, max_loss: float = 0.5) -> tuple[Search, Measured, Clock]:
    clock = Clock()
    measured = measured or Measured(None, {})
    quality = FakeQuality(clock)
    search = Search(
        space(), FakeSpeed(clock=clock), quality, measured, Budget(seconds, clock=clock), max_loss, lambda text: None
    )
    search.run()
    return search, measured, clock


class TestSpace:
    def test_it_begins_with_what_has_a_name(self):
        own = Acceleration(name="mine", migration=Migration(keep_ratio=0.7))
        first = space(more=(own,)).settings[:3]
        assert [setting.name for setting in first] == ["tuned"] * 3
        assert [setting.migration for setting in first] == [
            own.migration,
            PRESETS["balanced"].migration,
            PRESETS["fast"].migration,
        ]

    def test_the_order_is_the_seeds(self):
        assert space(seed=1).settings == space(seed=1).settings
        assert space(seed=1).settings != space(seed=2).settings
        assert set(space(seed=1).settings) == set(space(seed=2).settings)

    @pytest.mark.parametrize(("grid", "windows"), [((14, 14), {8, 12}), ((8, 8), set()), ((22, 30), {8, 12, 16})])
    def test_windows_as_large_as_the_map_are_left_out(self, grid, windows):
        drawn = space(grid).settings[2:]
        assert {setting.gathering.window for setting in drawn if setting.gathering is not None} == windows
        assert len(set(drawn)) == len(drawn)
        assert not any(setting.migration is not None and setting.migration.metric == "random" for setting in drawn)

    def test_settings_that_are_the_same_in_a_model_are_one(self):
        assert len(space(depth=4).settings) < len(space(depth=12).settings)
        steps = [
            (tuple(s.migration.steps(4)), s.migration.keep_ratio, s.migration.metric, s.migration.replenish)
            for s in space(grid=(8, 8), depth=4).settings[2:]
        ]
        assert len(set(steps)) == len(steps)

    def test_what_a_model_does_not_take_is_left_out(self):
        def no_windows(setting):
            if setting.gathering is not None:
                raise InputError("no")

        assert all(setting.gathering is None for setting in space(fits=no_windows).settings)

    def test_neighbours_differ_in_one_number(self):
        settings = space()
        setting = next(s for s in settings.settings[2:] if kept(s) == 0.5 and s.gathering is None)
        near = settings.neighbours(setting)
        assert {kept(other) for other in near} >= {0.4, 0.5, 0.65}
        assert setting not in near
        assert settings.neighbours(PRESETS["fast"]) == []


class TestSearch:
    def test_it_finds_the_fastest_that_loses_little_enough(self):
        search, measured, _ = searched(60)
        rows = [row for row in search.finalists if row.points <= 0.5]
        assert max(row.ratio for row in rows) == pytest.approx(1.35)  # with 0.65 of the tokens: 4 * 0.35 ** 2
        assert len(list(measured)) > 50

    @pytest.mark.parametrize("seconds", [5, 20, 60])
    def test_it_ends_in_time(self, seconds):
        _, measured, clock = searched(seconds)
        assert clock.now <= seconds + 90 * 0.01  # within one measurement
        assert measured.seconds <= seconds + 90 * 0.01

    def test_few_images_first_and_then_more(self):
        clock = Clock()
        quality = FakeQuality(clock)
        Search(space(), FakeSpeed(clock=clock), quality, Measured(None, {}), Budget(20, clock=clock), 0.5).run()
        assert set(quality.counts) == {12, 30, 90}
        assert quality.counts.count(12) > quality.counts.count(30) > quality.counts.count(90) >= 2

    def test_too_little_time_takes_fewer_images(self):
        search, *_ = searched(3)
        assert 12 <= search.images < 90
        assert len(search.finalists) >= 2

    def test_it_goes_on_with_what_was_measured(self, tmp_path):
        path = tmp_path / "accelerate.json"
        _, before, _ = searched(10, Measured(path, {"model": "a"}))
        read = Measured(path, {"model": "a"})
        assert list(read) == list(before)
        assert read.seconds == pytest.approx(before.seconds, abs=0.1)
        first = {row.setting for row in read}
        _, after, _ = searched(10, read)
        assert {row.setting for row in after} > first
        with pytest.raises(InputError, match="measurements of something else: model changed") as caught:
            Measured(path, {"model": "b"})
        assert caught.value.fix == "out=ANOTHER"
        path.write_text('{"rows": 3}')
        with pytest.raises(InputError, match="measurements of an earlier command cannot be read"):
            Measured(path, {"model": "a"})

    def test_what_is_hardly_faster_goes_no_further(self):
        clock = Clock()

        class Slow(FakeSpeed):
            def measure(self, settings, seconds):
                return [speed(1.04) for _ in settings]

        quality = FakeQuality(clock)
        search = Search(space(), Slow(clock=clock), quality, Measured(None, {}), Budget(20, clock=clock), 0.5)
        search.run()
        assert search.finalists == []
        assert quality.counts == []


def row(keep: float, ratio: float, points: float, **more) -> Row:
    setting = Acceleration(name="tuned", migration=Migration(keep_ratio=keep))
    return Row(setting=setting, speed=speed(ratio, **more), loss=loss(points), final=True)


class TestChoice:
    ROWS: ClassVar = (row(0.8, 1.2, 0.1), row(0.6, 1.5, 0.4), row(0.5, 1.4, 0.6), row(0.3, 2.0, 1.5))
    HOW: ClassVar = {"where": "val", "images": 10, "trained": False}

    def test_the_front(self):
        assert [one.ratio for one in pareto(self.ROWS)] == [1.2, 1.5, 2.0]

    @pytest.mark.parametrize(("max_loss", "ratio"), [(0.1, 1.2), (0.5, 1.5), (1.0, 1.5), (1.5, 2.0)])
    def test_the_fastest_that_may_be(self, max_loss, ratio):
        assert choose(self.ROWS, max_loss, TOP1, **self.HOW).ratio == ratio

    def test_none_says_the_nearest(self):
        with pytest.raises(InputError) as caught:
            choose(self.ROWS, 0.05, TOP1, **self.HOW)
        assert "loses at most 0.05 points; the nearest is 1.20x (1.19 to 1.21) as fast and loses 0.10" in str(
            caught.value
        )
        assert "nothing was written" in caught.value.what
        assert caught.value.fix == "train=true, or max_loss=0.11, or a larger px"

    def test_no_gain_within_the_noise(self):
        with pytest.raises(InputError, match="no setting is faster than the plain model by more than the measurements"):
            choose([row(0.5, 1.2, 0.0, spread=0.3)], 1, TOP1, **self.HOW)

    def test_no_time(self):
        with pytest.raises(InputError, match="there was no time to measure what a setting loses"):
            choose([Row(setting=PRESETS["fast"], speed=speed(2))], 1, TOP1, **self.HOW)

    def test_the_best_are_measured_again_together(self):
        measured = Measured(None, {})
        for one in self.ROWS:
            measured.keep(one.setting, speed=one.speed, loss=one.loss)
        meter, clock = FakeSpeed(), Clock()
        measure_final(list(measured), meter, measured, Budget(60, clock=clock), max_loss=0.5)
        assert meter.measured == 3  # not of the one that another dominates, and that loses too much
        assert [(one.ratio, one.final) for one in measured] == [(1.2, True), (1.4, True), (1.4, False), (1.7, True)]
