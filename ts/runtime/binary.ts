/**
 * Says in one line why the compiled binding cannot be loaded, before its generated loader, which blames npm, says so in many.
 * To be imported in front of that loader; nothing that needs the binding may be imported here.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const FOLDER = new URL('../../crates/recvae-node/', import.meta.url);
const require = createRequire(import.meta.url);

/** What an error without a binary is known by. */
export const NO_BINARY = 'ERR_RECVAE_NO_BINARY';

/** The platforms that binaries came along for, such as `linux-x64-gnu`. */
function platforms(): string[] {
  const names = existsSync(FOLDER) ? readdirSync(FOLDER) : [];
  return names.flatMap((name) => /^recvae\.(.+)\.node$/.exec(name)?.[1] ?? []).sort();
}

/** Whether a binary for such a platform may run here; the C library is left open. */
function fits(platform: string): boolean {
  const here = `${process.platform}-${process.arch}`;
  return platform === here || platform.startsWith(`${here}-`) || platform === `${process.platform}-universal`;
}

/** The platform, on Linux with its C library. */
function here(): string {
  const platform = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return platform;
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const { glibcVersionRuntime: glibc } = header;
  return `${platform} (${glibc === undefined ? 'musl' : `glibc ${glibc}`})`;
}

/** Whether the loader is told of another binary, or finds one in a package of its own. */
function isElsewhere(): boolean {
  const { NAPI_RS_NATIVE_LIBRARY_PATH, NAPI_RS_FORCE_WASI, NAPI_RS_WASI_FLAVOR } = process.env;
  if (NAPI_RS_NATIVE_LIBRARY_PATH ?? NAPI_RS_FORCE_WASI ?? NAPI_RS_WASI_FLAVOR) return true;
  const platform = `recvae-${process.platform}-${process.arch}`;
  const endings = ['', '-gnu', '-musl', '-gnueabihf', '-musleabihf', '-msvc'];
  return endings.some((ending) => {
    try {
      return require.resolve(`${platform}${ending}`) !== '';
    } catch {
      return false;
    }
  });
}

function check(): void {
  const there = platforms();
  let reason: unknown;
  for (const platform of there.filter(fits)) {
    try {
      require(fileURLToPath(new URL(`recvae.${platform}.node`, FOLDER)));
      return;
    } catch (thrown) {
      reason = thrown;
    }
  }
  if (isElsewhere()) return;
  const why = reason === undefined ? '' : ` that can be loaded: ${String((reason as Error).message).split('\n')[0]}`;
  const others = there.length > 0 ? `there are binaries for: ${there.join(', ')}` : 'none was built';
  const message =
    `recvae has no binary for ${here()}${why}; ${others}; ` +
    `to build one, with Rust: npm run setup in a clone of the repository`;
  throw Object.assign(new Error(message, { cause: reason }), { code: NO_BINARY });
}

check();
