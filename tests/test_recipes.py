"""Every shipped recipe is one of its command, and says what it is."""

import dataclasses
import re
from pathlib import Path

import pytest

from fastitpn.commands.registry import all_verbs
from fastitpn.config import Config, parse
from fastitpn.models.registry import ARCHITECTURES
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.segment.heads.upernet import UPerNetKeys

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
JOB = ROOT / "recipes" / "pretrain_slurm.sbatch"
HEADER = ("command", "hardware", "time", "figure", "source")


def header(recipe: Path) -> dict[str, str]:
    """The lines `#   name  text` before the first key."""
    comments = re.match(r"(#.*\n)+", recipe.read_text(encoding="utf-8"))
    assert comments, "a recipe begins with what it is"
    found = re.findall(r"^#   (\w+) +(\S.*)$", comments[0], re.M)
    assert len(dict(found)) == len(found)
    return dict(found)


def command(recipe: Path) -> tuple[type[Config], list[str]]:
    """The configuration of the header's command, and its arguments."""
    program, *words = header(recipe)["command"].split()
    assert program == "fastitpn"
    verb = next(verb for verb in all_verbs() if tuple(words[: len(verb.words)]) == verb.words)
    return verb.config, words[len(verb.words) :]


def test_there_are_recipes():
    assert len(RECIPES) >= 7
    assert [path for path in (ROOT / "recipes").iterdir() if path not in RECIPES] == [JOB]


def test_the_job_of_slurm_starts_as_many_tasks_as_its_command_has_devices():
    text = JOB.read_text(encoding="utf-8")
    words = re.search(r"^srun .* fastitpn pretrain (.*)$", text.replace("\\\n", " "), re.M)[1].split()
    config = parse(PretrainConfig, words)
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", text, re.M))
    assert (config.nodes, config.devices) == (int(options["nodes"]), int(options["ntasks-per-node"]))
    assert options["gpus-per-node"] == options["ntasks-per-node"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
class TestRecipe:
    def test_its_header_says_what_to_expect(self, recipe):
        assert tuple(header(recipe)) == HEADER
        assert re.match(r"# \S.*\.\n|# \S.*\n# ", recipe.read_text(encoding="utf-8"))

    def test_its_command_is_right(self, recipe, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)  # a recipe is found by its name, wherever one is
        config_class, words = command(recipe)
        assert f"recipe={recipe.stem}" in words
        config = parse(config_class, words)
        assert config == parse(config_class, words)
        alone = parse(config_class, [f"recipe={recipe}", "data=DATA"])
        free = {"data", "weights", "out"}
        for field in dataclasses.fields(config):  # the command adds nothing but places
            if field.name not in free:
                assert getattr(config, field.name) == getattr(alone, field.name), field.name

    def test_its_model_is_one_of_ours(self, recipe):
        config_class, _ = command(recipe)
        name = parse(config_class, [f"recipe={recipe}", "data=DATA"]).model
        assert name is None or name in ARCHITECTURES

    def test_its_batch_is_that_of_its_hardware(self, recipe):
        config_class, _ = command(recipe)
        config = parse(config_class, [f"recipe={recipe}", "data=DATA"])
        match = re.match(
            r"(\d+) GPUs x batch (\d+)(?: x accumulate (\d+))?(?: = (\d+) images)?", header(recipe)["hardware"]
        )
        if match is None:
            assert config.devices * config.nodes == 1
            return
        gpus, batch, accumulate, total = (int(number) if number else None for number in match.groups())
        assert (config.devices * config.nodes, config.batch) == (gpus, batch)
        assert config.accumulate == (accumulate or 1)
        assert total in (None, gpus * batch * config.accumulate)


@pytest.mark.parametrize(
    ("name", "px", "top1", "epochs", "warmup", "lr", "layer_decay", "drop_path", "images"),
    [
        ("tiny", 224, 85.1, 100, 5, 1e-4, 0.80, 0.1, 1024),
        ("tiny_384", 384, 86.2, 100, 5, 1e-4, 0.80, 0.1, 1024),
        ("tiny_512", 512, 86.5, 100, 5, 1e-4, 0.80, 0.1, 1024),
        ("small", 224, 86.4, 100, 5, 1e-4, 0.90, 0.1, 1024),
        ("small_384", 384, 86.95, 100, 5, 1e-4, 0.90, 0.1, 1024),
        ("small_512", 512, 87.8, 100, 5, 1e-4, 0.90, 0.1, 1024),
        ("base", 224, 87.4, 20, 3, 1e-4, 0.90, 0.1, 1024),
        ("base_512", 512, 88.5, 20, 3, 1e-4, 0.90, 0.1, 1024),
        ("base_512_after_21k", 512, 88.75, 20, 3, 1e-4, 0.90, 0.1, 1024),
        ("large", 640, 89.5, 20, 3, 5e-5, 0.95, 0.2, 512),
    ],
)
def test_published_fine_tuning(name, px, top1, epochs, warmup, lr, layer_decay, drop_path, images):
    recipe = ROOT / "recipes" / f"classify_imagenet_{name}.yaml"
    config = parse(command(recipe)[0], [f"recipe={recipe}", "data=DATA"])
    assert (config.model, config.px) == (f"fastitpn_{name.split('_')[0]}", px)
    assert header(recipe)["figure"].startswith(f"published: {top1} % top-1 at {px} px")
    assert (config.epochs, config.warmup_epochs, config.lr) == (epochs, warmup, lr)
    assert (config.layer_decay, config.drop_path) == (layer_decay, drop_path)
    assert config.devices * config.nodes * config.batch * config.accumulate == images
    assert (config.mixup, config.cutmix, config.mixup_switch, config.label_smoothing) == (0.8, 1.0, 0.5, 0.1)
    assert (config.random_erasing, config.rand_augment) == (0.25, "rand-m9-mstd0.5-inc1")
    assert (config.weight_decay, config.betas, config.min_lr) == (0.05, (0.9, 0.999), 1e-6)
    assert (config.clip_grad, config.ema, config.crop_scale) == (None, 0.9999, (0.08, 1.0))


@pytest.mark.parametrize("epochs", [1600, 300])
@pytest.mark.parametrize(
    ("size", "side", "hidden", "drop_path"),
    [("tiny", 14, 75, 0.1), ("small", 14, 75, 0.1), ("base", 14, 75, 0.1), ("large", 16, 105, 0.2)],
)
def test_published_pre_training(size, side, hidden, drop_path, epochs):
    recipe = ROOT / "recipes" / f"pretrain_imagenet_{size}{'' if epochs == 1600 else '_300'}.yaml"
    config = parse(command(recipe)[0], [f"recipe={recipe}", "data=DATA"])
    assert (config.model, config.px, config.epochs) == (f"fastitpn_{size}", 16 * side, epochs)
    assert (config.lr, config.min_lr, config.betas) == (1.5e-3, 1e-5, (0.9, 0.98))
    assert (config.weight_decay, config.clip_grad, config.drop_path, config.warmup_epochs) == (0.05, 3.0, drop_path, 10)
    assert (config.loss, config.loss_on, config.crop_scale, config.hflip) == ("cosine", "masked", (0.2, 1.0), 0.5)
    assert (config.objective, config.predictor, config.auxiliary, config.norm) == ("merged", "linear", 0, "end")
    assert round(config.mask.ratio * side * side) == hidden
    assert config.devices * config.nodes * config.batch * config.accumulate == 2048
    assert "not known: we have not run it" in header(recipe)["time"]


@pytest.mark.parametrize(
    ("name", "detector", "epochs", "lr", "layer_decay", "drop_path"),
    [
        ("large_mask_rcnn_1x", "mask_rcnn", 12, 2e-4, 0.95, 0.2),
        ("base_mask_rcnn_1x", "mask_rcnn", 12, 2e-4, 0.90, 0.05),
        ("base_mask_rcnn_3x", "mask_rcnn", 36, 1.5e-4, 0.90, 0.3),
        ("base_cascade_1x", "cascade_mask_rcnn", 12, 1e-4, 0.90, 0.2),
        ("base_cascade_3x", "cascade_mask_rcnn", 36, 1e-4, 0.90, 0.2),
        ("base_dino_1x", "dino", 12, 1e-4, 0.90, 0.2),
        ("large_dino_1x", "dino", 12, 1e-4, 0.95, 0.2),
    ],
)
def test_published_detection(name, detector, epochs, lr, layer_decay, drop_path):
    recipe = ROOT / "recipes" / f"detect_coco_{name}.yaml"
    config = parse(command(recipe)[0], [f"recipe={recipe}", "data=DATA"])
    assert (config.model, config.detector.name) == (f"fastitpn_{name.split('_')[0]}", detector)
    assert (config.px, config.max_px, config.multi_scale) == (800, 1333, tuple(range(480, 801, 32)))
    drops = ((11 / 12,), 0) if detector == "dino" else (None, 500)
    assert (config.epochs, config.schedule) == (epochs, "step")
    assert (config.milestones, config.warmup_steps) == drops
    assert (config.lr, config.layer_decay, config.drop_path) == (lr, layer_decay, drop_path)
    assert (config.hflip, config.crop, config.jitter, config.photometric) == (0.5, 0.5, None, False)
    if detector == "dino":  # its own publication's, where iTPN's is not public
        assert (config.weight_decay, config.clip_grad) == (1e-4, 0.1)
        assert (config.detector.queries, config.detector.layers, config.detector.denoising) == (900, 6, 100)
        assert (config.detector.width, config.detector.box_noise, config.detector.neck) == (None, 1.0, "pyramid")
    else:
        assert (config.weight_decay, config.betas) == (0.05, (0.9, 0.999))
        form = config.detector
        assert (form.box_head, form.box_loss, form.region_loss, form.sampling) == ("conv", "giou", "l1", 0)
        assert detector == "mask_rcnn" or form.own_regions
    assert config.devices * config.nodes * config.batch * config.accumulate == (16 if detector == "dino" else 64)
    assert "not known: we have not run it" in header(recipe)["time"]
    assert "not known" in header(recipe)["figure"]


@pytest.mark.parametrize(
    ("name", "queries", "steps", "px", "layer_decay", "milestones"),
    [
        ("segment_ade20k_base", 100, 160_000, 512, 0.90, (27 / 32, 15 / 16)),
        ("segment_ade20k_large", 100, 160_000, 512, 0.95, (27 / 32, 15 / 16)),
        ("panoptic_coco_base", 300, None, 1024, 0.90, (8 / 9, 26 / 27)),
    ],
)
def test_published_maskdino(name, queries, steps, px, layer_decay, milestones):
    recipe = ROOT / "recipes" / f"{name}_maskdino.yaml"
    config = parse(command(recipe)[0], [f"recipe={recipe}", "data=DATA"])
    assert (config.head.name, config.head.queries, config.head.layers, config.head.denoising) == (
        "maskdino",
        queries,
        None,
        100,
    )
    assert (config.panoptic, config.steps, config.px) == (steps is None, steps, px)
    assert (config.lr, config.weight_decay, config.clip_grad) == (1e-4, 0.05, 0.01)
    assert (config.max_class_ratio, config.layer_decay) == (1.0, layer_decay)
    assert (config.schedule, config.milestones) == ("step", milestones)
    assert config.devices * config.nodes * config.batch * config.accumulate == 16
    assert "not known: we have not run it" in header(recipe)["time"]


@pytest.mark.parametrize(("size", "decay"), [("base", 0.90), ("large", 0.95)])
def test_published_segmentation(size, decay):
    recipe = ROOT / "recipes" / f"segment_ade20k_{size}.yaml"
    config = parse(command(recipe)[0], [f"recipe={recipe}", "data=DATA"])
    assert (config.model, config.head) == (
        f"fastitpn_{size}",
        UPerNetKeys(width=768, auxiliary_weight=0.4, dropout=0.1),
    )
    assert (config.px, config.scale_range, config.max_class_ratio, config.photometric) == (512, (0.5, 2.0), 0.75, True)
    assert (config.steps, config.warmup_steps, config.schedule) == (160_000, 1500, "poly")
    assert (config.lr, config.min_lr, config.betas, config.weight_decay) == (3e-5, 0, (0.9, 0.999), 0.05)
    assert config.layer_decay == pytest.approx(decay ** (13 / 46), abs=1e-4)
    assert (config.drop_path, config.reduce_zero_label) == (0.2, True)
    assert config.devices * config.nodes * config.batch * config.accumulate == 16
