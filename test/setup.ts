/**
 * Before each file of tests: properties are tested with the inputs of a seed, where one is given, and else with new
 * ones.
 */
import fc from 'fast-check';

const seed = process.env.RECVAE_PROPERTY_SEED;
if (seed) fc.configureGlobal({ seed: Number(seed) });
