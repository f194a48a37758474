import { availableParallelism } from 'node:os';

// Time limits end what hangs, on the slowest machine too: no test may ask how long something takes, benches/ does that.
const LIMIT = 600_000;

export default {
  test: {
    testTimeout: LIMIT,
    hookTimeout: LIMIT,
    teardownTimeout: LIMIT,
    // vitest leaves a core to itself, of two cores every second one; most tests wait for programs that they have started.
    maxWorkers: availableParallelism(),
    setupFiles: ['test/setup.ts'],
  },
};
