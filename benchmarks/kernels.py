"""How fast are the native products here? GB/s of weights read for one row, billions of operations per second for more.

Weights of about 100 MB are cycled through, so that one row measures memory as decoding does, not a cache. Times are CPU
time of the calling thread where one thread runs, else wall time: on a busy machine run with --threads 1.

    python benchmarks/kernels.py [--threads N] [--isa NAME] [--types Q4_1,Q8_0] [--rows 1,8,32,512]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from greenlight.formats.tensors import Tensor, TensorType
from greenlight.ops import native
from greenlight.ops.native import NativeOps
from greenlight.ops.protocol import Batch

TOTAL_BYTES = 100e6
SHAPES = {"up": (1536, 576), "down": (576, 1536)}


def random_tensor(rng: np.random.Generator, type_: TensorType, rows: int, columns: int) -> Tensor:
    """Random weights: for floats of ordinary size (tiny ones would be timed as subnormals), for blocks any bytes."""
    if type_.quantised:
        empty = Tensor("weight", type_, (rows, columns), np.empty(0, np.uint8))
        data = rng.integers(0, 60, empty.n_bytes, dtype=np.uint8)
    else:
        values = rng.standard_normal((rows, columns)).astype(np.float16 if type_ is TensorType.F16 else np.float32)
        data = values.reshape(-1).view(np.uint8)
        if type_ is TensorType.BF16:
            data = np.ascontiguousarray(values.reshape(-1).view(np.uint16)[1::2]).view(np.uint8)
    return Tensor("weight", type_, (rows, columns), data)


def best_seconds(fn: Callable[[], object], clock: Callable[[], float], repeats: int) -> float:
    """The fastest of some runs: what the code can do, where others disturb it."""
    fn()
    times = []
    for _ in range(repeats):
        start = clock()
        fn()
        times.append(clock() - start)
    return min(times)


def measure(ops: NativeOps, type_: TensorType, n: int, k: int, rows: int, repeats: int) -> tuple[float, float]:
    """GB/s and Gop/s of one product of `rows` rows with (n, k) weights."""
    rng = np.random.default_rng(0)
    tensor = random_tensor(rng, type_, n, k)
    weights = [ops.pack_linear([tensor], [None]) for _ in range(max(1, int(TOTAL_BYTES / tensor.n_bytes)))]
    ints = np.zeros(rows, np.int32)
    pages = ops.new_pages((rows + 31) // 32, [])
    table = np.arange((rows + 31) // 32, dtype=np.int32)[None]
    batch = Batch(tokens=ints, starts=np.array([0, rows], np.int32), past=ints[:1], page_tables=table, outputs=ints[:1])
    step = ops.begin(batch, pages)
    x = ops.from_numpy(step, rng.standard_normal((rows, k)).astype(np.float32))

    def run() -> None:
        for weight in weights:
            ops.linear(step, x, weight)

    clock = time.thread_time if native.threads() == 1 else time.perf_counter
    seconds = best_seconds(run, clock, repeats) / len(weights)
    return tensor.n_bytes / seconds / 1e9, 2 * rows * n * k / seconds / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--isa")
    parser.add_argument("--types", default=",".join(type_.name for type_ in TensorType if type_ is not TensorType.U8))
    parser.add_argument("--rows", default="1,2,4,8,16,32,128,512")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.threads:
        native.set_threads(arguments.threads)
    ops = NativeOps(isa=arguments.isa)
    print(f"{ops.identity}, {native.threads()} threads; GB/s at 1 row, then Gop/s")
    for type_ in arguments.types.split(","):
        for label, (n, k) in SHAPES.items():
            if k % TensorType[type_].block_values:
                continue
            cells = []
            for rows in map(int, arguments.rows.split(",")):
                bandwidth, operations = measure(ops, TensorType[type_], n, k, rows, arguments.repeats)
                cells.append(f"{rows}: {bandwidth:.1f} GB/s" if rows == 1 else f"{rows}: {operations:.0f}")
            print(f"{type_:5} {label:5} ({n}, {k})  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
