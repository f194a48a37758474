"""Compares the peers with the golden vectors in float64: python check.py FOLDER_OF_SAFETENSORS."""

import argparse
import json
import pathlib
import struct
import sys

folder = pathlib.Path(sys.argv.pop(1))

import recvae  # noqa: E402
import mult_vae  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

DTYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32, "U8": np.uint8, "BOOL": np.bool_}
WORST = {}


def read(name):
    raw = (folder / f"{name}.safetensors").read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        key: torch.from_numpy(
            np.frombuffer(raw[8 + length :][slice(*v["data_offsets"])], DTYPES[v["dtype"]]).reshape(v["shape"]).copy()
        )
        for key, v in header.items()
    }


def under(tensors, prefix):
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def same(name, ours, theirs, tolerance=1e-12):
    ours = torch.as_tensor(ours).detach()
    assert ours.dtype == theirs.dtype == torch.float64
    worst = ((ours - theirs.reshape(ours.shape)).abs() / (1 + theirs.abs())).max().item()
    assert worst <= tolerance, (name, worst)
    WORST[name] = worst


def check_recvae_step():
    golden = read("recvae_step")
    model = recvae.RecVae(40, 0.005, 16, 8).double()
    model.load_state_dict(under(golden, "param."))
    log_likelihood, kl = model(golden["x"], 0.5, golden["dropout_keep"], golden["eps"])
    (kl - log_likelihood).backward()
    same("recvae mll", log_likelihood, golden["mll"])
    same("recvae kld", kl, golden["kld"])
    same("recvae loss", kl - log_likelihood, golden["loss"])
    for name, gradient in under(golden, "grad.").items():
        same(f"recvae grad {name}", model.get_parameter(name).grad, gradient)
    model.eval()
    for name, ours in zip(("mu", "logvar"), model.encoder(golden["x"])):
        same(f"recvae {name}", ours, golden[f"eval.{name}"])
    same("recvae scores", model.scores(golden["x"]), golden["eval.scores"])


def check_recvae_run():
    golden = read("recvae_run")
    trainer = recvae.Trainer(golden["x"], argparse.Namespace(gamma=0.005))
    trainer.model = recvae.RecVae(40, 0.005, 16, 8).double()
    trainer.model.load_state_dict(under(golden, "init."))
    trainer.encoder_adam = torch.optim.Adam(trainer.model.encoder.parameters(), lr=5e-4)
    trainer.decoder_adam = torch.optim.Adam(trainer.model.decoder.parameters(), lr=5e-4)
    before = 0
    for number, phase in enumerate(golden["phase"].tolist()):
        if phase > before:
            trainer.model.renew()
        before = phase
        x, eps = golden["x"][golden["user_index"][number]], golden["eps"][number]
        if phase:
            log_likelihood, kl = trainer.decoder_step(x, eps=eps)
        else:
            log_likelihood, kl = trainer.encoder_step(x, eps=eps, keep=golden["dropout_keep"][number])
        ours = torch.tensor([log_likelihood, kl, kl - log_likelihood], dtype=torch.float64)
        same(f"recvae run {number}", ours, golden["mll_kld_loss"][number], 1e-9)
        if number % 12 == 11:
            for name, theirs in under(golden, f"epoch{number // 12}.").items():
                same(f"recvae run epoch {number // 12} {name}", trainer.model.get_parameter(name), theirs, 1e-9)


def check_mult_vae_step():
    golden = read("multvae_step")
    model = mult_vae.MultVae(40, 16, 8).double()
    model.load_state_dict(under(golden, "param."))
    nll, kl = model(golden["x"], golden["dropout_keep"], golden["eps"])
    loss = nll + golden["beta"] * kl
    loss.sum().backward()
    for name, ours in (("nll", nll), ("kl", kl), ("loss", loss)):
        same(f"mult-vae {name}", ours, golden[name])
    for name, gradient in under(golden, "grad.").items():
        same(f"mult-vae grad {name}", model.get_parameter(name).grad, gradient)
    model.eval()
    same("mult-vae scores", model.scores(golden["x"]), golden["eval.scores"])


for check in (check_recvae_step, check_recvae_run, check_mult_vae_step):
    check()
name, worst = max(WORST.items(), key=lambda item: item[1])
print(f"{len(WORST)} values or tensors agree; the largest relative difference is {worst:.1e}, of {name}")
