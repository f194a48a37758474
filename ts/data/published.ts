/** Published data sets on this machine: where they are kept, whether they are there, and how they get there. */
import { existsSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import { writeAll } from '../runtime/files.js';
import { description, native, type PublishedSet } from '../runtime/native.js';
import { running } from '../runtime/running.js';
import { digestsOf, download, SHA256 } from './download.js';
import { entries } from './glob.js';

/** The folder of all data sets: what `RECVAE_DATA` names, else the system's for what can be made again. */
export function dataFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { RECVAE_DATA: named, XDG_CACHE_HOME: cache, LOCALAPPDATA: local } = environment;
  if (named) return named;
  if (process.platform === 'win32' && local) return join(local, 'recvae', 'datasets');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'recvae', 'datasets');
  return join(cache || join(homedir(), '.cache'), 'recvae', 'datasets');
}

/** A data set by its name. */
export function publishedSet(name: string): PublishedSet | undefined {
  return description.published.find((set) => set.name === name);
}

/** Its files here, in their order; none unless all are there. */
export function filesHere({ name, files }: PublishedSet, folder: string = dataFolder()): string[] | undefined {
  const own = join(folder, name);
  const found = files.flatMap((file) => {
    if (!file.name.includes('*')) return existsSync(join(own, file.name)) ? [join(own, file.name)] : [];
    const names = new RegExp(`^${file.name.replaceAll('.', '\\.').replaceAll('*', '\\d+')}$`);
    return entries(own)
      .filter((name) => names.test(name))
      .sort()
      .map((name) => join(own, name));
  });
  return found.length >= files.length ? found : undefined;
}

/** The same, or why they are not there. */
export function needFiles(set: PublishedSet): string[] {
  const found = filesHere(set);
  if (found) return found;
  throw new RecvaeError('IO', `the data set ${set.name} is not on this machine; the way out: ${wayTo(set)}`);
}

/** Whether somebody offers it for download. */
export function isOffered({ files }: PublishedSet): boolean {
  return files.every(({ url }) => url !== '');
}

function wayTo(set: PublishedSet): string {
  const { name, files } = set;
  if (isOffered(set)) return `recvae datasets get ${name}, which downloads it on terms that it shows`;
  const names = files.map((file) => file.name).join(' and ');
  return `it is not offered for download; whoever has a copy puts ${names} into ${join(dataFolder(), name)}`;
}

/** How {@link getPublished} works. */
export interface GetOptions {
  /** Another place of the same download, such as a mirror; only of sets of one. */
  from?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: (file: string, bytes: number, total: number | undefined) => void;
  onRetry?: ((why: string) => void) | undefined;
  /** Milliseconds before a broken transfer is taken up again. */
  patience?: number | undefined;
}

/** A file that is there now. */
export interface Gotten {
  path: string;
  /** Of the download; empty of what was there before. */
  sha256: string;
}

/**
 * Downloads what is missing of a data set, and takes files out of their archives. Nothing else of the package does
 * that.
 */
export async function getPublished(set: PublishedSet, options: GetOptions = {}): Promise<Gotten[]> {
  const { from, signal } = options;
  if (!isOffered(set)) throw new RecvaeError('INVALID_ARGUMENT', `${set.name}: ${wayTo(set)}`);
  if (from !== undefined && set.files.length > 1) throw invalid('from', from, 'none: the data set has several files');
  if (from !== undefined && !/^https?:\/\/[^/]/.test(from))
    throw invalid('from', from, 'an address with http: or https:');
  const gotten: Gotten[] = [];
  for (const file of set.files) {
    const path = join(dataFolder(), set.name, file.name);
    if (existsSync(path)) {
      gotten.push({ path, sha256: '' });
      continue;
    }
    const isArchive = file.member !== '';
    // The file itself appears when it is whole; of an archive it is what is taken out.
    const target = isArchive ? `${path}.zip` : path;
    const { onProgress, onRetry, patience } = options;
    const get = () =>
      download({
        url: from ?? file.url,
        path: target,
        checksum: file.checksum,
        signal,
        onRetry,
        ...(patience !== undefined && { patience }),
        onProgress: (bytes, total) => onProgress?.(file.name, bytes, total),
      });
    // An archive is there already where an earlier call was stopped before all was taken out.
    const sha256 = existsSync(target) ? (await digestsOf(target, [SHA256], signal))[SHA256]! : await get();
    if (isArchive) {
      try {
        await writeAll([
          {
            path,
            write: (to) => running({ signal }, (run) => native.unzip(target, file.member, to, run)),
          },
        ]);
      } finally {
        // Damaged or not, it has done what it was for.
        if (!signal?.aborted) rmSync(target, { force: true });
      }
    }
    gotten.push({ path, sha256 });
  }
  return gotten;
}
