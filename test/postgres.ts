/** A PostgreSQL of its own for a test: in a temporary folder, on the loopback, under a user without rights. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';

/** `nobody` of Debian: PostgreSQL refuses to run as root. */
const NOBODY = 65_534;

/** Folders with programs: those of the path, and where Debian has those of PostgreSQL. */
function folders(): string[] {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map((version) => join(debian, version, 'bin')) : [];
  return [...(process.env.PATH ?? '').split(delimiter), ...versions];
}

/** Whether a program is there and runs: where an installation was cut short, it may lack its libraries. */
export function canRun(path: string, version = '--version'): boolean {
  return existsSync(path) && spawnSync(path, [version], { stdio: 'ignore' }).status === 0;
}

/** The folder with these programs, if there is one. */
export function folderOf(...programs: string[]): string | undefined {
  return folders().find((folder) => programs.every((program) => canRun(join(folder, program))));
}

/** The folder with `initdb` and `postgres`, if there is one. */
export function findPostgres(): string | undefined {
  return folderOf('initdb', 'postgres');
}

/** Its command line, if there is one. */
export function findPsql(): string | undefined {
  const folder = folderOf('psql');
  return folder && join(folder, 'psql');
}

export interface Postgres {
  connect(): Promise<pg.Client>;
  stop(): Promise<void>;
}

/**
 * A port of the loopback that nobody uses, and that the system gives to nobody who asks for any until a server has
 * taken it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Starts one with the programs in `bin`. */
export async function startPostgres(bin: string): Promise<Postgres> {
  const folder = mkdtempSync(join(tmpdir(), 'recvae-postgres-'));
  const isRoot = process.getuid?.() === 0;
  const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, 'data');
  const options = { cwd: folder, env: { ...process.env, HOME: folder, LC_ALL: 'C' }, ...user };
  let server: ChildProcess | undefined;
  const stop = async () => {
    if (server && server.exitCode === null && server.signalCode === null) {
      const ended = new Promise((resolve) => server?.once('exit', resolve));
      server.kill('SIGINT'); // ends sessions, and then itself
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    execFileSync(join(bin, 'initdb'), ['-D', data, '-A', 'trust', '-U', 'tester', '--no-sync'], {
      ...options,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const port = await freePort();
    const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, 'fsync=off'];
    const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
    server = spawn(join(bin, 'postgres'), args, { ...options, stdio: 'ignore' });
    const connect = async () => {
      const client = new pg.Client({ host: '127.0.0.1', port, user: 'tester', database: 'postgres' });
      client.on('error', () => {}); // the end of the server
      await client.connect();
      return client;
    };
    for (;;) {
      if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}`);
      const client = await connect().catch(() => undefined);
      await client?.end();
      if (client) return { connect, stop };
      await setTimeout(100);
    }
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}
