#!/usr/bin/env bash
# fastify 5.12.8 on Node 20: a requestTimeout below a minute ends a request after a minute or later; with Node's headersTimeout beside it it is kept.
#
# Expected: with requestTimeout 1000 a request whose body stops coming is answered with 408 after about a second, as fastify's manual says: the
# milliseconds in which the whole request has to arrive.
# Seen: fastify sets the server's requestTimeout and leaves headersTimeout, a minute by default, above it. Node then takes the larger of the two
# for the whole request, and looks only every 30 seconds besides. Eight seconds later the connection is open. With headersTimeout and
# connectionsCheckingInterval in fastify's option http, the answer comes after one to two seconds. A program that makes its server by
# http.createServer is told: there the same pair of numbers is refused (ERR_OUT_OF_RANGE).
# What it means for recvae: the limit of `recvae serve` (30 seconds) was 60 to 90 in truth, so slow senders kept their places two to three times
# as long; createServer gives all three numbers now (ts/serve/server.ts), and a test waits for the answer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init --yes >/dev/null
npm install --no-audit --no-fund --loglevel=error fastify@5.12.8 >/dev/null
cat >slow.mjs <<'JS'
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { fastify } from 'fastify';

const LIMIT = 1000;
const PATIENCE = 8000;

/** Sends a head and a part of the body, and tells what comes of it. */
async function slow(options) {
  const server = fastify(options);
  server.post('/', () => 'done');
  await server.listen({ port: 0 });
  const socket = connect(server.server.address().port);
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a"');
  const seen = await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(`open after ${PATIENCE / 1000} seconds`), PATIENCE);
    socket.on('data', (data) => {
      clearTimeout(timer);
      resolve(`answered: ${String(data).split(' ')[1]}`);
    });
  });
  socket.destroy();
  await server.close();
  return seen;
}

const look = { connectionsCheckingInterval: 200 };
console.log(`requestTimeout: ${await slow({ requestTimeout: LIMIT })}`);
console.log(`looked at more often: ${await slow({ requestTimeout: LIMIT, http: look })}`);
console.log(`with headersTimeout: ${await slow({ requestTimeout: LIMIT, http: { ...look, headersTimeout: LIMIT } })}`);
try {
  createServer({ requestTimeout: LIMIT, headersTimeout: 60_000 });
} catch (error) {
  console.log(`http.createServer: ${error.code}`);
}
JS
node slow.mjs | tee seen
diff - seen <<'OUT'
requestTimeout: open after 8 seconds
looked at more often: open after 8 seconds
with headersTimeout: answered: 408
http.createServer: ERR_OUT_OF_RANGE
OUT
