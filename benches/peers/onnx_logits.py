"""Writes the logits of a graph as bytes to stdout: python onnx_logits.py MODEL HISTORIES_OF_F32 ITEMS (see ../onnx.mjs)."""

import json
import sys

import numpy as np
import onnx
import onnxruntime

path, histories, items = sys.argv[1], sys.argv[2], int(sys.argv[3])
onnx.checker.check_model(onnx.load(path), full_check=True)
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
assert len(json.loads(session.get_modelmeta().custom_metadata_map["recvae.items"])) == items
dense = np.fromfile(histories, dtype=np.float32).reshape(-1, items)
[logits] = session.run(None, {"history": dense})
sys.stdout.buffer.write(logits.tobytes())
