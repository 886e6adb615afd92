"""Data of another task: the message names the command for it."""

from pathlib import Path

import pytest
from PIL import Image

from fastitpn.commands.registry import all_verbs
from fastitpn.config import parse
from fastitpn.errors import InputError
from fastitpn.tasks.other_task import open_data
from fastitpn.tasks.registry import TASKS

VOC = (
    "<annotation><filename>{0}.jpg</filename><object><name>dog</name><bndbox><xmin>2</xmin><ymin>3</ymin>"
    "<xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for number in range(3):
        for name in ("classes/a", "classes/b", "masks/images", "plain", "voc/JPEGImages"):
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (number, 0, 0)).save(root / name / f"{number}.jpg")
        (root / "masks" / "masks").mkdir(exist_ok=True)
        mask = Image.new("L", (40, 40), number % 2)
        mask.save(root / "masks" / "masks" / f"{number}.png")
        (root / "voc" / "Annotations").mkdir(exist_ok=True)
        (root / "voc" / "Annotations" / f"{number}.xml").write_text(VOC.format(number))
    (root / "table.csv").write_text("image,label\nclasses/a/0.jpg,a\nclasses/b/0.jpg,b\n")
    return root


@pytest.mark.parametrize(
    ("task", "data", "right"),
    [
        ("classify", "masks", "finetune segment"),
        ("classify", "voc", "finetune detect"),
        ("classify", "plain", "pretrain"),
        ("segment", "classes", "finetune classify"),
        ("segment", "table.csv", "finetune classify"),
        ("detect", "classes", "finetune classify"),
        ("detect", "masks", "finetune segment"),
        ("detect", "plain", "pretrain"),
    ],
)
def test_the_fix_is_the_command_for_the_data(folder, task, data, right):
    verb = next(verb for verb in all_verbs() if verb.words == ("finetune", task))
    with pytest.raises(InputError) as caught:
        open_data(TASKS.spec(task), parse(verb.config, [f"data={folder / data}"]))
    assert str(caught.value.fix).startswith(f"fastitpn {right} data={folder / data}, if the data is for that")


def test_data_of_the_task_keeps_its_message(folder):
    verb = next(verb for verb in all_verbs() if verb.words == ("finetune", "detect"))
    with pytest.raises(InputError, match="only boxes") as caught:
        open_data(TASKS.spec("detect"), parse(verb.config, [f"data={folder / 'voc'}"]))
    assert "fastitpn" not in str(caught.value.fix)


def test_data_that_is_not_there_keeps_its_message(tmp_path):
    verb = next(verb for verb in all_verbs() if verb.words == ("finetune", "classify"))
    with pytest.raises(InputError) as caught:
        open_data(TASKS.spec("classify"), parse(verb.config, [f"data={tmp_path / 'nothing'}"]))
    assert "if the data is for that" not in str(caught.value.fix)
