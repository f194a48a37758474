/** One file out of a ZIP archive on the disk, in little memory. Archives of 4 GiB and more (ZIP64) are refused. */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInflateRaw } from 'node:zlib';
import { RecvaeError } from '../runtime/errors.js';

/** Where a file of an archive lies. */
interface Entry {
  method: number;
  crc: number;
  compressed: number;
  size: number;
  /** Where its own header begins. */
  header: number;
}

const END = 0x06054b50;
const CENTRAL = 0x02014b50;
const LOCAL = 0x04034b50;
const [STORED, DEFLATED] = [0, 8];

function bad(path: string, what: string): RecvaeError {
  return new RecvaeError('INVALID_DATA', `${path}: ${what}; allowed: a ZIP archive, whole`);
}

/** The bytes of a file at a place; fewer than asked for are an error. */
async function bytesAt(file: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await file.read(bytes, 0, length, position);
  if (bytesRead < length) throw bad(path, 'the archive ends too early');
  return bytes;
}

/** The list of what is in the archive, which stands at its end, behind which there may be a comment of 64 KiB. */
async function listOf(file: FileHandle, path: string): Promise<Buffer> {
  const { size } = await file.stat();
  const length = Math.min(size, 22 + 0xffff);
  const tail = await bytesAt(file, path, size - length, length);
  let at = tail.length - 22;
  while (at >= 0 && tail.readUInt32LE(at) !== END) at -= 1;
  if (at < 0) throw bad(path, 'there is no list of files at the end');
  const [bytes, start] = [tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  if (start === 0xffffffff) throw bad(path, 'it is an archive of 4 GiB or more');
  if (start + bytes > size) throw bad(path, 'the list of files lies outside');
  return bytesAt(file, path, start, bytes);
}

/** Finds a file by its name. */
function find(list: Buffer, path: string, member: string): Entry {
  const names: string[] = [];
  for (let at = 0; at + 46 <= list.length && list.readUInt32LE(at) === CENTRAL; ) {
    const lengths = [28, 30, 32].map((offset) => list.readUInt16LE(at + offset));
    const name = list.toString('utf8', at + 46, at + 46 + lengths[0]!);
    if (name === member) {
      const [flags, method] = [list.readUInt16LE(at + 8), list.readUInt16LE(at + 10)];
      const [crc, compressed, size] = [16, 20, 24].map((offset) => list.readUInt32LE(at + offset)) as [
        number,
        number,
        number,
      ];
      if (flags & 1) throw bad(path, `${member} is encrypted`);
      if (method !== STORED && method !== DEFLATED) throw bad(path, `${member} is compressed by method ${method}`);
      if (compressed === 0xffffffff || size === 0xffffffff) throw bad(path, `${member} has 4 GiB or more`);
      return { method, crc, compressed, size, header: list.readUInt32LE(at + 42) };
    }
    names.push(name);
    at += 46 + lengths[0]! + lengths[1]! + lengths[2]!;
  }
  const found = names.slice(0, 20).join(', ');
  throw bad(path, `there is no file ${member} among ${found === '' ? 'no files' : found}`);
}

/** The polynomial of ZIP, a byte at a time. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc >>> 0;
});

/**
 * The bytes of a file in a ZIP archive, in pieces. What its list says of length and checksum is checked by the end.
 *
 * @throws {@link RecvaeError} `INVALID_DATA` if the archive is damaged or has no such file.
 */
export async function* unzipped(path: string, member: string): AsyncGenerator<Buffer> {
  const file = await open(path);
  let entry: Entry;
  let start: number;
  try {
    entry = find(await listOf(file, path), path, member);
    const header = await bytesAt(file, path, entry.header, 30);
    if (header.readUInt32LE(0) !== LOCAL) throw bad(path, `${member} is not where the list says`);
    start = entry.header + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  } finally {
    await file.close();
  }
  if (entry.compressed === 0 && entry.size === 0) return;
  const packed = createReadStream(path, { start, end: start + Math.max(entry.compressed, 1) - 1 });
  const inflate = entry.method === DEFLATED ? createInflateRaw() : undefined;
  if (inflate) packed.on('error', (error) => inflate.destroy(error)).pipe(inflate);
  let [crc, size] = [0xffffffff, 0];
  try {
    for await (const piece of (inflate ?? packed) as AsyncIterable<Buffer>) {
      size += piece.length;
      if (size > entry.size) break;
      for (const byte of piece) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
      yield piece;
    }
  } catch (thrown) {
    if (/^Z_/.test((thrown as NodeJS.ErrnoException).code ?? '')) throw bad(path, `${member} is damaged`);
    throw thrown;
  } finally {
    packed.destroy();
    inflate?.destroy();
  }
  if (size !== entry.size || (crc ^ 0xffffffff) >>> 0 !== entry.crc) throw bad(path, `${member} is damaged`);
}
