// Whether ONNX runtimes compute the scores of the models: prints the table of docs/migrating.md.
//
// node benches/onnx.mjs [PYTHON] a Python with numpy, onnx and onnxruntime; without it only onnxruntime-node is asked,
// which
//                                  `npm install --no-save --ignore-scripts onnxruntime-node` brings. One of both has to be there.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportModel, fit, Interactions } from '../dist/index.js';

const MODELS = {
  recvae: { epochs: 2 },
  'recvae, encoder shallow': { epochs: 2, encoder: 'shallow' },
  'mult-vae': { epochs: 2 },
  'mult-dae': { epochs: 2 },
};
const USERS = 300;
const K = 100;

const python = process.argv[2];
const node = await import('onnxruntime-node').catch(() => undefined);
if (python === undefined && node === undefined) throw new Error('neither a Python is given nor onnxruntime-node there');

/** Logits by onnxruntime-node, row by row. */
async function byNode(path, dense, shape) {
  const session = await node.InferenceSession.create(path);
  const { logits } = await session.run({ history: new node.Tensor('float32', dense, shape) });
  return logits.data;
}

/** Logits by Python's onnxruntime, after onnx has checked the file. */
function byPython(path, dense, shape, folder) {
  const input = join(folder, 'history.f32');
  writeFileSync(input, new Uint8Array(dense.buffer));
  const script = fileURLToPath(new URL('peers/onnx_logits.py', import.meta.url));
  const bytes = execFileSync(python, [script, path, input, String(shape[1])], { maxBuffer: 1 << 30 });
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

/** The indices of the K largest scores of a row. */
const best = (row) => [...row.keys()].sort((a, b) => row[b] - row[a] || a - b).slice(0, K);

const data = await Interactions.dataset('debian');
const folder = mkdtempSync(join(tmpdir(), 'recvae-onnx-'));
console.log(
  '| model | runtime | largest difference of a score | of the largest score | users with the same 100 best | file, MB |',
);
console.log('| --- | --- | --- | --- | --- | --- |');
try {
  for (const [name, options] of Object.entries(MODELS)) {
    const model = await fit(name.split(',')[0], data, options);
    const path = join(folder, 'model.onnx');
    await exportModel(model, path);
    const n = model.itemIds.length;
    const index = new Map(model.itemIds.map((id, at) => [id, at]));
    // One user without any item is among them.
    const histories = [
      [],
      ...data
        .userIds()
        .slice(1, USERS)
        .map((user) => data.history(user)),
    ];
    const dense = new Float32Array(histories.length * n);
    histories.forEach((history, row) => {
      for (const id of history) dense[row * n + index.get(id)] = 1;
    });
    const all = await model.recommendColumns(histories, { k: n, filterSeen: false, fallback: 'none' });
    const ours = new Float32Array(dense.length);
    all.items.forEach((item, at) => {
      ours[Math.floor(at / n) * n + item] = all.scores[at];
    });
    const shape = [histories.length, n];
    const found = {
      ...(node && { 'onnxruntime-node': await byNode(path, dense, shape) }),
      ...(python && { 'onnxruntime (Python)': byPython(path, dense, shape, folder) }),
    };
    for (const [runtime, logits] of Object.entries(found)) {
      if (logits.length !== ours.length) throw new Error(`${logits.length} logits; allowed: ${ours.length}`);
      let [worst, largest, same] = [0, 0, 0];
      logits.forEach((logit, at) => {
        worst = Math.max(worst, Math.abs(logit - ours[at]));
        largest = Math.max(largest, Math.abs(ours[at]));
      });
      for (let row = 0; row < histories.length; row += 1) {
        const of = (scores) => best(scores.subarray(row * n, (row + 1) * n)).toString();
        if (of(logits) === of(ours)) same += 1;
      }
      const cells = [name, runtime, worst.toExponential(1), (worst / largest).toExponential(1)];
      cells.push(`${same} of ${histories.length}`, (statSync(path).size / 1e6).toFixed(1));
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
