"""RecVAE in PyTorch, dense, as its authors train it.

Source: Shenbin et al., "RecVAE: a New Variational Autoencoder for Top-N Recommendations with Implicit Feedback", WSDM
2020, arXiv 1912.11160; where the paper leaves a choice (prior per coordinate, old encoder random at first, layer norm
eps .1, full backward in both phases), that of the authors' program.
"""

import math

import training  # first: sets the threads
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

WIDTH, LATENT, LAYERS = 600, 200, 5


def log_normal(z, mean, log_variance):
    return -0.5 * (math.log(2 * math.pi) + log_variance + (z - mean) ** 2 / log_variance.exp())


class Encoder(nn.Module):
    def __init__(self, n_items, width=WIDTH, latent=LATENT):
        super().__init__()
        for k in range(1, LAYERS + 1):
            setattr(self, f"fc{k}", nn.Linear(n_items if k == 1 else width, width))
            setattr(self, f"ln{k}", nn.LayerNorm(width, eps=0.1))
        self.fc_mu = nn.Linear(width, latent)
        self.fc_logvar = nn.Linear(width, latent)

    def forward(self, x, dropout=0.0, keep=None):
        """Mean and log variance; `keep` overrules the draw of what dropout leaves."""
        h = x / x.pow(2).sum(dim=-1, keepdim=True).sqrt()
        h = F.dropout(h, dropout, self.training) if keep is None else h * keep / (1 - dropout)
        earlier = 0
        for k in range(1, LAYERS + 1):
            a = getattr(self, f"fc{k}")(h) + earlier
            h = getattr(self, f"ln{k}")(a * torch.sigmoid(a))
            earlier = earlier + h
        return self.fc_mu(h), self.fc_logvar(h)


class RecVae(nn.Module):
    def __init__(self, n_items, gamma, width=WIDTH, latent=LATENT):
        super().__init__()
        self.gamma = gamma
        self.encoder = Encoder(n_items, width, latent)
        self.encoder_old = Encoder(n_items, width, latent).requires_grad_(False)
        self.decoder = nn.Linear(latent, n_items)

    def renew(self):
        self.encoder_old.load_state_dict(self.encoder.state_dict())

    def log_prior(self, x, z):
        zero = torch.zeros((), dtype=z.dtype)
        with torch.no_grad():
            old = self.encoder_old(x)
        parts = [(3 / 20, (zero, zero)), (3 / 4, old), (1 / 10, (zero, zero + 10))]
        return torch.logsumexp(torch.stack([log_normal(z, *to) + math.log(w) for w, to in parts], dim=-1), dim=-1)

    def forward(self, x, dropout, keep=None, eps=None):
        """Log-likelihood and weighted KL term, means over the users; the loss is the latter minus the former."""
        mean, log_variance = self.encoder(x, dropout, keep)
        eps = torch.randn_like(mean) if eps is None else eps
        z = mean + eps * torch.exp(log_variance / 2)
        log_likelihood = (F.log_softmax(self.decoder(z), dim=-1) * x).sum(dim=-1).mean()
        kl = (log_normal(z, mean, log_variance) - self.log_prior(x, z)).sum(dim=-1)
        return log_likelihood, (self.gamma * x.sum(dim=-1) * kl).mean()

    def scores(self, x):
        return self.decoder(self.encoder(x)[0])


class Trainer:
    def __init__(self, train, arguments):
        self.train = train
        self.model = RecVae(train.shape[1], arguments.gamma)
        # The authors' program makes room for the best model here: with as many random numbers drawn, a seed's run is theirs.
        RecVae(train.shape[1], arguments.gamma)
        self.encoder_adam = torch.optim.Adam(self.model.encoder.parameters(), lr=5e-4)
        self.decoder_adam = torch.optim.Adam(self.model.decoder.parameters(), lr=5e-4)
        self.steps = {"encoder": (self.encoder_step, 3), "decoder": (self.decoder_step, 1)}

    def step(self, adam, x, dropout, **noise):
        self.model.train()
        adam.zero_grad()
        log_likelihood, kl = self.model(x, dropout, **noise)
        (kl - log_likelihood).backward()
        adam.step()
        return log_likelihood.item(), kl.item()

    def encoder_step(self, x, **noise):
        return self.step(self.encoder_adam, x, 0.5, **noise)

    def decoder_step(self, x, **noise):
        return self.step(self.decoder_adam, x, 0.0, **noise)

    def run_pass(self, step, rng):
        """Mean log-likelihood and KL term over the users."""
        parts = [(len(x), *step(x)) for x in training.batches(self.train, rng)]
        users, *losses = np.array(parts).T
        return [float(users @ loss / users.sum()) for loss in losses]

    def epoch(self, rng):
        encoder = [self.run_pass(self.encoder_step, rng) for _ in range(3)]
        self.model.renew()
        decoder = self.run_pass(self.decoder_step, rng)
        return {
            "ll_encoder": encoder[-1][0],
            "ll_decoder": decoder[0],
            "kl_encoder": float(np.mean([kl for _, kl in encoder])),
            "kl_decoder": decoder[1],
        }


if __name__ == "__main__":
    parser = training.arguments()
    parser.add_argument("--gamma", type=float, default=0.005)
    training.main(parser.parse_args(), Trainer)
