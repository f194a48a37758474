"""Mult-VAE in PyTorch, dense.

Source: Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, arXiv 1802.05814. Xavier normal
weights and small biases as in the authors' program.
"""

import training  # first: sets the threads
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WIDTH, LATENT, DROPOUT = 600, 200, 0.5


class MultVae(nn.Module):
    def __init__(self, n_items, width=WIDTH, latent=LATENT):
        super().__init__()
        self.q0 = nn.Linear(n_items, width)
        self.q1 = nn.Linear(width, 2 * latent)
        self.p0 = nn.Linear(latent, width)
        self.p1 = nn.Linear(width, n_items)
        for layer in (self.q0, self.q1, self.p0, self.p1):
            nn.init.xavier_normal_(layer.weight)
            nn.init.trunc_normal_(layer.bias, std=0.001, a=-0.002, b=0.002)

    def posterior(self, x, keep=None):
        h = F.normalize(x)
        h = F.dropout(h, DROPOUT, self.training) if keep is None else h * keep / (1 - DROPOUT)
        return self.q1(torch.tanh(self.q0(h))).chunk(2, dim=-1)

    def logits(self, z):
        return self.p1(torch.tanh(self.p0(z)))

    def forward(self, x, keep=None, eps=None):
        """Negative log-likelihood and KL divergence, means over the users."""
        mean, log_variance = self.posterior(x, keep)
        eps = torch.randn_like(mean) if eps is None else eps
        z = mean + eps * torch.exp(log_variance / 2)
        nll = -(F.log_softmax(self.logits(z), dim=-1) * x).sum(dim=-1).mean()
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=-1).mean()
        return nll, kl

    def scores(self, x):
        return self.logits(self.posterior(x)[0])


class Trainer:
    def __init__(self, train, arguments):
        self.train = train
        self.model = MultVae(train.shape[1])
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        # Full weight of the KL term after half of the steps.
        self.beta, self.anneal = arguments.beta, max(1, arguments.epochs * -(-train.shape[0] // training.BATCH) // 2)
        self.taken = 0
        self.steps = {"training": (self.step, 1)}

    def step(self, x):
        self.model.train()
        self.adam.zero_grad()
        nll, kl = self.model(x)
        (nll + self.beta * min(1.0, self.taken / self.anneal) * kl).backward()
        self.adam.step()
        self.taken += 1
        return nll.item(), kl.item()

    def epoch(self, rng):
        parts = [(len(x), *self.step(x)) for x in training.batches(self.train, rng)]
        users, nll, kl = np.array(parts).T
        return {"ll": -float(users @ nll / users.sum()), "kl": float(users @ kl / users.sum())}


if __name__ == "__main__":
    parser = training.arguments()
    parser.add_argument("--beta", type=float, default=0.2, help="weight of the KL term, reached over half of the steps")
    training.main(parser.parse_args(), Trainer)
