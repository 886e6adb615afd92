import pytest

import fastitpn
from fastitpn.errors import InputError


def test_it_takes_the_keys_of_the_command_line(checkpoint, photos, tmp_path):
    out = tmp_path / "out"
    result = fastitpn.visualize("tokens", checkpoint=checkpoint, images=photos, limit=1, out=out, device="cpu")
    assert result.pictures == (out / "chelsea.tokens.png",)


def test_mistakes_name_the_right_word(checkpoint, photos):
    with pytest.raises(InputError, match="no subject 'token'") as caught:
        fastitpn.visualize("token", images=photos)
    assert caught.value.expected == "tokens, features, attention, similarity"
    with pytest.raises(InputError, match=r"weight: unknown key; did you mean weights\?"):
        fastitpn.visualize("tokens", images=photos, model="fastitpn_nano", weight="a.pt")
