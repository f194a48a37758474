// Uses a built add-on as the library does, with nothing but Node: node .ci/release/smoke.mjs [platform] [folder]
// That is as far as a machine without the packages of npm gets, such as a small image with an old C library.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileOf, here } from './platforms.mjs';

const [platform = here(), folder = 'target/add-ons'] = process.argv.slice(2);
process.env.RECVAE_BINARY = resolve(folder, fileOf(platform));
const { binding, problem } = createRequire(import.meta.url)('../../crates/recvae-node/loader.cjs');
if (problem) throw problem;

const data = await binding.dataset('debian');
assert.equal(data.nUsers, 11663);
const options = { kind: 'popularity', options: '{}', info: 'null', compute: '{}' };
const { model } = await binding.fit(options, data, undefined, new binding.NativeRun());
const { items, scores } = model.recommend([], '{"k":3}');
assert.equal(items.length, 3);
assert(scores[0] >= scores[1] && scores[1] >= scores[2] && scores[2] > 0);
console.log(`${platform} works: Node ${process.versions.node}, ${data.nInteractions} interactions`);
