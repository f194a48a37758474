"""The command line of the two networks: train and evaluate epoch by epoch, or time single steps."""

import sys
import time

import data  # first: sets the threads
import numpy as np
import torch

BATCH = 500


def batches(train, rng):
    """All users in random order, as dense tensors."""
    order = rng.permutation(train.shape[0])
    for first in range(0, len(order), BATCH):
        yield torch.from_numpy(train[order[first : first + BATCH]].toarray())


def scores_of(model):
    def scores(history):
        model.eval()
        with torch.no_grad():
            return model.scores(torch.from_numpy(history)).numpy()

    return scores


def step_seconds(train, rng, step, n):
    """Median over n steps, each with making its batch dense, after one that is not counted."""
    seconds = []
    while len(seconds) <= n:
        order = rng.permutation(train.shape[0])
        for first in range(0, len(order), BATCH):
            start = time.perf_counter()
            step(torch.from_numpy(train[order[first : first + BATCH]].toarray()))
            seconds.append(time.perf_counter() - start)
            if len(seconds) > n:
                break
    return float(np.median(seconds[1:]))


def main(arguments, make):
    """`make(train, arguments)` gives a trainer: `model`, `epoch(rng)` for a dict of means, `steps` by name with passes."""
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    rng = np.random.RandomState(arguments.seed)
    train, validation, test = data.load(arguments)
    trainer = make(train, arguments)
    results = {"shape": train.shape, "interactions": int(train.nnz), "torch": torch.__version__}
    if arguments.steps:
        per_pass = -(-train.shape[0] // BATCH)
        total = 0
        for name, (step, passes) in trainer.steps.items():
            results[f"{name}_step_seconds"] = seconds = step_seconds(train, rng, step, arguments.steps)
            total += seconds * passes * per_pass
        results["epoch_seconds"] = total
    else:
        results["epochs"], best = [], -1
        for number in range(1, arguments.epochs + 1):
            start = time.perf_counter()
            means = trainer.epoch(rng)
            record = {"epoch": number, "seconds": round(time.perf_counter() - start, 3), **means}
            if validation:
                record["validation"] = data.evaluate(scores_of(trainer.model), validation)
                if record["validation"] > best:
                    best = record["validation"]
                    results |= {"best_epoch": number, "best_validation": best}
                    results["test"] = data.evaluate(scores_of(trainer.model), test)
            record["peak_mib"] = data.peak_mib()
            results["epochs"].append(record)
            print("  ".join(f"{k} {round(v, 5)}" for k, v in record.items()), file=sys.stderr, flush=True)
    results["peak_mib"] = data.peak_mib()
    print({k: v for k, v in results.items() if k != "epochs"}, file=sys.stderr)
    data.write(results, arguments.json)


def arguments():
    parser = data.ARGUMENTS
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--steps", type=int, help="only time this many steps of each kind")
    return parser
