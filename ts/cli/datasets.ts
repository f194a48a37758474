import { Argument, type Command } from 'commander';
import {
  dataFolder,
  filesHere,
  type GetOptions,
  type Gotten,
  getPublished,
  isOffered,
  publishedSet,
} from '../data/published.js';
import { invalid } from '../runtime/check.js';
import { RecvaeError } from '../runtime/errors.js';
import { description, type PublishedSet } from '../runtime/native.js';
import { jsonFlag } from './common-flags.js';
import { refuseSame } from './distinct.js';
import { interruptible } from './interrupt.js';
import { checkWritable, hasBar, message, print, table, writeJson } from './output.js';
import { Bar } from './progress.js';

interface Flags {
  from?: string;
  json?: string;
}

/**
 * `recvae datasets`: the data that come with the package, those that it can get, and the formats in which others are
 * published.
 */
export function addDatasets(program: Command): void {
  const names = description.published.map(({ name }) => name);
  program
    .command('datasets')
    .description('list the data sets and formats for <input> and --format, or download a published data set')
    .addArgument(new Argument('[action]', 'get: download, which nothing else does').choices(['get']))
    .argument('[name]', `the data set: ${names.join(', ')}`)
    .option('--from <url>', 'download from there instead, such as from a mirror; the checksum stays')
    .addOption(jsonFlag())
    .addHelpText(
      'after',
      `
Downloads are kept in the folder that the variable RECVAE_DATA names (else in the system's for caches), one folder a data set:
now ${dataFolder()}. A transfer that broke off is gone on with by the same command. Proxies are Node's own matter (Node 24:
NODE_USE_ENV_PROXY=1).`,
    )
    .action(async (action: string | undefined, name: string | undefined, { from, json }: Flags) => {
      refuseSame({ outputs: { '--json': json } });
      checkWritable(json, '--json');
      if (action === undefined) {
        if (from !== undefined) throw new RecvaeError('INVALID_ARGUMENT', '--from has no meaning without get');
        return list(json);
      }
      if (name === undefined)
        throw new RecvaeError('INVALID_ARGUMENT', `<name> is missing; allowed: ${names.join(', ')}`);
      const set = publishedSet(name);
      if (!set) throw invalid('<name>', name, names.join(', '));
      const files = await interruptible((signal) => get(set, from, signal));
      if (json !== undefined) await writeJson(json, { name, files });
      if (json !== '-') message(`recvae compare ${name} reads it${set.paper === '' ? '' : `, as in ${set.paper}`}`);
    });
}

/** Downloads a data set, and tells on what terms and how far. */
async function get(set: PublishedSet, from: string | undefined, signal: AbortSignal): Promise<Gotten[]> {
  message(`${set.title}: ${set.page}`);
  message(`terms: ${set.terms}`);
  const bar = new Bar('{label} [{bar}] {percentage} %');
  let told = { file: '', tenth: 0 };
  const onProgress: GetOptions['onProgress'] = (file, bytes, total) => {
    const megabytes = `${(bytes / 1e6).toFixed(1)} MB`;
    if (total === undefined) return;
    bar.update(Math.round((1000 * bytes) / total), 1000, { label: `${file} ${megabytes}` });
    const tenth = Math.floor((10 * bytes) / total);
    if (hasBar() || (told.file === file && tenth <= told.tenth) || tenth === 0) return;
    told = { file, tenth };
    message(`${file}: ${megabytes} of ${(total / 1e6).toFixed(1)} MB`);
  };
  try {
    const files = await getPublished(set, {
      from,
      signal,
      onProgress,
      onRetry: (why) => message(`${why}; it is taken up again`),
    });
    bar.stop();
    for (const { path, sha256 } of files) {
      message(sha256 === '' ? `${path} is there already` : `saved: ${path}; sha256 of the download: ${sha256}`);
    }
    for (const { url, checksum } of set.files) {
      if (checksum === '') message(`warning: its publisher gives no checksum for ${url}; compare the sha256 above`);
    }
    return files;
  } finally {
    bar.stop();
  }
}

/** Lists what there is. */
async function list(json: string | undefined): Promise<void> {
  const { datasets: builtIn, formats } = description;
  const published = description.published.map((set) => ({ ...set, here: filesHere(set) !== undefined }));
  if (json !== undefined) await writeJson(json, { builtIn, published, folder: dataFolder(), formats });
  if (json === '-') return;
  await print(`Built in, by its name as <input>: ${builtIn.join(', ')}\n\n`);
  const sets = published.map((set) => [
    set.name,
    set.title,
    set.here ? 'here' : isOffered(set) ? 'recvae datasets get' : 'not offered',
    set.paper,
  ]);
  await print(table(['<input>', 'published data', 'where', 'a row of the tables of'], sets));
  const rows = formats.map(({ name, title, files, value, minValue }) => [
    name,
    title,
    files.join(', '),
    minValue === null ? 'every row' : `${/^\d/.test(value) ? 'value' : value} >= ${minValue}`,
  ]);
  await print(`\n${table(['--format', 'data', 'published as', 'likes'], rows)}`);
}
