"""The three objectives and the auxiliary prediction."""

from typing import ClassVar

import pytest
import torch
from published import golden, nano, pretraining_model, randn, small_pretraining_model

from fastitpn.errors import InputError
from fastitpn.models.weights.loading import load_weights
from fastitpn.pretraining.model import PerLevelModel, create_pretraining_model, wrap
from fastitpn.pretraining.objective import feature_loss, weighted_losses
from fastitpn.pretraining.predictions import CELLS
from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher

IMAGES = randn(2, 3, 64, 64)
MASKED = torch.rand(2, 16, generator=torch.Generator().manual_seed(0)) < 0.4


def model_of(objective: str, **keys):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_pretraining_model(
            "fastitpn_nano", teacher_dim=24, objective=objective, img_size=64, **keys
        ).eval()


@torch.no_grad()
@pytest.mark.parametrize("mlp", [False, True])
@pytest.mark.parametrize("auxiliary", [None, 20])
@pytest.mark.parametrize(
    ("objective", "names"),
    [("merged", ("merged",)), ("per_level", ("stride4", "stride8", "stride16")), ("trunk", ("trunk",))],
)
def test_predictions(objective, names, auxiliary, mlp):
    model = model_of(objective, auxiliary_dim=auxiliary, mlp_predictor=mlp)
    assert model.names == (names if auxiliary is None else (*names, "auxiliary"))
    predictions = model.predict(IMAGES, MASKED)
    assert {name: tuple(value.shape) for name, value in predictions.items()} == {
        name: (2, 16, CELLS[name], 20 if name == "auxiliary" else 24) for name in model.names
    }


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("objective", ["merged", "per_level", "trunk"])
def test_every_parameter_learns(objective, checkpointed):
    model = model_of(objective, auxiliary_dim=20, mlp_predictor=True).train()
    model.backbone.set_grad_checkpointing(checkpointed)
    predictions = model.predict(IMAGES, MASKED)
    sum(value.square().mean() for value in predictions.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


@torch.no_grad()
def test_without_extras_merged_is_the_published_model():
    model = pretraining_model()
    masked = golden("fastmim_recon_tiny_norm_end")["mask"]
    assert torch.equal(model.predict(IMAGES, masked)["merged"].squeeze(2), model(IMAGES, masked))
    names = set(model.state_dict())
    wide = wrap(small_pretraining_model().backbone, "merged", teacher_dim=24, auxiliary_dim=24, mlp_predictor=True)
    more = {name.split(".")[0] for name in set(wide.state_dict()) - names}
    assert more == {"auxiliary", "predictor_hidden"}


@torch.no_grad()
def test_the_auxiliary_prediction_leaves_the_others_as_they_are(path):
    model = model_of("merged", auxiliary_dim=20)
    torch.testing.assert_close(model.predict(IMAGES, MASKED)["merged"].squeeze(2), model(IMAGES, MASKED))


@torch.no_grad()
def test_the_auxiliary_prediction_comes_from_deep_in_the_trunk():
    """After block int(0.75 * depth): what is later does not reach it, what is before does."""
    model = model_of("per_level", auxiliary_dim=20)
    blocks = list(model.backbone.stages[2].blocks.children())
    assert model.auxiliary.after == int(0.75 * len(blocks)) + 1
    assert len(model.auxiliary.blocks) == 2
    before = model.predict(IMAGES, MASKED)
    blocks[model.auxiliary.after].gamma_1.add_(1)
    later = model.predict(IMAGES, MASKED)
    assert torch.equal(later["auxiliary"], before["auxiliary"])
    assert not torch.allclose(later["stride16"], before["stride16"])
    blocks[model.auxiliary.after - 1].gamma_1.add_(1)
    assert not torch.allclose(model.predict(IMAGES, MASKED)["auxiliary"], before["auxiliary"])


@torch.no_grad()
def test_every_level_predicts_from_itself_alone():
    model = model_of("per_level")
    before = model.predict(IMAGES, MASKED)
    model.level_predictors["stride8"].proj.bias.add_(1)
    model.backbone.pyramid.output4.mlp.fc2.bias.add_(randn(64))
    after = model.predict(IMAGES, MASKED)
    torch.testing.assert_close(after["stride8"], before["stride8"] + 1)
    assert torch.equal(after["stride16"], before["stride16"])
    assert not torch.allclose(after["stride4"], before["stride4"])


@torch.no_grad()
@pytest.mark.parametrize("objective", ["per_level", "trunk"])
def test_hidden_pixels_change_nothing(objective):
    model = model_of(objective, auxiliary_dim=20)
    hidden = MASKED.view(2, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    changed = model.predict(torch.where(hidden, randn(2, 3, 64, 64, seed=1), IMAGES), MASKED)
    for name, value in model.predict(IMAGES, MASKED).items():
        assert torch.equal(changed[name], value), name


def test_the_trunk_alone_has_no_pyramid():
    model = model_of("trunk")
    assert model.backbone.pyramid is None
    assert [tuple(level.shape[1:3]) for level in model.levels(IMAGES)] == [(16, 16), (16, 4), (16, 1)]


@pytest.mark.parametrize("objective", ["per_level", "trunk"])
def test_its_weights_start_a_classifier(objective):
    model = model_of(objective, auxiliary_dim=20, mlp_predictor=True)
    classifier = nano(num_classes=3, img_size=64)
    report = load_weights(classifier, model.state_dict())
    assert report.ok
    assert set(report.set_aside.values()) <= {
        "used in pre-training only",
        "pyramid, which this model is built without (pyramid=True)",
    }
    assert torch.equal(classifier.pos_embed, model.backbone.pos_embed)


def test_wrong_objectives_are_refused():
    with pytest.raises(InputError, match=r"objective='levels'\n.*merged, per_level, trunk"):
        model_of("levels")
    with pytest.raises(InputError, match="norm='trunk_and_end' with objective=trunk"):
        model_of("trunk", norm="trunk_and_end")


@pytest.mark.parametrize("objective", ["merged", "per_level", "trunk"])
def test_predictions_compile_without_a_graph_break(objective):
    model = model_of(objective, auxiliary_dim=20)
    compiled = torch.compile(model.predict, fullgraph=True, backend="eager")
    for name, value in model.predict(IMAGES, MASKED).items():
        torch.testing.assert_close(compiled(IMAGES, MASKED)[name], value)


class TestLosses:
    """Weighted sums over the predictions."""

    predictions: ClassVar = {"stride16": randn(2, 4, 1, 5), "stride8": randn(2, 4, 4, 5, seed=1)}
    targets: ClassVar = {"stride16": randn(2, 4, 1, 5, seed=2), "stride8": randn(2, 4, 4, 5, seed=3)}
    masked = torch.tensor([[True, False, True, False], [False, False, True, True]])

    @pytest.mark.parametrize("loss_on", ["masked", "all"])
    def test_each_level_and_their_sum(self, loss_on):
        losses = weighted_losses(self.predictions, self.targets, self.masked, weights={"stride8": 0.5}, loss_on=loss_on)
        chosen = self.masked if loss_on == "masked" else torch.ones_like(self.masked)
        for name in self.predictions:
            cosine = torch.nn.functional.cosine_similarity(self.predictions[name], self.targets[name], dim=-1)
            torch.testing.assert_close(losses[f"loss_{name}"], -cosine[chosen].mean())
        torch.testing.assert_close(losses["loss"], losses["loss_stride16"] + 0.5 * losses["loss_stride8"])

    def test_one_prediction_has_one_loss(self):
        losses = weighted_losses(
            {"merged": self.predictions["stride16"]}, {"merged": self.targets["stride16"]}, self.masked, weights={}
        )
        assert list(losses) == ["loss"]
        expected = feature_loss(
            self.predictions["stride16"].squeeze(2), self.targets["stride16"].squeeze(2), self.masked
        )
        assert torch.equal(losses["loss"], expected)

    def test_a_weight_of_zero_leaves_a_level_out(self):
        predictions = {name: value.clone().requires_grad_() for name, value in self.predictions.items()}
        weighted_losses(predictions, self.targets, self.masked, weights={"stride8": 0.0})["loss"].backward()
        assert not predictions["stride8"].grad.any()
        assert predictions["stride16"].grad.any()


@torch.no_grad()
def test_the_paper_s_original_form():
    """The moving average's targets at each level are its own levels, less what is the same at one place."""
    backbone = small_pretraining_model().backbone
    model = PerLevelModel(backbone, teacher_dim=32).eval()
    teacher = EmaTeacher(backbone, px=64, mean=(0,) * 3, std=(1,) * 3, levels=True)
    targets = teacher.targets(IMAGES, model.names)
    for name, level in zip(model.names, model.levels(IMAGES), strict=True):
        assert teacher.dim_of(name) == 32
        expected = torch.nn.functional.layer_norm(level - level.mean(0), (32,))
        torch.testing.assert_close(targets[name], expected, atol=1e-4, rtol=1e-4)
    assert teacher.dim_of("auxiliary") == 64
    assert teacher.targets(IMAGES, ("auxiliary",))["auxiliary"].shape == (2, 16, 1, 64)
