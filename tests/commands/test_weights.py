"""`fastitpn weights`, and published files by name everywhere else: from the cache, never from the network."""

import re
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from published import nano

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.models.weights.official_names import to_official_names
from fastitpn.models.weights.published import PUBLISHED, PublishedFile, file_for_model, published_file
from fastitpn.runs.trained_model import open_checkpoint

MODULES = ("fastitpn.models.weights.published", "fastitpn.commands.weights")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*arguments: object, **keywords: object) -> None:
        raise AssertionError("the network was asked")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("FASTITPN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> PublishedFile:
    """A published file of the smallest model, which nobody has fetched."""
    file = replace(published_file("tiny"), name="nano", file="nano.pt", model="fastitpn_nano", px=64)
    for module in MODULES:
        monkeypatch.setattr(f"{module}.PUBLISHED", (file,))
    return file


@pytest.fixture
def here(small: PublishedFile) -> PublishedFile:
    """The same after it was fetched."""
    torch.manual_seed(0)
    model = nano(num_classes=0, img_size=64, pyramid=True)
    small.path.parent.mkdir()
    torch.save({"module": to_official_names(model.state_dict())}, small.path)
    return small


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 0
    text = capsys.readouterr().out
    assert len(PUBLISHED) == 9
    for file in PUBLISHED:
        for part in (f"{file.name}: {file.file}, for {file.model}", file.what, file.figure, file.link, file.get):
            assert part in text
        assert "published" in file.figure
    assert "180,830,695 bytes, SHA-256 626fd426dd89b2681d8b3942fa00e05fffb467af111c7bbd6a0a4b8bc0afc388" in text
    assert text.count("SHA-256 not known") == 8
    assert (
        len({file.file for file in PUBLISHED} | {file.name for file in PUBLISHED} | {file.drive for file in PUBLISHED})
        == 27
    )


def test_the_list_says_what_is_here(here: PublishedFile, capsys: pytest.CaptureFixture[str]) -> None:
    here.sidecar.write_text(f"{'ab' * 32}  {here.file}\n")
    assert main(["weights"]) == 0
    text = capsys.readouterr().out
    assert f"\n    {here.path}\n" in text
    assert f"SHA-256 {'ab' * 32} (as fetched first)" in text
    assert "not here" not in text


def test_one_of_them_with_what_fetches_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "tiny"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("tiny: fast_itpn_tiny_1600e_1k.pt, for fastitpn_tiny: ")
    assert "fastitpn weights get tiny" in text
    assert "base_21k" not in text
    assert main(["weights", "tny"]) == 2
    assert "no published file is named 'tny'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "fix"), [("bse", "base"), ("fastitpn_large", "large"), ("published:tny", "published:tiny"), ("", None)]
)
def test_an_unknown_name(name: str, fix: str | None) -> None:
    with pytest.raises(InputError, match="no published file is named") as caught:
        published_file(name)
    assert caught.value.fix == (fix or "see what there is: fastitpn weights")
    assert caught.value.expected == ", ".join(file.name for file in PUBLISHED)


def test_where_it_lies(here: PublishedFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "path", "nano"]) == 0
    assert capsys.readouterr().out == f"{here.path}\n"
    assert fastitpn.weights("path", "nano")[0].path == here.path
    assert list(fastitpn.weights()) == [here]
    with pytest.raises(InputError, match="no action 'fetch'"):
        fastitpn.weights("fetch")


@pytest.mark.parametrize(
    ("set_to", "folder"),
    [
        ({"FASTITPN_CACHE": "~/mine", "HOME": "/home/a"}, "/home/a/mine"),
        ({"XDG_CACHE_HOME": "/caches"}, "/caches/fastitpn"),
        ({"HOME": "/home/a"}, "/home/a/.cache/fastitpn"),
    ],
)
def test_the_cache(set_to: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTITPN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert published_file("tiny").path == Path(folder) / "fast_itpn_tiny_1600e_1k.pt"


VERBS = [
    "inspect published:nano",
    "weights path nano",
    "finetune classify data=photos weights=published:nano",
    "pretrain data=photos weights=published:nano",
    "visualize features weights=published:nano images=photos",
    "benchmark weights=published:nano",
    "export published:nano",
    "export official published:nano",
]


@pytest.mark.parametrize("command", VERBS)
def test_no_verb_fetches_it(
    command: str, small: PublishedFile, scenes: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = scenes.unlabelled if command.startswith(("pretrain", "vis")) else scenes.train
    words = command.replace("=photos", f"={photos}").split(" ")
    assert main([*words, *([] if words[0] in ("inspect", "weights") else [f"out={tmp_path / 'run.pt'}"])]) == 2
    error = capsys.readouterr().err
    assert re.search("^published:nano was not fetched yet$", error, re.M)  # below what a training says first
    assert error.endswith("fix:      fastitpn weights get nano\n")


def test_it_is_taken_from_the_cache(here: PublishedFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "published:nano"]) == 0
    assert re.search("model +fastitpn_nano", capsys.readouterr().out)
    report = fastitpn.load_weights(nano(num_classes=0, img_size=64), "published:nano")
    assert report.ok
    with pytest.raises(InputError, match="no published file is named 'nan'") as caught:
        fastitpn.load_weights(nano(num_classes=0), "published:nan")
    assert caught.value.fix == "published:nano"


@pytest.mark.parametrize(
    "arguments",
    [
        {"model_name": "fastitpn_nano"},
        {"model_name": "fastitpn_nano", "num_classes": 0, "in_chans": 4, "img_size": 96},
        {"model_name": "fastitpn_nano", "features_only": True},
        {"model_name": "fastitpn_nano_fpn", "features_only": True},
        {"model_name": "fastitpn_nano_fpn", "pretrained_cfg_overlay": {"input_size": (3, 64, 64)}},
    ],
)
def test_pretrained_models(arguments: dict[str, Any], here: PublishedFile) -> None:
    model = timm.create_model(pretrained=True, **arguments)
    trunk = getattr(model, "model", model)
    stored = torch.load(here.path)["module"]
    assert torch.equal(trunk.stages[2].blocks[0].mlp.fc2.weight, stored["blocks.4.mlp.w3.weight"])
    if trunk.pyramid is not None:
        loaded = to_official_names({n: p for n, p in trunk.state_dict().items() if n.startswith("pyramid.")})
        assert len(loaded) == 44
        assert all(torch.equal(tensor, stored[name]) for name, tensor in loaded.items())


def test_pretrained_models_say_what_to_type(small: PublishedFile) -> None:
    for create in (timm.create_model, fastitpn.create_model):
        with pytest.raises(InputError, match="published:nano was not fetched yet") as caught:
            create("fastitpn_nano", pretrained=True)
        assert caught.value.fix == "fastitpn weights get nano"
        with pytest.raises(InputError, match="no file is published for fastitpn_tiny"):
            create("fastitpn_tiny", pretrained=True)


@pytest.mark.parametrize("name", ["tiny", "small", "base", "large"])
def test_the_file_of_a_model(name: str) -> None:
    assert file_for_model(f"fastitpn_{name}") == published_file(name)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("itpn_base", "itpn_base_clip"),
        ("itpn_base_pixel", "itpn_base_pixel"),
        ("itpn_large", "itpn_large_clip"),
        ("itpn_large_pixel", "itpn_large_pixel"),
    ],
)
def test_pixels_and_clip_are_models_of_their_own(model: str, name: str) -> None:
    assert file_for_model(model) == published_file(name)


def test_a_published_file_is_no_trained_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTITPN_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="published:tiny was not fetched yet") as caught:
        open_checkpoint("published:tiny")
    assert caught.value.fix == "fastitpn weights get tiny"


@pytest.mark.parametrize("asked", ["fastitpn_tiny", "fast_itpn_tiny_1600e_1k", "fast_itpn_tiny_1600e_1k.pt", "Tiny"])
def test_other_words_for_a_published_file_lead_to_its_name(asked: str) -> None:
    with pytest.raises(InputError, match="no published file is named") as caught:
        published_file(f"published:{asked}")
    assert caught.value.fix == "published:tiny"


def test_all_are_fetched_one_by_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def get(file: PublishedFile, url: str | None) -> None:
        asked.append((file.name, url))
        if file.name == "base":
            raise InputError("the server answers 404", fix="url=")

    monkeypatch.setattr("fastitpn.downloading.get.get", get)
    assert main(["weights", "get", "all", "url=https://a.org/b/"]) == 1
    assert asked == [(file.name, "https://a.org/b/") for file in PUBLISHED]
    assert "1 of 9 files could not be fetched: base" in capsys.readouterr().err
    assert main(["weights", "get", "all", "url=https://a.org/b.pt"]) == 2
    assert "fix:      url=https://a.org/b.pt/" in capsys.readouterr().err
    assert main(["weights", "get", "tiny"]) == 0
    assert asked[-1] == ("tiny", None)
