"""The recipes that come with the package, by name."""

import pytest

import fastitpn
from fastitpn.cli.main import main
from fastitpn.config import shipped
from fastitpn.config.parse import build, parse
from fastitpn.errors import InputError
from fastitpn.tasks.pretrain.config import PretrainConfig


def test_they_are_listed_with_what_they_are_for(capsys):
    listed = fastitpn.recipes()
    assert {"classify_small", "pretrain_imagenet_base"} <= {recipe.name for recipe in listed}
    out = capsys.readouterr().out
    for recipe in listed:
        assert recipe.name in out
        assert recipe.sentence in out
        assert f"recipe={recipe.name}" in recipe.header["command"]


def test_one_is_printed_as_it_is(capsys):
    assert main(["recipes", "pretrain_small.yaml"]) == 0
    assert capsys.readouterr().out == (shipped.folder() / "pretrain_small.yaml").read_text()


@pytest.mark.parametrize("name", ["pretrain_small", "pretrain_small.yaml"])
def test_a_name_is_as_good_as_a_path(name):
    path = shipped.folder() / "pretrain_small.yaml"
    expected = parse(PretrainConfig, [f"recipe={path}", "data=a"])
    assert parse(PretrainConfig, [f"recipe={name}", "data=a"]) == expected
    assert build(PretrainConfig, {"recipe": name, "data": "a"}) == expected


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrain_small.yaml").write_text("px: 32\ndata: a\n")
    assert parse(PretrainConfig, ["recipe=pretrain_small.yaml"]).px == 32


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(InputError, match="no recipe 'clasify_small'") as caught:
        fastitpn.recipes("clasify_small")
    assert caught.value.fix == "fastitpn recipes classify_small"
    with pytest.raises(InputError, match=r"did you mean recipe=pretrain_small\?"):
        parse(PretrainConfig, ["recipe=pretrian_small", "data=a"])
