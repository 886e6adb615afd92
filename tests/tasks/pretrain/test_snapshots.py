"""Pictures of the levels while they are learnt."""

import pytest
import torch
from PIL import Image
from published import randn, small_pretraining_model

from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.snapshots import TILE_PX, snapshot_steps, take_snapshots
from fastitpn.tasks.pretrain.task import PretrainTask


@pytest.mark.parametrize(
    ("steps", "expected"), [(1, [1]), (3, [1, 3]), (64, [1, 4, 16, 64]), (1000, [1, 62, 250, 1000])]
)
def test_steps(steps, expected):
    assert snapshot_steps(steps) == expected


def test_pictures_are_taken_at_their_steps_and_leave_the_task_as_it_was(tmp_path):
    about = PretrainDescription(model={}, mean=(0.5,) * 3, std=(0.5,) * 3, px=64, teacher={})
    task = PretrainTask(small_pretraining_model(), Teacher(), about).train()
    batch = {"image": randn(2, 3, 64, 64)}
    watch = take_snapshots(tmp_path / "pictures", batch, steps=64, to_device=lambda x: x)
    state = torch.get_rng_state()
    before = {name: value.clone() for name, value in task.state_dict().items()}
    for step in [step for step in range(1, 17) if step in watch.steps]:
        watch.look(step, task.trained_model)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in task.state_dict().items())
    assert task.trained_model.training
    pictures = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures == ["step-00000001.png", "step-00000004.png", "step-00000016.png"]
    with Image.open(tmp_path / "pictures" / pictures[0]) as picture:
        assert picture.size == (3 * TILE_PX, 2 * TILE_PX)


def test_where_memory_runs_out_they_are_drawn_of_half_as_many_images(tmp_path, monkeypatch):
    model, batch = small_pretraining_model(), {"image": randn(2, 3, 64, 64)}
    watch = take_snapshots(tmp_path, batch, steps=1, to_device=lambda x: x)
    watch.look(1, model)
    expected, levels = (tmp_path / "step-00000001.png").read_bytes(), model.levels
    sizes = []

    def limited(images):
        sizes.append(len(images))
        if len(images) > 1:
            raise MemoryError
        return levels(images)

    monkeypatch.setattr(model, "levels", limited)
    watch.look(1, model)
    assert (sizes, (tmp_path / "step-00000001.png").read_bytes()) == ([2, 1, 1], expected)
