import pytest

from greenlight.assess.measured import measure
from greenlight.errors import EngineError
from tests.chat_model import tiny_chat_model


def test_a_model_is_measured_in_a_process_of_its_own(tmp_path):
    path = tiny_chat_model(tmp_path / "tiny.gguf")
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    found = measure(path, [path], "numpy")
    assert found["size_bytes"] == path.stat().st_size
    assert 0 < found["peak_memory_bytes"] < len(held), "what this process holds is not the model's"
    for run in found["runs"]:
        assert all(run[name] > 0 for name in ("first_token_s", "decode_tok_s", "prefill_tok_s"))


def test_a_model_that_cannot_be_measured_says_why(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"not a model")
    with pytest.raises(EngineError, match="measured") as caught:
        measure(path, [path], "numpy")
    assert caught.value.found
