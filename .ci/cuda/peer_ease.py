"""What check:gpu compares fits of EASE^R with: the closed form in PyTorch on the same device, from sparse rows to weights on the host.

The interactions are drawn at random: the time does not depend on which they are. The Gram matrix is added up from dense blocks of users,
the inverse is that by the Cholesky factor. One line of JSON: seconds of both and of all, and the most memory that PyTorch has held there.
"""

import json
import time

import made_up
import numpy as np
import torch

arguments = made_up.arguments(block=4096)
train = made_up.interactions(arguments, np.random.RandomState(1))
device = torch.device(arguments.device)


def wait():
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# Libraries are loaded before the time begins.
small = torch.eye(64, device=device)
torch.cholesky_inverse(torch.linalg.cholesky(small @ small))
wait()

start = time.perf_counter()
gram = torch.zeros(arguments.items, arguments.items, device=device)
for first in range(0, arguments.users, arguments.block):
    block = torch.from_numpy(train[first : first + arguments.block].toarray()).to(device)
    gram.addmm_(block.T, block)
del block
wait()
middle = time.perf_counter()
gram.diagonal().add_(500.0)
factor = torch.linalg.cholesky(gram)
del gram
weights = torch.cholesky_inverse(factor)
del factor
weights.div_(-weights.diagonal().clone())
weights.fill_diagonal_(0.0)
wait()
inverted = time.perf_counter()
weights.cpu()
seconds = time.perf_counter() - start
peak = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None
parts = {"gramSeconds": middle - start, "inverseSeconds": inverted - middle, "seconds": seconds}
print(json.dumps({**parts, "peakBytes": peak, "torch": torch.__version__}))
