"""A network is found in a file under any key and prefix, and what stands beside it is named."""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from published import nano
from safetensors.torch import save_file
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.models.weights.loading import load_weights
from fastitpn.models.weights.official_names import to_official_names

State = dict[str, Tensor]


def make(seed: int, **arguments: Any) -> State:
    torch.manual_seed(seed)
    return to_official_names(nano(**{"num_classes": 0, "img_size": 64, **arguments}).state_dict())


@pytest.fixture(scope="module")
def state() -> State:
    return make(0)


@pytest.fixture(scope="module")
def other() -> State:
    return make(1)


def named(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def stem(state: State) -> Tensor:
    return state["patch_embed.proj.weight"]


def is_of(file: WeightsFile, state: State) -> bool:
    return torch.equal(file.tensors["patch_embed.proj.weight"], stem(state))


KEYS = ["model", "module", "model_ema", "state_dict", "net", "network", "ema", "model_state_dict", "weights", "best"]
PREFIXES = ["", "encoder.body.", "backbone.", "model.backbone.", "module.", "module.encoder.body.", "_orig_mod.module."]
BESIDE = {"decoder.conv.weight": torch.zeros(2), "text_encoder.a.b": torch.zeros(3), "decoder.bn.mean": torch.zeros(1)}


@pytest.mark.parametrize("key", KEYS)
def test_every_key(key: str, state: State) -> None:
    file = read_weights({"epoch": 3, key: state, "optimizer": {"state": {0: {"exp_avg": torch.zeros(1)}}}})
    assert (file.key, file.prefix, dict(file.parts), file.notes) == (key, "", {}, ())
    assert is_of(file, state)
    assert read_weights({"outer": {key: state}}).key == f"outer.{key}"


@pytest.mark.parametrize("prefix", PREFIXES[1:])
def test_every_prefix(prefix: str, state: State) -> None:
    file = read_weights({"net": {**BESIDE, **named(prefix, state)}})
    assert (file.key, file.prefix) == ("net", prefix)
    assert is_of(file, state)
    assert file.model == "fastitpn_nano"
    assert dict(file.parts) == dict.fromkeys(BESIDE, "other parts of the network (decoder, text_encoder)")
    report = load_weights(nano(num_classes=5, img_size=64), file)
    assert report.ok
    assert report.set_aside == dict(file.parts)
    assert "3 not needed here: other parts of the network (decoder, text_encoder)" in report.verdict


def test_lists_of_dictionaries(state: State, tmp_path: Path) -> None:
    for content, key in (((state, {"epoch": 1}), "0"), ([{"model": state}], "0.model"), ({"a": [3, state]}, "a.1")):
        torch.save(content, tmp_path / "x.pth")
        assert read_weights(tmp_path / "x.pth").key == key


def test_our_names_in_a_larger_network() -> None:
    ours = {name: tensor for name, tensor in nano(num_classes=0).state_dict().items() if not name.startswith("fc_norm")}
    for prefix in ("encoder.body.", "tracker.backbone."):
        file = read_weights({"net": {**named(prefix, ours), "box_head.weight": torch.zeros(2)}})
        assert load_weights(nano(num_classes=0, global_pool=""), file).set_aside.keys() == {"box_head.weight"}


def test_a_whole_module_and_a_dictionary_for_each_layer(state: State, tmp_path: Path) -> None:
    model = nano(num_classes=0)
    torch.save({"model": nn.ModuleDict({"backbone": model, "neck": nn.Linear(1, 1)})}, tmp_path / "x.pth")
    file = read_weights(tmp_path / "x.pth")
    assert (file.key, file.prefix) == ("model", "backbone.")
    assert torch.equal(file.tensors["patch_embed.proj.weight"], model.patch_embed.proj.weight)
    assert "objects of torch.nn.modules.container.ModuleDict" in file.notes[0]
    nested: dict[str, Any] = {}
    for name, tensor in state.items():
        *path, last = name.split(".")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = tensor
    file = read_weights({"params": nested})
    assert (file.key, len(file.tensors)) == ("params", len(read_weights(state).tensors))


# ------------------------------------------------------------------ several networks in a file


@pytest.mark.parametrize(
    ("keys", "average"),
    [
        (("model", "model_ema"), "key=model_ema"),
        (("state_dict", "state_dict_ema"), "key=state_dict_ema"),
        (("net", "ema"), "key=ema"),
        (("weights", "averaged_weights"), "key=averaged_weights"),
        (("model", "swa"), "key=swa"),
    ],
)
def test_an_average_is_named_and_taken_when_asked_for(
    keys: tuple[str, str], average: str, state: State, other: State
) -> None:
    content = {keys[1]: other, keys[0]: state}
    file = read_weights(content)
    assert is_of(file, state)
    assert file.notes == (f"took key={keys[0]}; {average} takes the average",)
    assert file.notes[0] in load_weights(nano(num_classes=0, img_size=64), content).verdict
    assert is_of(read_weights(content, key=keys[1]), other)
    model = nano(num_classes=0, img_size=64)
    load_weights(model, content, key=keys[1])
    assert torch.equal(model.patch_embed.proj.weight, stem(other))


def test_prefixes_of_averages(state: State, other: State) -> None:
    content = {"state_dict": {**named("model.", state), **named("ema_model.module.", other)}}
    assert is_of(read_weights(content), state)
    assert read_weights(content).notes == ("took prefix=model; prefix=ema_model.module takes the average",)
    assert is_of(read_weights(content, prefix="ema_model.module"), other)


def test_one_must_be_asked_for(state: State, other: State) -> None:
    content = {"teacher": state, "student": other}
    with pytest.raises(
        InputError, match=r"has 2 networks: key=(teacher|student), .*\n(.*\n)*  fix: .* or key="
    ) as caught:
        read_weights(content)
    assert caught.value.fix == "key=teacher or key=student"  # as in the file
    assert is_of(read_weights(content, key="teacher"), state)
    content = {**named("backbone.", state), **named("backbone_v2.", other)}
    with pytest.raises(InputError, match="the file has 2 networks: prefix=backbone, prefix=backbone_v2"):
        read_weights(content)
    assert is_of(read_weights(content, prefix="backbone_v2."), other)


def test_what_is_asked_for_is_not_there(state: State) -> None:
    with pytest.raises(InputError, match=r"no network at key=ema\n(.*\n)*  expected: key=model\n"):
        read_weights({"model": state}, key="ema")
    with pytest.raises(InputError, match=r"no network at prefix=encoder\n(.*\n)*  expected: neither key nor prefix\n"):
        read_weights(state, prefix="encoder")


# ------------------------------------------------------------------ blocks


def test_blocks(state: State) -> None:
    file = read_weights(state, blocks="2-4")
    assert (file.depths, file.model, file.arguments()["depths"]) == ((1, 1, 3), "fastitpn_nano", (1, 1, 3))
    assert len(file.parts) == 3 * 21
    model = nano(num_classes=0, img_size=64, depths=(1, 1, 3))
    assert load_weights(model, state, blocks="2-4").ok
    assert torch.equal(model.stages[2].blocks[0].norm1.weight, state["blocks.5.norm1.weight"])
    assert torch.equal(model.stages[2].blocks[2].gamma_1, state["blocks.7.gamma_1"])


@pytest.mark.parametrize("blocks", ["0-3", "1-7", "3-2", "a", "7", "-1", "1-", ""])
def test_blocks_that_are_not_there(blocks: str, state: State) -> None:
    if blocks == "1-":
        assert read_weights(state, blocks=blocks).depths[2] == 1
        return
    with pytest.raises(
        InputError, match=rf"blocks={blocks} in weights with 6 blocks(.*\n)*.*from 1 to 6\n.*blocks=1-3"
    ):
        read_weights(state, blocks=blocks)


# ------------------------------------------------------------------ several files


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_shards(kind: str, state: State, tmp_path: Path) -> None:
    base = "model" if kind == "safetensors" else "pytorch_model"
    names = list(state)
    parts = [names[:50], names[50:100], names[100:]]
    files = [f"{base}-0000{n}-of-00003.{kind}" for n in (1, 2, 3)]
    for file, part in zip(files, parts, strict=True):
        piece = {name: state[name].contiguous() for name in part}
        save_file(piece, tmp_path / file) if kind == "safetensors" else torch.save(piece, tmp_path / file)
    index = tmp_path / f"{base}.{kind}.index.json"
    index.write_text(json.dumps({"weight_map": {n: f for f, part in zip(files, parts, strict=True) for n in part}}))
    for source in (index, tmp_path, tmp_path / files[1]):
        file = read_weights(source)
        assert len(file.tensors) == len(read_weights(state).tensors)
        assert is_of(file, state)
    (tmp_path / files[2]).unlink()
    for source in (index, tmp_path / files[0]):
        with pytest.raises(InputError, match=f"1 of the 3 files of these weights are not there: {files[2]}\n"):
            read_weights(source)
    for content in ('{"weight_map": {"a": "../x.bin"}}', '{"weight_map": {}}', "[]", "{", '{"weight_map": 3}'):
        index.write_text(content)
        with pytest.raises(InputError, match=r"this is no index of weights\n"):
            read_weights(index)


# ------------------------------------------------------------------ clients


TYPES = {f"{name}_token": torch.zeros(192) for name in ("template_background", "template_foreground", "search")}
CLIENTS: dict[str, tuple[str, State, State]] = {  # prefix, beside the trunk's, beside the trunk
    "SUTrack": ("encoder.body.", TYPES, {"text_encoder.clip.a": torch.zeros(1), "task_decoder.b": torch.zeros(1)}),
    "MCITrack": ("encoder.body.", TYPES, {"neck.interactions.0.a": torch.zeros(1), "neck.layers.0.b": torch.zeros(1)}),
    "CSTrack or ATCTrack": (
        "backbone.",
        {
            "token_type_search": torch.zeros(1, 1, 192),
            "pos_embed_z": torch.zeros(1, 8, 192),
            "pos_embed_x": torch.zeros(1, 16, 192),
        },
        {"box_head.a": torch.zeros(1)},
    ),
    "DUTrack": (
        "backbone.",
        {
            "temporal_token": torch.zeros(1, 1, 192),
            "temporal_pos_embed": torch.zeros(1, 1, 192),
            "descript_embedding.word_embeddings.weight": torch.zeros(3, 192),
            "description_patch_pos_embed.embed.weight": torch.zeros(2, 2),
            "pos_embed_z": torch.zeros(1, 4, 192),
        },
        {"box_head.a": torch.zeros(1)},
    ),
    "Rotated_fast_itpn": (
        "backbone.",
        {
            "outnorm0.weight": torch.zeros(48),
            "out_norms.0.weight": torch.zeros(48),
            "out_norms.3.1.bias": torch.zeros(192),
        },
        {"neck.a": torch.zeros(1), "rpn_head.b": torch.zeros(1)},
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_checkpoints_of_clients(client: str, state: State) -> None:
    prefix, inside, beside = CLIENTS[client]
    file = read_weights({"net": {**named(prefix, {**state, **inside}), **beside}, "settings": None})
    assert (file.client, file.model) == (client, "fastitpn_nano")
    unused = {"pos_embed_x": "pos_embed"}  # a tracker that has its own table leaves that of pre-training alone
    assert file.parts.keys() == {*(unused.get(name, name) for name in inside), *beside}
    assert file.client_tensors.keys() - {"pos_embed"} == inside.keys()
    report = load_weights(nano(num_classes=5, img_size=96), file)
    assert report.ok
    assert report.share == 1


@pytest.mark.parametrize("class_token", [False, True])
def test_a_tracker_s_table_of_search_and_template(class_token: bool, state: State) -> None:
    table = torch.randn(1, 16 + 4, 192)
    tracker = {**state, **TYPES, "pos_embed": table, **({"cls_token": torch.ones(1, 1, 192)} if class_token else {})}
    tracker["patch_embed.proj.weight"] = torch.randn(48, 6, 4, 4)
    file = read_weights({"net": named("encoder.body.", tracker)})
    assert (file.px, file.num_tokens, file.in_chans) == (64, 16, 6)
    model = nano(num_classes=0, img_size=64, in_chans=6)
    assert load_weights(model, file).ok
    assert torch.equal(model.pos_embed, table[:, :16])
    if class_token:
        model = nano(num_classes=0, img_size=64, in_chans=6, class_token=True)
        assert load_weights(model, file).ok
        assert torch.equal(model.pos_embed, torch.cat([torch.zeros(1, 1, 192), table[:, :16]], 1))
    model = nano(num_classes=0, img_size=96)
    report = load_weights(model, file)
    assert report.resized["pos_embed"] == "4x4 -> 6x6 (bicubic)"
    kernel = tracker["patch_embed.proj.weight"]
    assert torch.equal(model.patch_embed.proj.weight, kernel[:, :3] + kernel[:, 3:])


def test_experts_are_named_and_the_blocks_before_them_load(state: State) -> None:
    last = "blocks.9."
    tracker = {n: t for n, t in state.items() if not n.startswith(f"{last}mlp.")}
    tracker |= {f"{last}experts.w1_weight": torch.zeros(2, 4, 4), f"{last}to_slot_embeds.0.weight": torch.zeros(4, 4)}
    content = OrderedDict(net=named("encoder.body.", {**tracker, **TYPES}))
    file = read_weights(content)
    assert file.client == "UETrack"
    with pytest.raises(InputError, match=r"blocks without experts: blocks=1-5, and a model with depths=\(1, 1, 5\)"):
        load_weights(nano(num_classes=0, img_size=64), file)
    assert load_weights(nano(num_classes=0, img_size=64, depths=(1, 1, 5)), content, blocks="1-5").ok
