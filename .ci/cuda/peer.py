"""What check:gpu compares with: steps of RecVAE in PyTorch on the same device, dense, as its authors train it (benches/peers/recvae.py).

The interactions are drawn at random: dense steps take the same time whatever they are. One line of JSON: seconds of an epoch from the
median of steps, each with making its batch dense and sending it, and the most memory that PyTorch has held on the device.
"""

import json
import pathlib
import sys
import time

PEERS = pathlib.Path(__file__).resolve().parents[2] / "benches" / "peers"
sys.path.insert(0, str(PEERS))

import data  # noqa: E402, F401 the peers' own, before torch
import made_up  # noqa: E402
import numpy as np  # noqa: E402
import recvae  # noqa: E402
import torch  # noqa: E402

arguments = made_up.arguments(steps=30, batch=500)
random = np.random.RandomState(1)
train = made_up.interactions(arguments, random)

device = torch.device(arguments.device)
model = recvae.RecVae(arguments.items, 0.005).to(device)
adams = {part: torch.optim.Adam(getattr(model, part).parameters(), lr=5e-4) for part in ("encoder", "decoder")}


def step(part, users):
    x = torch.from_numpy(train[users].toarray()).to(device)
    x = x[x.sum(dim=-1) > 0]
    adam = adams[part]
    model.train()
    adam.zero_grad()
    log_likelihood, kl = model(x, 0.5 if part == "encoder" else 0.0)
    (kl - log_likelihood).backward()
    adam.step()
    return log_likelihood.item(), kl.item()


def seconds(part):
    taken = []
    for _ in range(arguments.steps + 1):
        users = random.choice(arguments.users, min(arguments.batch, arguments.users), replace=False)
        start = time.perf_counter()
        step(part, users)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[1:]))


per_pass = -(-arguments.users // arguments.batch)
epoch = per_pass * (3 * seconds("encoder") + seconds("decoder"))
peak = torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None
print(json.dumps({"epochSeconds": epoch, "peakBytes": peak, "torch": torch.__version__}))
