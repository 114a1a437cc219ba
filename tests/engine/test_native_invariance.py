"""The same promise on the kernels that people run: the same bits in every batch, cache state and number of threads."""

import pytest

from greenlight.engine import Engine
from greenlight.ops import native
from tests.builders import tiny_decoder
from tests.engine.fake_decoder import FakeTokenizer
from tests.engine.test_invariance import run
from tests.engine.workload import make_requests

pytestmark = pytest.mark.skipif(not native.available(), reason=f"the native ops are not built: {native.why_not()}")

CIRCUMSTANCES = {
    "in one go": {},
    "two at a time in small bites without a prefix cache": {
        "max_sequences": 2,
        "max_batch_tokens": 23,
        "prefix_cache": False,
    },
    "many at a time": {"max_sequences": 100, "max_batch_tokens": 4096},
    "on so few pages that some start again": {"n_pages": 6, "max_sequences": 16, "max_batch_tokens": 60},
}


@pytest.fixture(scope="module", params=["F32", "Q4_0"])
def decoder(request, tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("tiny"), native.NativeOps(), kind=request.param)


@pytest.fixture(scope="module")
def requests():
    return make_requests(60, 97, seed=1)


@pytest.fixture(scope="module")
def alone(decoder, requests):
    engine = Engine(decoder, FakeTokenizer(), prefix_cache=False)
    return {request.id: run(engine, [request])[request.id] for request in requests}


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def _threads(request):
    before = native.threads()
    native.set_threads(request.param)
    yield
    native.set_threads(before)


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("circumstances", CIRCUMSTANCES)
def test_a_request_gets_the_bits_that_it_gets_alone(decoder, requests, alone, circumstances):
    engine = Engine(decoder, FakeTokenizer(), **CIRCUMSTANCES[circumstances])
    assert run(engine, requests[::-1]) == alone
    if "start again" in circumstances:
        assert engine.n_preempted > 2
    assert run(engine, requests) == alone  # with what the first time left in the cache
