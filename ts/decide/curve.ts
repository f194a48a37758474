/** The course of a training as reports have it. */
import type { Progress } from '../models/progress.js';

/** Validation by epoch. */
export interface Curve {
  /** Validation by epoch, from the first one; empty for closed forms, and without validation users. */
  curve: number[];
  /** The epoch with the best validation, from 1, which is the one that is kept; `null` where there is no curve. */
  bestEpoch: number | null;
}

/** The curve of a model that was trained here. */
export function curveOf(epochs: readonly Progress[]): Curve {
  const curve = epochs.flatMap(({ validation }) => validation ?? []);
  return { curve, bestEpoch: curve.length === 0 ? null : (epochs.findLast(({ best }) => best)?.epoch ?? null) };
}

/** A curve with its best epoch: of equals the first one, as the core has it. */
export function curveIn(curve: number[]): Curve {
  return { curve, bestEpoch: curve.length === 0 ? null : curve.indexOf(Math.max(...curve)) + 1 };
}

/**
 * Whether a training came to the last of its epochs, and the best one is among the last tenth of them: with more it may
 * be better.
 */
export function isUnfinished({ bestEpoch }: Curve, options: unknown): boolean {
  const { epochs = 0, patience = 1 } = options as { epochs?: number; patience?: number };
  if (bestEpoch === null) return false;
  const behind = epochs - bestEpoch;
  return behind < patience && behind <= Math.floor(epochs / 10);
}
