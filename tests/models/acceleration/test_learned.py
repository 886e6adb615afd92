"""What an acceleration learns: scorers of tokens, and gathering tokens."""

import dataclasses

import pytest
import torch
from published import small_model
from torch import Tensor

import fastitpn
from fastitpn import Acceleration, Gathering, InputError, Migration
from fastitpn.models.acceleration.criteria.learned import Scorer
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.models.acceleration.windows import GatheringTokens, gathering_tokens
from fastitpn.models.weights.file import read_weights

LEARNED = Migration(metric="learned", keep_ratio=0.5, after_blocks=(2,), last_blocks=1)
WINDOWS = Gathering(window=3, global_blocks=0, tokens_per_window=2)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> "fastitpn.models.backbone.FastITPN":
    torch.manual_seed(0)
    return small_model(img_size=96, depths=(1, 1, 4), scorers=(1, 4, 3))


class TestScorer:
    def test_the_score_is_the_sum_of_the_products_with_all_queries(self):
        torch.manual_seed(0)
        scorer = Scorer(8, queries=3, outputs=2)
        scorer.init_queries()
        x = torch.randn(2, 4, 5, 8)
        each = torch.nn.functional.layer_norm(x, (8,)) @ scorer.queries.T  # the norm starts as a plain one
        torch.testing.assert_close(scorer.score(x, None), each.sum(-1))

    def test_it_learns_from_what_it_saw_once_and_the_trunk_does_not(self):
        scorer = Scorer(8, queries=3, outputs=2)
        scorer.init_queries()
        x = torch.randn(2, 4, 5, 8, requires_grad=True)
        assert not scorer.has_seen
        scorer.score(x.detach(), None)
        predicted = scorer.predict()
        assert predicted.shape == (2, 3, 2)
        assert not scorer.has_seen
        predicted.sum().backward()
        assert x.grad is None
        assert scorer.queries.grad.abs().sum() > 0
        scorer.eval().score(x.detach(), None)
        assert not scorer.has_seen

    def test_nothing_is_gathered_from_padding(self):
        scorer = Scorer(8, queries=3, outputs=2).train()
        scorer.init_queries()
        x, padding = torch.randn(1, 2, 4, 8), torch.zeros(1, 2, 4, dtype=torch.bool)
        padding[0, 1, 3] = True
        predictions = []
        for value in (0.0, 9.0):
            x[0, 1, 3, 0] = value
            scorer.score(x, padding)
            predictions.append(scorer.predict())
        torch.testing.assert_close(*predictions)


class TestLearnedMigration:
    @pytest.mark.parametrize("gathering", [None, WINDOWS, Gathering(window=4, global_blocks=0)], ids=str)
    def test_those_with_the_lowest_scores_leave(self, model, images, gathering):
        model.eval().set_acceleration(Acceleration(migration=LEARNED, gathering=gathering))
        given: list[Tensor] = []
        scorer = model.scorers[0]
        score, scorer.score = scorer.score, lambda x, padding: given.append(score(x, padding)) or given[-1]
        trace = model.trace_tokens(images)
        for image in range(2):
            for window in range(given[0].shape[1]):
                patches = (trace.window == window).nonzero().flatten()
                scores = given[0][image, window]
                if len(scores) == len(patches):  # no padding
                    count = int((trace.left[image, patches] > 0).sum())
                    assert count > 0
                    lowest = patches[scores.argsort()[:count]]
                    assert set(lowest.tolist()) == set(patches[trace.left[image, patches] > 0].tolist())

    def test_all_are_back_before_the_last_block(self, model, images):
        model.eval().set_acceleration(Acceleration(migration=LEARNED))
        counts: list[int] = []
        for block in model.stages[2].blocks:
            block.register_forward_pre_hook(lambda module, inputs: counts.append(inputs[0].shape[-2]))
        model(images)
        assert counts == [36, 36, 18, 36]
        attention = model.trace_attention(images[:1], 5, [4]).shares[4]
        torch.testing.assert_close(attention.sum(-1), torch.ones(len(attention)))  # to all 36, none of which is lost

    def test_steps_come_before_the_blocks_that_see_all(self, model):
        with pytest.raises(
            InputError, match=r"last_blocks=2 .*\n.*\n.*expected: 0 to 1 \(tokens leave after block 2 of 4"
        ):
            model.set_acceleration(Acceleration(migration=dataclasses.replace(LEARNED, last_blocks=2)))

    def test_a_model_that_learnt_no_scores_is_refused(self):
        plain = small_model(img_size=96, depths=(1, 1, 4))
        with pytest.raises(InputError, match=r"this model has learnt those of 0(?s:.*)criterion=learned"):
            plain.set_acceleration(Acceleration(migration=LEARNED))

    def test_only_what_is_used_learns(self, model):
        model.set_acceleration("off")
        assert not any(p.requires_grad for p in model.scorers.parameters())
        model.set_acceleration(Acceleration(migration=LEARNED))
        assert all(p.requires_grad for p in model.scorers.parameters())

    def test_weights_of_others_start_them_fresh_and_others_leave_them_out(self, model):
        plain = small_model(img_size=96, depths=(1, 1, 4))
        report = fastitpn.load_weights(model, dict(plain.state_dict()))
        assert report.ok
        assert all(name.startswith("scorers.") for name in report.missing)
        report = fastitpn.load_weights(plain, dict(model.state_dict()))
        assert report.ok
        assert "learnt by an acceleration, which this model is built without" in report.set_aside.values()
        assert read_weights(dict(model.state_dict())).arguments()["scorers"] == (1, 4, 3)
        other = small_model(img_size=96, depths=(1, 1, 4), scorers=(1, 4, 5))
        assert fastitpn.load_weights(other, dict(model.state_dict())).ok


class TestGatheringTokens:
    @pytest.mark.parametrize("padded", [False, True])
    def test_they_start_as_the_means(self, padded):
        x = torch.randn(2, 3, 6, 8)
        sizes = None
        if padded:
            sizes = torch.ones(2, 3, 6)
            sizes[:, 2, 3:] = 0  # all of the second share of the last window
            sizes[:, 0, 0] = 3
        fresh = GatheringTokens(8, 2)
        torch.testing.assert_close(gathering_tokens(x, sizes, 2, fresh), gathering_tokens(x, sizes, 2))

    def test_they_are_a_weighted_mean_and_a_vector(self):
        torch.manual_seed(0)
        x, learned = torch.randn(1, 1, 4, 8), GatheringTokens(8, 1)
        with torch.no_grad():
            learned.queries.normal_()
            learned.values.normal_()
        weights = (x[0, 0] @ learned.queries[0] / 8**0.5).softmax(0)
        expected = weights @ x[0, 0] + learned.values[0]
        torch.testing.assert_close(gathering_tokens(x, None, 1, learned)[0, 0, 0], expected)

    def test_switching_them_on_changes_nothing_until_they_learn(self, images):
        torch.manual_seed(0)
        model = small_model(img_size=96, depths=(1, 1, 4))
        model.set_acceleration(gathering=WINDOWS)
        before = model(images)
        model.set_acceleration(gathering=dataclasses.replace(WINDOWS, tokens="learned"))
        torch.testing.assert_close(model(images), before)
        model(images).sum().backward()
        tokens = model.gathering_tokens
        assert tokens.values.shape == (2, model.embed_dim) == tokens.queries.shape
        assert tokens.values.grad.abs().sum() > 0
        assert tokens.queries.grad.abs().sum() > 0
        state = dict(model.state_dict())
        assert read_weights(state).arguments()["gathering_tokens"] == 2
        again = small_model(img_size=96, depths=(1, 1, 4), gathering_tokens=2)
        assert fastitpn.load_weights(again, state).ok

    def test_a_form_that_is_not_there_is_refused(self):
        with pytest.raises(InputError, match=r"tokens='max'.*\n.*\n.*one of mean, learned"):
            Gathering(tokens="max")


class TestParts:
    @pytest.mark.parametrize("preset", ["balanced", "fast"])
    def test_of_a_preset(self, preset):
        learned = PRESETS[preset].with_parts("learned", "learned")
        assert learned.name == f"{preset} learned learned"
        assert (learned.migration.metric, learned.migration.last_blocks, learned.migration.replenish) == (
            "learned",
            1,
            "hold",
        )
        assert (learned.gathering.tokens, learned.num_scorers, learned.num_learned_tokens) == ("learned", 1, 1)
        assert Acceleration.from_dict(learned.to_dict()) == learned
        attention = PRESETS[preset].with_parts("attention")
        assert attention.migration == dataclasses.replace(PRESETS[preset].migration, metric="attention")
        assert PRESETS[preset].with_parts() is PRESETS[preset]
        assert "last_blocks" not in PRESETS[preset].to_dict()["migration"]  # earlier versions read it
        assert "tokens" not in PRESETS[preset].to_dict()["gathering"]

    def test_of_nothing_is_refused(self):
        with pytest.raises(InputError, match="criterion=mean: the acceleration off has no migration"):
            PRESETS["off"].with_parts("mean")

    def test_within_a_map_it_is_taken_without_its_name(self):
        learned = PRESETS["balanced"].with_parts(gathering_tokens="learned")
        within = learned.within(depth=3, grid=(4, 6))
        assert (within.gathering.window, within.gathering.global_blocks) == (6, 3)
        dataclasses.replace(within, name="custom").check(3, (4, 6), class_token=False, relative_position=False)
        assert learned.within(depth=12, grid=(32, 32)) == learned
        assert PRESETS["balanced"].within(depth=3, grid=(4, 6)) is PRESETS["balanced"]
