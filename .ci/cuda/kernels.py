"""The kernels of kernels.cu as the host's compiler makes them, against their formulas: the same source runs on a GPU.

    python3 .ci/cuda/kernels.py LIBRARY   # of c++ -shared -fPIC -DRECVAE_HOST -x c++ kernels.cu

Rows have no item, one, fewer than there are lanes and several times as many. Python computes in double precision.
"""

import ctypes
import math
import random
import sys

library = ctypes.CDLL(sys.argv[1])
ABSENT = 0xFFFFFFFF
LANES, PARTS = 32, 8
ITEMS, WIDTH, LATENT = 500, 9, 7


def u32(values):
    return (ctypes.c_uint32 * len(values))(*values)


def f32(values):
    return (ctypes.c_float * len(values))(*values)


def nothing(n):
    return f32([math.nan] * n)


def normal(n):
    return f32([random.gauss(0, 1) for _ in range(n)])


def run(name, rounds, *arguments):
    """Whole numbers are 32 bits unless they are wrapped, others f32."""
    wrap = {int: ctypes.c_uint32, float: ctypes.c_float}
    arguments = [wrap.get(type(argument), lambda same: same)(argument) for argument in arguments]
    getattr(library, name)(ctypes.c_uint64(rounds), *arguments)


def near(found, wanted, tolerance):
    assert abs(found - wanted) <= tolerance * max(1.0, abs(wanted)), (found, wanted)


def philox(seed, stream, counter):
    """Philox4x32-10 (Salmon and others, SC 2011)."""
    c = [counter & ABSENT, counter >> 32, stream & ABSENT, stream >> 32]
    key = [seed & ABSENT, seed >> 32]
    for number in range(10):
        if number:
            key = [(key[0] + 0x9E3779B9) & ABSENT, (key[1] + 0xBB67AE85) & ABSENT]
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ key[0], b & ABSENT, (a >> 32) ^ c[3] ^ key[1], a & ABSENT]
    return c


# A known answer of Random123.
assert philox(0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3243F6A88) == [
    *(0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)
]

random.seed(1)
HISTORIES = [sorted(random.sample(range(ITEMS), n)) for n in (3, 0, 1, 400, 30, 131, 500)]
USERS = [6, 3, 1, 5, 2, 0]
N = len(USERS)
begins, offsets = [0], [0]
for history in HISTORIES:
    begins.append(begins[-1] + len(history))
for user in USERS:
    offsets.append(offsets[-1] + len(HISTORIES[user]))
users, starts, ends = u32(USERS), u32([begins[user] for user in USERS]), u32(offsets)


def entries(rate):
    seed, stream, bar = 1 << 40 | 5, 4 << 56 | 3, int(rate * 2**32)
    out = u32([7] * offsets[-1])
    items = u32(sum(HISTORIES, []))
    numbers = (ctypes.c_uint64(seed), ctypes.c_uint64(stream), bar, LANES)
    run("entries", N * LANES, out, items, users, starts, ends, *numbers)
    kept = []
    for user in USERS:
        for place, item in enumerate(HISTORIES[user]):
            drawn = philox(seed, stream, user << 32 | place // 4)[place % 4]
            kept.append(item if drawn >= bar else ABSENT)
    assert list(out) == kept
    assert (ABSENT in kept) == (rate > 0)
    return kept


def row(all_entries, at):
    return [item for item in all_entries[offsets[at] : offsets[at + 1]] if item != ABSENT]


def check_normals():
    seed, stream = 9, 5 << 56 | 2
    out = nothing(N * LATENT)
    pairs = (LATENT + 1) // 2
    run("normals", N * pairs, out, users, ctypes.c_uint64(seed), ctypes.c_uint64(stream), LATENT, pairs)
    for at, user in enumerate(USERS):
        for place in range(LATENT):
            n = philox(seed, stream, user << 32 | place // 2)
            a, b = (((low | high << 32) >> 11) / 2**53 for low, high in (n[:2], n[2:]))
            angle = 2 * math.pi * b
            wave = math.sin(angle) if place % 2 else math.cos(angle)
            near(out[at * LATENT + place], math.sqrt(-2 * math.log(1 - a)) * wave, 1e-6)


def check_input(kept):
    weight, values = normal(ITEMS * WIDTH), normal(N)
    parts, sums = nothing(N * PARTS * WIDTH), nothing(N * WIDTH)
    run("input_parts", len(parts), parts, weight, u32(kept), ends, WIDTH, PARTS)
    run("input_sums", len(sums), sums, parts, values, WIDTH, PARTS)
    dense = f32([0] * (N * ITEMS))
    run("dense", N * LANES, dense, u32(kept), ends, values, ITEMS, LANES)
    for at in range(N):
        own = row(kept, at)
        for column in range(WIDTH):
            near(sums[at * WIDTH + column], values[at] * sum(weight[item * WIDTH + column] for item in own), 2e-4)
        wanted = [values[at] if item in set(own) else 0.0 for item in range(ITEMS)]
        assert dense[at * ITEMS : (at + 1) * ITEMS] == wanted


def check_log_likelihood(whole):
    logits, log_sums, slopes = normal(N * ITEMS), f32([6.5] * N), normal(N)
    counts = f32([end - begin for begin, end in zip(offsets, offsets[1:])])
    lanes, out = nothing(N * LANES), nothing(N)
    run("own_logits", len(lanes), lanes, logits, u32(whole), ends, ITEMS, LANES)
    run("log_likelihoods", N, out, lanes, counts, log_sums, LANES)
    gradient = nothing(N * ITEMS)
    run("softmax_gradient", len(gradient), gradient, logits, log_sums, slopes, counts, ITEMS)
    run("own_gradient", N * LANES, gradient, slopes, u32(whole), ends, ITEMS, LANES)
    for at in range(N):
        own = set(row(whole, at))
        logit = logits[at * ITEMS : (at + 1) * ITEMS]
        near(out[at], sum(logit[item] for item in own) - counts[at] * 6.5, 1e-5)
        for item in range(ITEMS):
            softmax = counts[at] * math.exp(logit[item] - 6.5)
            near(gradient[at * ITEMS + item], slopes[at] * ((item in own) - softmax), 1e-5)


def check_adam():
    n, pull = 100, 0.02
    gradient, value, first = (normal(n) for _ in range(3))
    second = f32([number**2 for number in normal(n)])
    new_first, new_second, new_value = f32(first), f32(second), f32(value)
    run("adam_first", n, new_first, gradient, value, pull, 0.1)
    run("adam_second", n, new_second, gradient, value, pull, 0.999, 0.001)
    run("adam_value", n, new_value, first, second, 0.01, 0.3, 1e-8)
    for at in range(n):
        slope = gradient[at] + pull * value[at]
        near(new_first[at], first[at] + 0.1 * (slope - first[at]), 1e-6)
        near(new_second[at], 0.999 * second[at] + 0.001 * slope**2, 1e-6)
        step = 0.01 * first[at] / (math.sqrt(second[at]) / 0.3 + 1e-8)
        near(new_value[at], value[at] - step, 1e-5 * max(1.0, abs(step)))


check_normals()
check_input(entries(0.5))
check_log_likelihood(entries(0.0))
check_adam()
print("12 kernels give what their formulas do")
