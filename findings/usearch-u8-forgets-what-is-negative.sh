#!/usr/bin/env bash
# usearch (JavaScript) 2.26.2: quantization 'u8' makes 0 of every negative component of a vector, and 'e2m3' cuts off what is above 7.5, even
# for the cosine, with neither an error nor a word in the manual.
#
# Expected: eight unsigned bits map the range of the vectors to 0 to 255, as scalar quantisers elsewhere do, so that 'u8' is about as good as
# 'i8', of which alone the manual says that it wants cosine-like metrics, since it normalises; the cosine does not mind how long vectors are.
# Seen: by 'u8' (1, -9) is the same vector as (1, 0), and (-1, 0) is as far from it as (0, 1) is. Of 1,000 vectors with components of both
# signs 'i8' finds nine in ten of the nearest ten, and 'u8' less than half; where all components are positive both find nine in ten. By 'e2m3'
# (4, 80) is the same vector as (4, 7.5); it finds more than seven in ten, and less than half once the same vectors are 20 times as long.
# What it means for recvae: vectors of items, such as the factors of ALS, have both signs, and an index of them that is fast and small may give
# other items than the model. Here the lists are exact: every item is scored.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error --ignore-scripts usearch@2.26.2 >/dev/null
cat >nearest.mjs <<'JS'
import { exactSearch, Index } from 'usearch';

const fill = (vectors, metric, quantization) => {
  const index = new Index({ dimensions: vectors[0].length, metric, quantization });
  index.add(BigUint64Array.from(vectors, (_, row) => BigInt(row)), Float32Array.from(vectors.flat()), 1);
  return index;
};
const near = (vectors, from, quantization) => {
  const { keys, distances } = fill(vectors, 'cos', quantization).search(Float32Array.from(from), vectors.length, 1);
  const far = vectors.map((vector, row) => `(${vector.join(', ')}) ${Math.abs(distances[keys.indexOf(BigInt(row))]).toFixed(2)}`);
  console.log(`${quantization}, from (${from.join(', ')}): ${far.join(', ')}`);
};
for (const quantization of ['f32', 'i8', 'u8']) near([[1, 0], [1, -9], [0, 1], [-1, 0]], [1, 0], quantization);
for (const quantization of ['f32', 'e2m3']) near([[4, 7.5], [4, 80], [40, 75]], [0, 1], quantization);

let state = 1;
const uniform = () => (state = (Math.imul(state, 48271) >>> 0) % 2147483647) / 2147483647;
const dimensions = 32;
const vector = () => Array.from({ length: dimensions }, () => uniform() + uniform() + uniform() + uniform() - 2);
const items = Array.from({ length: 1000 }, vector);
const users = Array.from({ length: 50 }, vector);
const share = (change, quantization) => {
  const [of, from] = [items, users].map((rows) => rows.map((row) => row.map(change)));
  const asked = Float32Array.from(from.flat());
  const exact = exactSearch(Float32Array.from(of.flat()), asked, dimensions, 10, 'cos', 1);
  const found = fill(of, 'cos', quantization).search(asked, 10, 1);
  const hits = from.map((_, user) => exact.get(user).keys.filter((key) => found.get(user).keys.includes(key)).length);
  return hits.reduce((sum, count) => sum + count) / (10 * from.length);
};
const changes = { 'both signs': (x) => 2 * x, 'all positive': Math.abs, 'both signs, 20 times as long': (x) => 40 * x };
for (const [name, change] of Object.entries(changes)) {
  for (const quantization of ['f32', 'i8', 'u8', 'e2m3']) {
    const value = share(change, quantization);
    console.log(`${name}, ${quantization}: ${value > 0.7 ? 'more than 70 %' : value < 0.5 ? 'less than 50 %' : 'between'} of the nearest ten`);
  }
}
JS
node nearest.mjs | tee seen
diff - seen <<'OUT'
f32, from (1, 0): (1, 0) 0.00, (1, -9) 0.89, (0, 1) 1.00, (-1, 0) 2.00
i8, from (1, 0): (1, 0) 0.00, (1, -9) 0.89, (0, 1) 1.00, (-1, 0) 2.00
u8, from (1, 0): (1, 0) 0.00, (1, -9) 0.00, (0, 1) 1.00, (-1, 0) 1.00
f32, from (0, 1): (4, 7.5) 0.12, (4, 80) 0.00, (40, 75) 0.12
e2m3, from (0, 1): (4, 7.5) 0.12, (4, 80) 0.12, (40, 75) 0.29
both signs, f32: more than 70 % of the nearest ten
both signs, i8: more than 70 % of the nearest ten
both signs, u8: less than 50 % of the nearest ten
both signs, e2m3: more than 70 % of the nearest ten
all positive, f32: more than 70 % of the nearest ten
all positive, i8: more than 70 % of the nearest ten
all positive, u8: more than 70 % of the nearest ten
all positive, e2m3: more than 70 % of the nearest ten
both signs, 20 times as long, f32: more than 70 % of the nearest ten
both signs, 20 times as long, i8: more than 70 % of the nearest ten
both signs, 20 times as long, u8: less than 50 % of the nearest ten
both signs, 20 times as long, e2m3: less than 50 % of the nearest ten
OUT
