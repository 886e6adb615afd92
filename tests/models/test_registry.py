import pytest
import timm
import torch
from published import nano

import fastitpn
from fastitpn.errors import InputError
from fastitpn.models.registry import ARCHITECTURES, create_model

SIZES = ("nano", "tiny", "small", "base", "large")
OTHERS = ("base", "large", "base_pixel", "large_pixel")


@pytest.mark.parametrize(
    ("family", "sizes"), [("fastitpn", SIZES), ("itpn", OTHERS), ("hivit", ("tiny", "small", "base"))]
)
def test_timm_lists_the_sizes_and_their_pyramid_aliases(family: str, sizes: tuple[str, ...]) -> None:
    names = {f"{family}_{size}" for size in sizes}
    assert names <= set(ARCHITECTURES)
    assert set(timm.list_models(f"{family}*")) == names | {f"{name}_fpn" for name in names}
    # the aliases have no settings of their own, as timm asks of aliases
    assert set(timm.list_models(f"{family}*", name_matches_cfg=True)) == names
    assert not timm.list_models(f"{family}*", pretrained=True)


@pytest.mark.parametrize("size", SIZES)
def test_native_sizes_and_settings(size: str) -> None:
    model = timm.create_model(f"fastitpn_{size}", device="meta")
    px = {"nano": 64, "large": 256}.get(size, 224)
    assert model.pos_embed.shape == (1, (px // 16) ** 2, model.embed_dim)
    assert model.default_cfg["input_size"] == (3, px, px)
    assert model.embed_dim // ARCHITECTURES[f"fastitpn_{size}"].num_heads == 64
    assert timm.data.resolve_model_data_config(model)["crop_pct"] == 0.875


def test_arguments_of_timm() -> None:
    model = timm.create_model("fastitpn_nano", img_size=96, in_chans=4, num_classes=7, drop_path_rate=0.1)
    assert model.pos_embed.shape == (1, 36, 192)
    assert model(torch.zeros(1, 4, 96, 96)).shape == (1, 7)
    assert create_model("fastitpn_nano", img_size=(64, 128)).grid_size == (4, 8)
    assert create_model("fastitpn_nano", num_classes=0, global_pool="")(torch.zeros(1, 3, 64, 64)).shape[-1] == 192


def test_dtype_and_device() -> None:
    model = create_model("fastitpn_nano", pyramid=True, dtype=torch.bfloat16, device="cpu")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert all(p.is_meta for p in create_model("fastitpn_large_fpn", device="meta").parameters())


@pytest.mark.parametrize("name", ["fastitpn_nano", "fastitpn_nano_fpn"])
def test_a_pyramid_is_built_on_request_or_by_name(name: str) -> None:
    assert (create_model(name).pyramid is not None) == name.endswith("_fpn")
    assert create_model(name, pyramid=True).pyramid is not None


def test_features_only() -> None:
    stages = timm.create_model("fastitpn_nano", features_only=True)
    assert stages.feature_info.channels() == [48, 96, 192]
    assert stages.feature_info.reduction() == [4, 8, 16]
    pyramid = timm.create_model("fastitpn_nano_fpn", features_only=True)
    assert pyramid.feature_info.channels() == [64] * 5
    assert pyramid.feature_info.reduction() == [4, 8, 16, 32, 64]
    sides = [feature_map.shape[-1] for feature_map in pyramid(torch.zeros(1, 3, 128, 128))]
    assert sides == [32, 16, 8, 4, 2]
    assert (
        len(timm.create_model("fastitpn_nano_fpn", features_only=True, out_indices=(1, 2))(torch.zeros(1, 3, 64, 64)))
        == 2
    )


def test_a_wrong_name_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"no model is named 'fastitpn_bas'\n(.*\n)*.*create_model\('fastitpn_base'\)"):
        create_model("fastitpn_bas")
    with pytest.raises(InputError, match=r"expected: *fastitpn_nano, fastitpn_tiny") as caught:
        create_model("resnet50")
    assert "fix:" not in str(caught.value)


def test_a_wrong_argument_is_not_swallowed() -> None:
    with pytest.raises(TypeError, match="drop_path_ratio"):
        create_model("fastitpn_nano", drop_path_ratio=0.1)


def test_the_package_offers_it() -> None:
    assert fastitpn.create_model is create_model
    assert type(nano()).__name__ == "FastITPN"
