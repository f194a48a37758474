// The platforms that packages are made for. The loader, which has to name each of them literally, is tested against
// this list.

/** Where everything is; what the packages and the notices point to. */
export const REPOSITORY = 'https://github.com/recvae/recvae';

/** The version of glibc that is all the packages for it need; what builds them fails for more. */
export const GLIBC = '2.17';

/**
 * `name` is what follows `@recvae/` and what napi calls the add-on by; `rust` the target of the compiler; `runner` the
 * machine of the release workflow that builds and tests it; `build` what the build adds: a toolchain with that glibc,
 * which package.json pins (`overrides`) since npm has no later one for every host, or a zig linker, which takes the
 * version of glibc behind the target.
 */
export const PLATFORMS = [
  { name: 'linux-x64-gnu', rust: 'x86_64-unknown-linux-gnu', runner: 'ubuntu-24.04', build: ['--use-napi-cross'] },
  { name: 'linux-x64-musl', rust: 'x86_64-unknown-linux-musl', runner: 'ubuntu-24.04', build: ['--cross-compile'] },
  {
    name: 'linux-arm64-gnu',
    rust: 'aarch64-unknown-linux-gnu',
    runner: 'ubuntu-24.04-arm',
    // npm has no toolchain for hosts that are arm64.
    build: ['--cross-compile'],
  },
  {
    name: 'linux-arm64-musl',
    rust: 'aarch64-unknown-linux-musl',
    runner: 'ubuntu-24.04-arm',
    build: ['--cross-compile'],
  },
  { name: 'darwin-x64', rust: 'x86_64-apple-darwin', runner: 'macos-15-intel', build: [] },
  { name: 'darwin-arm64', rust: 'aarch64-apple-darwin', runner: 'macos-15', build: [] },
  { name: 'win32-x64-msvc', rust: 'x86_64-pc-windows-msvc', runner: 'windows-2025', build: [] },
];

/** What npm installs a platform's package by. */
export function constraints(name) {
  const [os, cpu, library] = name.split('-');
  const libc = { gnu: 'glibc', musl: 'musl' }[library];
  return { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) };
}

/** The file of a platform's add-on. */
export const fileOf = (name) => `recvae.${name}.node`;

/** The name of the platform that this runs on; musl is where no glibc is reported. */
export function here() {
  const { platform, arch } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  return `${platform}-${arch}-${process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'}`;
}
