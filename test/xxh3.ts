/**
 * XXH3 of 128 bits, seed 0, of more than 240 bytes: slow and plain, after the text of its specification, to check files
 * without the program that wrote them.
 *
 * Source: xxHash fast digest algorithm, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
 */

const SECRET = Buffer.from(
  [
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221',
    'b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8',
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb',
    '170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e',
  ].join(''),
  'hex',
);
const [PRIME32_1, PRIME32_2, PRIME32_3] = [0x9e3779b1n, 0x85ebca77n, 0xc2b2ae3dn];
const [PRIME64_1, PRIME64_2, PRIME64_3] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n];
const [PRIME64_4, PRIME64_5] = [0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n];
const STRIPE = 64;
const STRIPES = (SECRET.length - STRIPE) / 8;

const wrap = (value: bigint) => BigInt.asUintN(64, value);
const secret = (at: number) => SECRET.readBigUInt64LE(at);

/** The hash in 32 hexadecimal digits, the most significant first. */
export function xxh3(bytes: Buffer): string {
  if (bytes.length <= 240) throw new RangeError(`${bytes.length} bytes; allowed: more than 240`);
  const acc = [PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1];
  const accumulate = (at: number, secretAt: number) => {
    for (let lane = 0; lane < 8; lane += 1) {
      const value = bytes.readBigUInt64LE(at + 8 * lane);
      const key = value ^ secret(secretAt + 8 * lane);
      acc[lane ^ 1] = wrap(acc[lane ^ 1]! + value);
      acc[lane] = wrap(acc[lane]! + (key & 0xffffffffn) * (key >> 32n));
    }
  };
  const last = bytes.length - STRIPE;
  for (let stripe = 0; stripe < Math.floor((bytes.length - 1) / STRIPE); stripe += 1) {
    accumulate(stripe * STRIPE, (stripe % STRIPES) * 8);
    if (stripe % STRIPES !== STRIPES - 1) continue;
    for (const [lane, value] of acc.entries()) {
      acc[lane] = wrap((value ^ (value >> 47n) ^ secret(SECRET.length - STRIPE + 8 * lane)) * PRIME32_1);
    }
  }
  accumulate(last, SECRET.length - STRIPE - 7);
  const merge = (secretAt: number, start: bigint) => {
    let sum = start;
    for (let pair = 0; pair < 4; pair += 1) {
      const product =
        (acc[2 * pair]! ^ secret(secretAt + 16 * pair)) * (acc[2 * pair + 1]! ^ secret(secretAt + 16 * pair + 8));
      sum = wrap(sum + (wrap(product) ^ (product >> 64n)));
    }
    sum ^= sum >> 37n;
    sum = wrap(sum * 0x165667919e3779f9n);
    return sum ^ (sum >> 32n);
  };
  const length = BigInt(bytes.length);
  const low = merge(11, wrap(length * PRIME64_1));
  const high = merge(SECRET.length - STRIPE - 11, wrap(~(length * PRIME64_2)));
  return ((high << 64n) | low).toString(16).padStart(32, '0');
}
