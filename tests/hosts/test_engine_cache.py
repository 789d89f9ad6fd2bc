"""One engine is kept between jobs, configured anew where that suffices."""

import pytest

from ptychopinn_plugin.backends.protocol import Engine
from ptychopinn_plugin.backends.registry import backend_status
from ptychopinn_plugin.config import Backend, ExecutionConfig, InferenceConfig
from ptychopinn_plugin.errors import BackendUnavailableError
from ptychopinn_plugin.hosts.engine_cache import EngineCache, in_process_engine
from ptychopinn_plugin.monitor import Monitor
from ptychopinn_plugin.worker.client import RemoteEngine
from tests.fake_engine import FakeEngine
from tests.helpers import make_scan
from tests.worker.toy import ToyEngine

PYTORCH = ExecutionConfig(backend='pytorch')
OTHER = ExecutionConfig(backend='pytorch', threads=2)
TENSORFLOW = ExecutionConfig(backend='tensorflow')


def watched(engine: Engine) -> FakeEngine:
    assert isinstance(engine, FakeEngine)
    return engine


def test_an_engine_is_configured_anew_and_stays_warm() -> None:
    cache = EngineCache(FakeEngine)
    first = cache.get(PYTORCH)
    assert cache.get(PYTORCH) is first
    assert watched(first).configs == []
    assert cache.get(OTHER) is cache.get(OTHER) is first
    assert watched(first).configs == [OTHER]
    assert not watched(first).closed


def test_another_backend_needs_another_engine() -> None:
    cache = EngineCache(FakeEngine)
    first = cache.get(PYTORCH)
    second = cache.get(TENSORFLOW)
    assert second is not first
    assert watched(first).closed
    assert watched(second).execution == TENSORFLOW


def test_a_closed_cache_makes_another_engine() -> None:
    cache = EngineCache(FakeEngine)
    cache.close()
    first = cache.get(PYTORCH)
    cache.close()
    assert watched(first).closed
    assert cache.get(PYTORCH) is not first


@pytest.mark.parametrize('kind', [FakeEngine, ToyEngine, RemoteEngine])
def test_every_engine_without_a_framework_can_be_configured_and_closed(kind: type[Engine]) -> None:
    engine = kind(PYTORCH)
    engine.configure(OTHER)
    engine.close()
    engine.close()


def test_the_engines_of_both_backends_can_be_configured_and_closed(backend: Backend) -> None:
    scan, inference = make_scan(side=4), InferenceConfig(refine_iterations=2)
    execution = ExecutionConfig(backend=backend, accelerator='cpu')
    engine = in_process_engine(execution)
    before = engine.reconstruct(scan, inference, None, Monitor())
    if 'mps' not in backend_status(backend).devices:
        with pytest.raises(BackendUnavailableError, match='mps'):
            engine.configure(execution.model_copy(update={'accelerator': 'mps'}))
    engine.configure(execution.model_copy(update={'inference_batch_size': 7}))
    after = engine.reconstruct(scan, inference, None, Monitor())
    engine.close()
    again = engine.reconstruct(scan, inference, None, Monitor())
    assert before.object_canvas.tobytes() == after.object_canvas.tobytes()
    assert before.object_canvas.tobytes() == again.object_canvas.tobytes()
