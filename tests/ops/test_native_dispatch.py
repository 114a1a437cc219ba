"""Which kernels run is decided by what the CPU has; the environment can take features away, and give none."""

from __future__ import annotations

import pytest

from greenlight.errors import ConfigError
from greenlight.ops import native
from greenlight.ops.native import NativeOps

pytestmark = pytest.mark.skipif(not native.available(), reason=f"no native kernels: {native.why_not()}")

NEEDS = {
    "avx512vnni": {"avx2", "fma", "f16c", "avx512", "avx512vnni"},
    "avx2": {"avx2", "fma", "f16c"},
    "neon": {"dotprod"},
    "portable": set(),
}
FEATURES = sorted({feature for needs in NEEDS.values() for feature in needs})


@pytest.mark.parametrize("missing", FEATURES)
def test_without_a_feature_no_table_runs_that_uses_it(monkeypatch, missing):
    here = native.usable_isas()
    monkeypatch.setenv("GREENLIGHT_CPU_WITHOUT", missing)
    assert native.usable_isas() == [isa for isa in here if missing not in NEEDS[isa]]
    assert missing not in native.cpu_features()
    assert NativeOps().isa == native.usable_isas()[0]


def test_without_all_features_the_portable_table_runs(monkeypatch):
    monkeypatch.setenv("GREENLIGHT_CPU_WITHOUT", ",".join(FEATURES))
    assert native.usable_isas() == ["portable"]
    assert native.cpu_features() == []


def test_a_table_is_usable_exactly_where_its_features_are_there():
    features = set(native.cpu_features())
    assert all(NEEDS[isa] <= features for isa in native.usable_isas())


def test_a_forced_table_that_the_cpu_lacks_is_refused(monkeypatch):
    for isa in native.usable_isas():
        if isa == "portable":
            continue
        monkeypatch.setenv("GREENLIGHT_CPU_WITHOUT", next(iter(NEEDS[isa])))
        with pytest.raises(ConfigError, match=isa):
            NativeOps(isa=isa)
        monkeypatch.setenv("GREENLIGHT_ISA", isa)
        with pytest.raises(ConfigError, match=isa):
            NativeOps()
        monkeypatch.delenv("GREENLIGHT_ISA")
    for isa in set(NEEDS) - set(native.usable_isas()):
        with pytest.raises(ConfigError, match=isa):
            NativeOps(isa=isa)


@pytest.mark.parametrize("wish", ["avx1024", "+avx512", "AVX2"])
def test_a_feature_that_no_table_asks_for_is_a_mistake(monkeypatch, wish):
    monkeypatch.setenv("GREENLIGHT_CPU_WITHOUT", wish)
    for ask in (native.usable_isas, native.cpu_features, NativeOps):
        with pytest.raises(ConfigError, match="GREENLIGHT_CPU_WITHOUT"):
            ask()
