"""The product of two square matrices of 4,096 rows in float32, by NumPy and by PyTorch in turns."""

import sys
import time

import data  # first: sets the threads
import numpy as np
import torch

ROWS = 4096


def main():
    data.ARGUMENTS.add_argument("--repeats", type=int, default=3)
    arguments = data.ARGUMENTS.parse_args()
    torch.set_num_threads(arguments.threads)
    random = np.random.default_rng(arguments.seed)
    a, b = (random.standard_normal((ROWS, ROWS), dtype=np.float32) for _ in range(2))
    c = np.empty_like(a)
    in_torch = [torch.from_numpy(matrix) for matrix in (a, b, c)]
    products = {
        "numpy": lambda: np.matmul(a, b, out=c),
        "torch": lambda: torch.mm(*in_torch[:2], out=in_torch[2]),
    }
    seconds = {name: [] for name in products}
    for repeat in range(arguments.repeats + 1):
        for name, product in products.items():
            start = time.perf_counter()
            product()
            if repeat > 0:  # the first one does not count
                seconds[name].append(time.perf_counter() - start)
    print(seconds, file=sys.stderr)
    data.write(seconds, arguments.json)


if __name__ == "__main__":
    main()
