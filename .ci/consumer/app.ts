// What a TypeScript project does with the package: every call that the types promise, and none that they refuse. It is compiled
// by .ci/consumer/types.mjs under the strictest settings, with and without the types of Node and of the DOM.
import {
  type AnyModel,
  compare,
  evaluate,
  fit,
  Interactions,
  load,
  type MetricName,
  type Model,
  type Recommender,
  RecvaeError,
  split,
  tune,
} from 'recvae';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(_?: T): void => {};

export async function train(users: readonly string[], items: readonly string[]): Promise<Model<'ease'>> {
  const data = await split(Interactions.fromColumns({ users, items }), { seed: 1 });
  const info: Provenance = { run: 'nightly', tags: ['shop'] };
  const model = await fit('ease', data, { lambda: 500 }, { info, threads: undefined, signal: undefined });

  const names = ['ease', 'als'] as const;
  await compare(data, { models: names, seed: undefined, info });
  await tune('ease', data, { over: { lambda: [1, 10] as const } });

  // Metrics are typed by name: those that were asked for, else the default ones.
  const { metrics } = await evaluate(model, data.test);
  const mean: number = metrics['ndcg@100'].mean;
  const asked = await evaluate(model, data.test, { metrics: ['recall@5', 'coverage@7'] as const });
  const five: number = asked.metrics['recall@5'].mean + mean;
  holds<Same<keyof typeof asked.metrics, 'recall@5' | 'coverage@7'>>();
  const any: readonly MetricName[] = ['ndcg@3'];
  await evaluate(model, data.test, { metrics: any });
  const values: number[] = asked.metrics['recall@5'].perUser.toJSON();
  // @ts-expect-error -- ndcg@1 was not asked for
  asked.metrics['ndcg@1'];
  if (five + values.length < 0) throw new RecvaeError('INTERNAL', 'a metric below 0');
  return model;
}

/** An interface has no index signature, and is kept with a model all the same. */
interface Provenance {
  run: string;
  tags: string[];
}

/** `undefined` is the default, also where a project keeps that apart from leaving an option out. */
export async function defaults(data: Interactions): Promise<void> {
  await fit('ease', data, { lambda: undefined });
  const model = await fit('recvae', data, { gamma: undefined }, { onProgress: undefined, checkpoint: undefined });
  model.recommend([], { k: undefined, filter: undefined, allow: undefined });
  await model.save('model.safetensors', { info: undefined, precision: undefined });
}

/** The kind says which options there are. */
export async function serve(path: string): Promise<number> {
  const model: AnyModel = await load(path, { verify: undefined });
  const first = model.recommend(['a', 1, 2n] as const, { k: 3, deny: new Set(['b']) }).items[0];
  const score: number | undefined = first?.score;
  switch (model.kind) {
    case 'ease':
      holds<Same<typeof model.options.lambda, number>>();
      return model.options.lambda;
    case 'recvae':
      return model.options.gamma;
    case 'popularity':
      // @ts-expect-error -- popularity has no options
      return model.options.lambda;
    default:
      return score ?? 0;
  }
}

/** Code under test takes the interface; its double needs neither a binary nor a file. */
export function shelf(model: Recommender, basket: Iterable<string>): string[] {
  return model.recommend(basket, { k: 3 }).items.map(({ id }) => id);
}

export const double: Recommender = {
  itemIds: ['a'],
  recommend: () => ({ items: [{ id: 'a', score: 1 }], unknown: [], fallbackUsed: false }),
  recommendBatch: async (histories) => Array.from(histories, () => double.recommend([])),
};

export async function closing(): Promise<void> {
  using model = await load('model.safetensors');
  shelf(model, ['a']);
}

export async function refused(data: Interactions): Promise<void> {
  // @ts-expect-error -- eese is no model
  await fit('eese', data);
  // @ts-expect-error -- gamma belongs to recvae
  await fit('ease', data, { gamma: 1 });
  // @ts-expect-error -- a misspelt option
  await fit('ease', data, { lamda: 1 });
}
