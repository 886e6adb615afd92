"""`fastitpn pretrain cache-features`, and pre-training with what it stored."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from tiny_runs import TRAINING

import fastitpn
from fastitpn.config import build
from fastitpn.data.feature_shards import read_index, shard_path
from fastitpn.data.images.folders import unlabelled
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.components import Components
from fastitpn.tasks.pretrain.cache_features import COMPONENTS
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import build_dataset, build_task

KEYS = {"device": "cpu", "workers": 0, "batch": 5}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> dict[str, object]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "vit.pth"
    torch.save(timm.create_model("test_vit").state_dict(), path)
    return {"name": "timm:test_vit", "weights": path, "px": 64}


@pytest.fixture
def stored(scenes, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr("fastitpn.tasks.pretrain.cache_features.images_per_shard", lambda side, dim: 5)
    return fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, out=tmp_path / "features", **KEYS)


def test_they_are_what_the_teacher_gives_for_the_whole_image(scenes, teacher, tmp_path, monkeypatch):
    """With no crop and no flip, to half precision; of square images, since crops keep their aspect."""
    monkeypatch.setattr("fastitpn.tasks.pretrain.cache_features.images_per_shard", lambda side, dim: 5)
    folder = tmp_path / "square"
    folder.mkdir()
    for path in scenes.unlabelled.iterdir():
        Image.open(path).resize((64, 64)).save(folder / f"{path.stem}.png")
    stored = fastitpn.cache_features(data=folder, teacher=teacher, out=tmp_path / "features", **KEYS)
    index = read_index(stored)
    assert (index.side, index.dim, index.num_shards, len(index.images)) == (4, 64, 3, 12)
    whole = {**TRAINING, "px": 64, "data": folder, "crop_scale": (1, 1), "hflip": 0}
    targets = []
    for name in (f"features:{stored}", teacher):
        config = build(PretrainConfig, {**whole, "teacher": name})
        task = build_task(config)
        dataset = build_dataset(config, unlabelled(folder), task.teacher)
        batch = torch.stack([dataset[0, i]["teacher_image"] for i in range(12)])
        targets.append(task.teacher(batch))
    assert torch.nn.functional.cosine_similarity(*targets, dim=-1).min() > 0.999


def test_it_goes_on_where_it_stopped(scenes, stored, teacher, monkeypatch):
    before = [shard_path(stored, shard).read_bytes() for shard in range(3)]
    shard_path(stored, 1).unlink()
    (stored / ".00001.npy.tmp").write_bytes(b"half")
    written = []
    from fastitpn.data import feature_shards

    monkeypatch.setattr(
        "fastitpn.tasks.pretrain.cache_features.write_shard",
        lambda *arguments: (written.append(arguments[1]), feature_shards.write_shard(*arguments)),
    )
    fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, out=stored, **KEYS)
    assert written == [1]
    assert [shard_path(stored, shard).read_bytes() for shard in range(3)] == before


def test_a_run_learns_from_them_and_its_crops_differ(scenes, stored, tmp_path):
    run = fastitpn.pretrain(
        data=scenes.unlabelled, teacher=f"features:{stored}", out=tmp_path / "run", **{**TRAINING, "px": 64}
    )
    assert run.complete
    assert (run.directory / "report.html").is_file()


@pytest.mark.parametrize("name", ["ema", "resnet18"])
def test_other_teachers_have_nothing_to_store(scenes, tmp_path, name):
    with pytest.raises(InputError, match=f"teacher '{name}' has no features to store") as caught:
        fastitpn.cache_features(data=scenes.unlabelled, teacher=name, out=tmp_path / "features", **KEYS)
    assert (caught.value.where, caught.value.fix) == ("teacher", "teacher=timm:vit_base_patch16_clip_224.openai")


def test_the_folder_of_a_run_is_left_alone(scenes, pretrained_run, teacher):
    with pytest.raises(InputError, match="out is the directory of a run"):
        fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, out=pretrained_run.directory, **KEYS)


def test_the_main_components_are_nearly_the_same_target(scenes, teacher, tmp_path):
    """Of standardised features: cosines among them are nearly what they were among all."""
    whole = fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, out=tmp_path / "whole", **KEYS)
    main = fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, dims=24, out=tmp_path / "main", **KEYS)
    assert (read_index(main).dim, read_index(main).components_of) == (24, 64)
    features, kept = (
        torch.from_numpy(np.load(shard_path(folder, 0))).float().flatten(0, 1) for folder in (whole, main)
    )
    components = Components.from_state_dict(torch.load(main / COMPONENTS, weights_only=True))
    torch.testing.assert_close(components(features), kept, atol=0.05, rtol=0.01)
    standard = (features - features.mean(0)) / features.std(0)
    share = kept.var(0).sum() / standard.var(0).sum()
    assert 0.75 < share < 1
    assert share == pytest.approx(components.kept, abs=0.02)
    cosines = [
        torch.nn.functional.normalize(x, dim=1) @ torch.nn.functional.normalize(x, dim=1).T for x in (standard, kept)
    ]
    assert torch.corrcoef(torch.stack([x.flatten() for x in cosines]))[0, 1] > 0.95


def test_components_are_found_once(scenes, teacher, tmp_path, monkeypatch):
    """An interrupted command goes on with those that the first files were projected on."""
    monkeypatch.setattr("fastitpn.tasks.pretrain.cache_features.images_per_shard", lambda side, dim: 5)
    keys = {"data": scenes.unlabelled, "teacher": teacher, "dims": 8, "out": tmp_path / "features", **KEYS}
    stored = fastitpn.cache_features(**keys)
    before = [shard_path(stored, shard).read_bytes() for shard in range(3)]
    shard_path(stored, 1).unlink()
    monkeypatch.setattr(Components, "of", None)
    fastitpn.cache_features(**keys)
    assert [shard_path(stored, shard).read_bytes() for shard in range(3)] == before
    with pytest.raises(InputError, match="features of other images or of another teacher"):
        fastitpn.cache_features(**{**keys, "dims": 9})


def test_a_run_learns_from_components(scenes, teacher, tmp_path):
    stored = fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, dims=8, out=tmp_path / "main", **KEYS)
    keys = {**TRAINING, "px": 64, "objective": "per_level"}
    assert fastitpn.pretrain(
        data=scenes.unlabelled, teacher=f"features:{stored}", out=tmp_path / "run", **keys
    ).complete


def test_more_components_than_there_are(scenes, teacher, tmp_path):
    with pytest.raises(InputError, match=r"no 64 components.*\n.*\n.*fewer than their width, 64\n.*dims=32"):
        fastitpn.cache_features(data=scenes.unlabelled, teacher=teacher, dims=64, out=tmp_path / "features", **KEYS)
