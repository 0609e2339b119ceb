"""onnxruntime's side, arrays bound once: python -m tests.benchmarks.peers.onnxruntime_peer THREADS"""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime

from tests.benchmarks.peers.onnx_graph import onnx_model
from tests.benchmarks.peers.server import Built, compiling, serve
from tests.benchmarks.works import Work


def build(work: Work) -> Built:
    x, model = work.data()[0], onnx_model(work).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = int(sys.argv[1]), 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    compiling.start()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding, result = session.io_binding(), np.empty(session.get_outputs()[0].shape, np.float32)
    binding.bind_cpu_input("x", x)
    binding.bind_output("result", "cpu", 0, np.float32, result.shape, result.ctypes.data)
    kept = x, result  # the binding knows their addresses only

    def run() -> np.ndarray:
        session.run_with_iobinding(binding)
        return kept[1]

    return run


if __name__ == "__main__":
    serve(build)
