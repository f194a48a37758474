/** Examples at the end of each command's help. `test/help.test.ts` runs them. */

/** By command, each a command line and what it does. */
export const EXAMPLES: Readonly<Record<string, readonly (readonly [line: string, what: string])[]>> = {
  advise: [
    ['recvae advise debian', 'what should I use on the built-in data?'],
    ['recvae advise likes.csv --models recvae --users 1000 --json advice.json', 'other models, smaller samples'],
  ],
  compare: [
    ['recvae compare debian --save best', 'which model? saves the winner and the result'],
    ['recvae compare likes.csv --models edlae --budget-minutes 10', 'four models, in ten minutes at most'],
    ['recvae compare likes.csv --repeat 5 --no-search', 'five splits and seeds, and where the variance comes from'],
  ],
  tune: [
    ['recvae tune ease likes.csv --out ease.safetensors', 'the best options, and the model with them'],
    [
      'recvae tune als likes.csv --over factors=64,128 --set epochs=8 --journal als.journal',
      'a grid, which can be resumed',
    ],
  ],
  ablate: [
    ['recvae ablate likes.csv --epochs 20 --seeds 1,2 --journal ablate.journal', "which of RecVAE's changes pay?"],
  ],
  datasets: [
    ['recvae datasets', 'what <input> and --format may be'],
    ['recvae datasets get ml-20m', 'downloads a published data set, on the terms that it shows'],
  ],
  report: [['recvae report best/comparison.json --out comparison.html', 'a page of what compare --save has saved']],
  train: [
    ['recvae train ease likes.csv --set lambda=200 --out ease.safetensors', 'a linear model'],
    ['recvae train recvae likes.csv --epochs 20 --out recvae.safetensors --checkpoint recvae.checkpoint', 'a network'],
  ],
  counts: [
    ['recvae counts shard likes.csv --shard 0/4 --out part-0', 'on the first of four machines'],
    ['recvae counts merge part-0 part-1 part-2 part-3 --out all.counts', 'the same as counting everybody in one run'],
    ['recvae counts fit all.counts --set lambda=200 --out counted.safetensors', 'trains EASE^R on the counts'],
    ['recvae counts sql --dialect duckdb --table likes', 'the statements by which a database counts'],
  ],
  spark: [
    [
      'recvae spark gram likes.parquet --out gram --master spark://host:7077 --dry-run',
      'the line that counts by Spark',
    ],
    [
      'recvae spark recommend ease.safetensors --history likes.parquet --out lists --dry-run',
      'the line that recommends for everybody',
    ],
  ],
  evaluate: [
    ['recvae evaluate ease.safetensors likes.csv --metrics ndcg@10,recall@20', 'on the test users of the training'],
  ],
  recommend: [
    ['recvae recommend ease.safetensors --history histories.ndjson -k 5', 'one line of JSON per line'],
    ['recvae recommend ease.safetensors --history likes.csv --out lists.csv.gz', 'for every user of a table'],
    [
      'recvae recommend ease.safetensors --history likes.csv --shard 0/4 --out lists.ndjson',
      'on the first of four machines',
    ],
  ],
  similar: [['recvae similar ease.safetensors a -k 5', 'the items most like a']],
  explain: [['recvae explain ease.safetensors --history a,b --item c', 'what speaks for c']],
  serve: [
    ['recvae serve ease.safetensors --port 8080', 'on this machine alone'],
    ['recvae serve ease.safetensors --host 0.0.0.0 --api-key-file key.txt --log json', 'for others, with a key'],
  ],
  compact: [
    ['recvae compact ease.safetensors small.safetensors --top-per-item 100 --held-out likes.csv', 'and what it costs'],
  ],
  inspect: [['recvae inspect ease.safetensors', 'what it holds, and whether every byte does']],
  export: [
    ['recvae export recvae.safetensors weights.safetensors --ids unique_sid.txt', "for RecVAE's own program"],
    ['recvae export recvae.safetensors recvae.onnx', 'a graph for ONNX runtimes'],
  ],
  import: [
    [
      'recvae import weights.safetensors --ids unique_sid.txt --out imported.safetensors',
      "weights of RecVAE's own program",
    ],
  ],
  split: [['recvae split likes.csv --out split --seed 1', 'in the layout of the official scripts']],
  synth: [['recvae synth --like ml-20m --scale 0.01 --out made-up.csv', 'for speed and memory only']],
  models: [
    ['recvae models', 'all models with their options'],
    ['recvae models ease', 'one of them'],
  ],
  info: [['recvae info', 'which binary is loaded, and whether a GPU is used']],
  completion: [
    ['source <(recvae completion bash)', 'in ~/.bashrc'],
    ['recvae completion fish > ~/.config/fish/completions/recvae.fish', 'for fish'],
  ],
};

/** The examples of a command as the end of its help. */
export function examplesOf(command: string): string {
  const examples = EXAMPLES[command] ?? [];
  const lines = examples.map(([line, what]) => `  # ${what}\n  ${line}`);
  return `\nExamples:\n${lines.join('\n')}`;
}
