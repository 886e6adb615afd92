"""Each kind of bad input ends with one message (what, where, expected, what to type), exit code 2, and no result."""

import collections
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import forking
import pytest
import timm
import torch
from PIL import Image
from tiny_runs import ENVIRONMENT, TRAINING, content, files, words

import fastitpn
from fastitpn.cli.main import main
from fastitpn.runs.run import Run

ADVICE = re.compile(
    r"(?P<what>.+?)\n  where:    (?P<where>.+?)\n  expected: (?P<expected>.+?)\n  fix:      (?P<fix>.+)\n", re.S
)


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, str]]:
    """A function that runs a command, which must be refused, and returns the parts of its message."""

    def refuse(*command: str, **keys: object) -> dict[str, str]:
        capsys.readouterr()
        assert main([*command, *words(**keys)]) == 2
        said = capsys.readouterr().err
        assert "Traceback" not in said
        message = "".join(
            line for line in said.splitlines(keepends=True) if not line.startswith(("step ", "fastitpn "))
        )
        message = message.lstrip("\n")
        parts = ADVICE.fullmatch(message)
        assert parts, message
        return parts.groupdict()

    return refuse


@pytest.fixture
def train(refuse, tmp_path) -> Callable[..., dict[str, str]]:
    """`refuse` for a training, which must not leave anything behind."""

    def train(*command: str, **keys: object) -> dict[str, str]:
        message = refuse(*command, **{**TRAINING, "out": tmp_path / "out", **keys})
        assert not (tmp_path / "out").exists()
        return message

    return train


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    """Published weights of another architecture."""
    model = fastitpn.create_pretraining_model("fastitpn_nano", teacher_dim=32, depths=(1, 1, 12), img_size=32)
    path = tmp_path_factory.mktemp("weights") / "other.pt"
    torch.save({"model": fastitpn.to_official_names(model.state_dict())}, path)
    return path


@pytest.fixture(scope="module")
def nano(tmp_path_factory) -> Path:
    """Weights of `fastitpn_nano`, for a model of another name."""
    path = tmp_path_factory.mktemp("weights") / "nano.pt"
    torch.save(fastitpn.create_model("fastitpn_nano").state_dict(), path)
    return path


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> Path:
    """Weights of a teacher."""
    path = tmp_path_factory.mktemp("teacher") / "resnet.pt"
    torch.save(timm.create_model("test_resnet").state_dict(), path)
    return path


PRETRAIN, CLASSIFY = ("pretrain",), ("finetune", "classify")


class TestImages:
    """Folders, tables and files."""

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    @pytest.mark.parametrize(("inside", "found"), [(None, "it has no files"), ("notes.txt", "other files: 1 .txt")])
    def test_a_folder_without_images(self, train, tmp_path, verb, inside, found):
        (tmp_path / "photos").mkdir()
        if inside is not None:
            (tmp_path / "photos" / inside).write_text("text")
        message = train(*verb, data=tmp_path / "photos")
        assert message["what"] == f"no images in this folder ({found})"
        assert message["where"] == str(tmp_path / "photos")
        assert ".jpg" in message["expected"]
        assert "data=FOLDER" in message["fix"]

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_a_folder_that_is_not_there(self, train, tmp_path, verb):
        message = train(*verb, data=tmp_path / "photos")
        assert message["what"] == "this folder does not exist"
        assert message["where"] == str(tmp_path / "photos")
        assert message["fix"] == f"list the folder: ls {tmp_path}"

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_unreadable_and_truncated_images_are_all_named(self, train, scenes, tmp_path, verb):
        data = shutil.copytree(scenes.train, tmp_path / "data")
        cut, text, empty, *_ = sorted(data.rglob("*.jpg"))
        cut.write_bytes(cut.read_bytes()[:400])
        text.write_text("no image")
        empty.write_bytes(b"")
        message = train(*verb, data=data)
        assert message["what"] == "3 of 12 images cannot be read"
        for line in (f"{cut}: ", f"{text}: cannot read this image: not an image", f"{empty}: cannot read this image:"):
            assert line in message["where"]
        assert message["expected"] == "complete image files"
        assert message["fix"].startswith("replace or delete these files")

    def test_an_image_that_is_damaged_in_the_middle_ends_the_run_without_a_result(self, refuse, scenes, tmp_path):
        """Such a file looks whole until it is decoded, here in a worker process."""
        data = tmp_path / "data"
        data.mkdir()
        for index in range(2):
            Image.effect_noise((64, 64), 50).convert("RGB").save(data / f"{index}.png")
        image = (data / "1.png").read_bytes()
        (data / "1.png").write_bytes(image[:500] + bytes(500) + image[1000:])
        message = refuse("pretrain", data=data, **{**TRAINING, "out": tmp_path / "out", "workers": 1})
        assert message["what"].startswith("cannot read this image")
        assert message["where"] == str(data / "1.png")
        assert not Run(tmp_path / "out").complete
        assert Run(tmp_path / "out").best_checkpoint is None

    def test_one_class_only(self, train, scenes, tmp_path):
        shutil.copytree(scenes.train / "mammal", tmp_path / "data" / "mammal")
        message = train(*CLASSIFY, data=tmp_path / "data")
        assert message["what"] == "there is only one class: mammal"
        assert message["where"] == str(tmp_path / "data")
        assert message["expected"] == "at least two classes"
        assert message["fix"].endswith("add a sub-folder (or rows of the table) for another class")

    def test_images_without_class_folders(self, train, scenes):
        message = train(*CLASSIFY, data=scenes.unlabelled)
        assert message["what"] == "no class sub-folders in this folder, only images"
        assert "FOLDER/cat/1.jpg" in message["expected"]

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_a_table_with_unknown_columns(self, train, tmp_path, verb):
        (tmp_path / "t.csv").write_text("picture of,label\na.jpg,cat\n")
        message = train(*verb, data=tmp_path / "t.csv")
        assert message["what"] == "1 line of this list is wrong"
        assert message["where"].startswith(str(tmp_path / "t.csv"))
        assert "line 1: column 'image' is missing (the columns are 'picture of', 'label')" in message["where"]
        assert "`image,label`" in message["expected"]
        assert message["fix"] == "correct the first line"


class TestWeights:
    """Files to start from."""

    def test_of_another_size(self, train, scenes, nano):
        message = train(*CLASSIFY, data=scenes.train, weights=nano, model="fastitpn_tiny")
        assert message["what"] == "these are weights of fastitpn_nano, the model has embed_dim=384, depths=(1, 1, 12)"
        assert message["where"] == str(nano)
        assert message["fix"] == "model=fastitpn_nano, or weights=FILE of fastitpn_tiny"

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_of_another_architecture(self, train, scenes, other, verb):
        message = train(*verb, data=scenes.train, weights=other)
        assert (
            "weights of embed_dim=192, depths=(1, 1, 12), the model has embed_dim=192, depths=(1, 1, 6)"
            in message["what"]
        )
        assert message["where"] == str(other)
        assert message["expected"] == "weights of the same architecture"

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_of_another_network(self, train, scenes, tmp_path, verb):
        torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pt")
        message = train(*verb, data=scenes.train, weights=tmp_path / "vit.pt")
        assert message["what"].startswith("these are not Fast-iTPN weights")
        assert message["fix"] == "give a published file of Fast-iTPN, iTPN or HiViT, or one that fastitpn wrote"

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_that_are_damaged(self, train, scenes, tmp_path, nano, verb):
        (tmp_path / "half.pt").write_bytes(nano.read_bytes()[:1000])
        message = train(*verb, data=scenes.train, weights=tmp_path / "half.pt")
        assert message["what"].startswith("the file is damaged or no PyTorch file")
        assert message["where"] == str(tmp_path / "half.pt")

    def test_that_are_not_there(self, train, scenes, tmp_path):
        message = train(*CLASSIFY, data=scenes.train, weights=tmp_path / "a.pt")
        assert (message["what"], message["where"]) == ("no such weights file", str(tmp_path / "a.pt"))

    def test_that_want_to_run_code(self, train, scenes, tmp_path):
        torch.save({"model": {"a": torch.zeros(1)}, "hook": subprocess.Popen}, tmp_path / "a.pt")
        message = train(*CLASSIFY, data=scenes.train, weights=tmp_path / "a.pt")
        assert message["what"] == "these are not Fast-iTPN weights"
        torch.save(collections.deque(), tmp_path / "b.pt")
        message = train(*CLASSIFY, data=scenes.train, weights=tmp_path / "b.pt")
        assert message["what"].startswith("refused to load: the file wants to call 'collections.deque'")

    def test_of_a_teacher_of_another_width(self, train, scenes, pretrained_run, tmp_path):
        torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "vit.pt")
        message = train(
            "pretrain",
            data=scenes.unlabelled,
            weights=pretrained_run.directory,
            teacher="timm:test_vit",
            teacher_weights=tmp_path / "vit.pt",
        )
        assert "2 WRONG SHAPE: predictor.weight, predictor.bias" in message["what"]
        assert message["where"] == str(pretrained_run.best_checkpoint)
        assert message["expected"] == "teacher_dim=192, as in the file"
        assert message["fix"] == (
            "weights=FILE of a pre-training with the same objective, predictor and width of teacher, "
            "or leave weights out"
        )

    @pytest.mark.parametrize("verb", ["evaluate", "predict"])
    def test_to_use_that_are_no_classifier(self, refuse, scenes, pretrained_run, tmp_path, verb):
        message = refuse(verb, str(pretrained_run.directory), str(scenes.val), out=tmp_path / "out")
        assert message["what"] == f"a checkpoint of the task 'pretrain' has nothing to {verb}"
        assert message["expected"] == "a checkpoint of one of the tasks classify, segment, detect"
        assert message["fix"].startswith("fastitpn finetune classify data=FOLDER weights=")

    @pytest.mark.parametrize("verb", ["evaluate", "predict"])
    def test_to_use_that_are_not_there(self, refuse, scenes, tmp_path, verb):
        message = refuse(verb, str(tmp_path / "run"), str(scenes.val), out=tmp_path / "out")
        assert message["what"] == "there is no such checkpoint or run"
        assert message["where"] == str(tmp_path / "run")


class TestNamesAndSizes:
    """Keys whose values do not fit the network."""

    @pytest.mark.parametrize(("verb", "px"), [(PRETRAIN, 50), (CLASSIFY, 100), (PRETRAIN, 16)])
    def test_a_px_that_is_no_multiple_of_16(self, capsys, tmp_path, verb, px):
        assert main([*verb, f"data={tmp_path}", f"px={px}", f"out={tmp_path / 'out'}"]) == 2
        message = capsys.readouterr().err
        assert "px: expected a whole number of at least 32, a multiple of 16" in message
        assert f"got '{px}'" in message
        assert f"fix:      fastitpn {' '.join(verb)} --help" in message
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    @pytest.mark.parametrize(("name", "near"), [("fastitpn_tinny", "fastitpn_tiny"), ("base", "fastitpn_base")])
    def test_an_unknown_model(self, train, scenes, verb, name, near):
        message = train(*verb, data=scenes.train, model=name)
        assert (message["what"], message["where"]) == (f"there is no model '{name}'", "model")
        assert message["fix"] == f"model={near}"

    def test_a_teacher_that_timm_lacks(self, train, scenes):
        message = train("pretrain", data=scenes.unlabelled, teacher="timm:resnet81")
        assert (message["what"], message["where"]) == ("timm has no model 'resnet81'", "teacher")
        assert message["fix"] == "teacher=timm:resnet18"

    @pytest.mark.parametrize(("name", "hint"), [("resnet18", ""), ("eam", "; did you mean ema?")])
    def test_an_unknown_teacher(self, capsys, scenes, tmp_path, name, hint):
        keys = {**TRAINING, "data": scenes.unlabelled, "teacher": name, "out": tmp_path / "out"}
        assert main(["pretrain", *words(**keys)]) == 2
        said = capsys.readouterr().err
        forms = (
            "ema, timm:NAME (any image encoder of timm), features:FOLDER (of pretrain cache-features), pixel, "
            "several of these joined by + (timm:A+timm:B)"
        )
        assert said.startswith(f"teacher: expected one of {forms}, got {name!r}{hint}\n")
        assert "fix:      fastitpn pretrain --help" in said
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("px", [50, 128])
    def test_a_teacher_whose_grid_does_not_fit(self, train, scenes, resnet, px):
        keys = {"teacher": "timm:test_resnet", "teacher_weights": resnet, "teacher_px": px}
        message = train("pretrain", data=scenes.unlabelled, **keys)
        assert f"at {px} px it has {px / 32:g} patches a side, the student has 2" in message["what"]
        assert (message["where"], message["expected"]) == ("teacher.px", "64 px (stride 32)")
        assert message["fix"] == "teacher.px=64, or leave teacher.px out"

    def test_a_teacher_of_a_fixed_size(self, train, scenes, tmp_path):
        torch.save(timm.create_model("gmlp_ti16_224").state_dict(), tmp_path / "a.pt")
        keys = {"teacher": "timm:gmlp_ti16_224", "teacher_weights": tmp_path / "a.pt"}
        message = train("pretrain", data=scenes.unlabelled, **keys)
        assert message["what"].startswith("the teacher does not run at 32 px")
        assert message["fix"] == "px=224, or another teacher=timm:NAME"

    def test_a_teachers_weights_of_another_model(self, train, scenes, resnet):
        keys = {"teacher": "timm:test_vit", "teacher_weights": resnet}
        message = train("pretrain", data=scenes.unlabelled, **keys)
        assert message["what"].startswith("the teacher's weights do not fit")
        assert message["where"] == str(resnet)
        assert message["fix"].startswith("teacher.weights=FILE of this very model")

    def test_a_teachers_weights_that_are_not_there(self, train, scenes, tmp_path):
        keys = {"teacher": "timm:test_vit", "teacher_weights": tmp_path / "a.pt"}
        message = train("pretrain", data=scenes.unlabelled, **keys)
        assert message["what"] == "there is no such file of the teacher's weights"

    def test_a_size_for_the_moving_average(self, train, scenes):
        message = train("pretrain", data=scenes.unlabelled, teacher_px=64)
        assert message["what"] == "teacher.px is 64, but teacher=ema sees the student's 32 px"
        assert (message["where"], message["expected"]) == ("teacher.px", "none, or 32")

    def test_all_that_is_wrong_at_once(self, capsys, tmp_path):
        assert main(["pretrain", f"data={tmp_path}", "px=50", "tacher=ema", "steps=0", "mask=2"]) == 2
        message = capsys.readouterr().err
        assert message.startswith("4 errors in the configuration:")
        assert "tacher: unknown key; did you mean teacher?" in message


class TestOut:
    """Where the results go."""

    def test_the_directory_of_another_run(self, refuse, scenes, pretrained_run, classifier_run):
        before = {name: (pretrained_run.directory / name).read_bytes() for name in files(pretrained_run.directory)}
        out = pretrained_run.directory
        message = refuse("pretrain", data=scenes.unlabelled, **{**TRAINING, "steps": 9, "out": out})
        why = "schedule=cosine spreads the learning rate over the whole run: only one with schedule=constant can grow"
        assert message["what"] == f"the folder holds a run with other settings\n    steps: 3 there, 9 now ({why})"
        assert message["where"] == str(out)
        assert message["fix"].startswith(f"out={out}-2")
        message = refuse("finetune", "classify", data=scenes.train, **{**TRAINING, "out": out})
        assert "command: pretrain there, finetune classify now" in message["what"]
        message = refuse("evaluate", str(classifier_run.directory), str(scenes.val), out=out)
        assert message["what"] == "out is the directory of a run, whose report would be replaced"
        assert message["fix"] == f"out={out}/evaluation"
        assert {name: (out / name).read_bytes() for name in files(out)} == before

    @pytest.mark.parametrize("verb", [PRETRAIN, CLASSIFY])
    def test_a_folder_with_other_things(self, refuse, scenes, tmp_path, verb):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").write_text("mine")
        message = refuse(*verb, data=scenes.train, **{**TRAINING, "out": tmp_path / "out"})
        assert message["what"] == "the folder is not empty, and no run directory"
        assert message["fix"] == f"out={tmp_path / 'out-2'}"
        assert files(tmp_path / "out") == ["notes.txt"]

    @pytest.mark.parametrize("inside", ["", "/deeper"])
    @pytest.mark.parametrize("verb", ["pretrain", "evaluate", "predict"])
    def test_a_file_in_the_way(self, refuse, scenes, classifier_run, tmp_path, verb, inside):
        (tmp_path / "file").write_text("mine")
        out = f"{tmp_path / 'file'}{inside}"
        if verb == "pretrain":
            message = refuse(verb, data=scenes.unlabelled, **{**TRAINING, "out": out})
        else:
            message = refuse(verb, str(classifier_run.directory), str(scenes.val), out=out, device="cpu")
        assert str(tmp_path / "file") in message["where"]
        assert message["fix"].startswith("out=")
        assert (tmp_path / "file").read_text() == "mine"


class TestNoSpace:
    """A full disk: nothing that was whole is lost, and nothing half-written is taken for a result."""

    @pytest.fixture
    def disk(self, tmp_path) -> Iterator[Path]:
        """A disk of 60 MiB: there is room for one checkpoint of a training, but not for two."""
        folder = tmp_path / "disk"
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder], capture_output=True).returncode:
            pytest.skip("this user may not mount a disk")
        yield folder
        subprocess.run(["umount", "--lazy", folder], check=True)

    def test_the_last_whole_checkpoint_is_kept_and_the_run_goes_on(self, refuse, scenes, disk, tmp_path):
        keys = {**TRAINING, "data": scenes.train, "val": scenes.val, "scratch": "true", "ema": None}
        keys |= {"checkpoint_every": 1, "eval_every_epochs": 9}
        message = refuse("finetune", "classify", **keys, out=disk / "run")
        assert message["what"] == "last.ckpt could not be written: the disk is full"
        assert message["where"] == str(disk / "run" / "checkpoints" / "last.ckpt")
        assert message["expected"] == f"room in {disk / 'run' / 'checkpoints'}"
        assert "type the same command again: a run continues from its last checkpoint" in message["fix"]
        run = Run(disk / "run")
        assert not run.complete
        assert files(disk / "run" / "checkpoints") == ["last.ckpt"]
        assert content(run)["step"] == 1

        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
        assert main(["finetune", "classify", *words(**keys, out=disk / "run")]) == 0
        assert main(["finetune", "classify", *words(**keys, out=tmp_path / "unbroken")]) == 0
        for name, value in content(Run(tmp_path / "unbroken"))["weights"].items():
            assert torch.equal(content(Run(disk / "run"))["weights"][name], value)

    def test_a_disk_without_room_for_one_checkpoint(self, refuse, scenes, disk):
        (disk / "filler").write_bytes(bytes(50 * 2**20))
        message = refuse("pretrain", data=scenes.unlabelled, **{**TRAINING, "out": disk / "run"})
        assert message["what"] == "last.ckpt could not be written: the disk is full"
        assert files(disk / "run" / "checkpoints") == []
        message = refuse(
            "finetune", "classify", data=scenes.train, weights=disk / "run", **{**TRAINING, "out": disk / "b"}
        )
        assert message["what"] == "this folder holds no weights"

    @pytest.mark.parametrize("verb", ["evaluate", "predict"])
    def test_results_appear_whole_or_not_at_all(self, refuse, scenes, classifier_run, disk, verb):
        (disk / "out").mkdir()
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        message = refuse(verb, str(classifier_run.directory), str(scenes.val), out=disk / "out", device="cpu")
        assert "the disk is full" in message["what"] or "no space left" in message["what"]
        assert files(disk / "out") == []

    def test_a_limit_on_the_size_of_files(self, scenes, tmp_path):
        """What any user can try: the system stops the writing of the first checkpoint half-way."""
        limited = (
            "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 2**20,) * 2);"
            "from fastitpn.cli.main import entry; entry()"
        )
        keys = words(**{**TRAINING, "data": scenes.unlabelled, "out": tmp_path / "run"})
        command = [sys.executable, "-W", "error", "-c", limited, "pretrain", *keys]
        done = forking.run(command, env=ENVIRONMENT, timeout=120)
        assert done.returncode == 2, done.stderr
        assert "last.ckpt could not be written: File too large" in done.stderr
        assert "Traceback" not in done.stderr
        assert files(tmp_path / "run" / "checkpoints") == []
        assert not Run(tmp_path / "run").complete
        assert main(["pretrain", *keys]) == 0
        assert Run(tmp_path / "run").complete
