"""Users per second of the first 100 items for every user, in the manner of the official evaluation: dense scores of 500
users, what they have seen at minus infinity, argpartition, and a sort of what it leaves.

Models are as fast with any weights: random ones here, unless --fit asks for EASE^R's own.
"""

import sys
import time

import data  # first: sets the threads
import numpy as np

K, BATCH = 100, 500


def users_per_second(scores_of, histories, seconds):
    """Goes through all users again and again, until the time is over; the first batch does not count."""
    done, start, first = -1, 0.0, 0
    while done < 0 or time.perf_counter() - start < seconds:
        history = histories[first : first + BATCH]
        scores = scores_of(history.toarray())
        scores[history.nonzero()] = -np.inf
        data.top_k(scores, K)
        first = first + BATCH if first + BATCH < histories.shape[0] else 0
        if done < 0:
            done, start = 0, time.perf_counter()
        else:
            done += history.shape[0]
    return done / (time.perf_counter() - start)


def ease(train, arguments):
    if arguments.fit:
        from ease import fit

        b, _ = fit(train, arguments.lambda_)
    else:
        b = np.random.default_rng(arguments.seed).random((train.shape[1],) * 2, np.float32)
    return lambda x: x @ b


def recvae(train, arguments):
    import torch
    from recvae import RecVae
    from training import scores_of

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    return scores_of(RecVae(train.shape[1], 0.005))


def main():
    parser = data.ARGUMENTS
    parser.add_argument("--model", choices=["ease", "recvae"], required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--lambda", type=float, default=500, dest="lambda_")
    arguments = parser.parse_args()
    train, _, _ = data.load(arguments)
    scores_of = {"ease": ease, "recvae": recvae}[arguments.model](train, arguments)
    results = {"model": arguments.model, "shape": train.shape}
    results["users_per_second"] = users_per_second(scores_of, train, arguments.seconds)
    results["peak_mib"] = data.peak_mib()
    print(results, file=sys.stderr)
    data.write(results, arguments.json)


if __name__ == "__main__":
    main()
