// What candle has no operation for, or only a slow one: sparse rows, noise from the counter-based generator, Adam in place.
//
// Each kernel is the body of one loop whose rounds touch nothing in common, so that the result does not depend on the order of threads,
// and no kernel waits for another thread. Compiled as C++ with RECVAE_HOST it is that loop, which .ci/cuda/kernels.py runs.
// All numbers are f32 but for those of the generator, which are f64 until they are stored, as on the host.

typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef RECVAE_HOST
#include <math.h>
#define KERNEL extern "C" void
#define DEVICE static inline
#define EACH(i, n) for (u64 i = 0; i < n; ++i)
#else
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ inline
#define EACH(i, n) for (u64 i = blockIdx.x * (u64)blockDim.x + threadIdx.x; i < n; i += gridDim.x * (u64)blockDim.x)
#endif

// An entry that dropout has taken away.
#define ABSENT 0xFFFFFFFFu

struct Four {
  u32 number[4];
};

// Philox4x32-10: J. K. Salmon and others, Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011. As base/random.rs.
DEVICE Four philox(u64 seed, u64 stream, u64 counter) {
  u32 c0 = (u32)counter, c1 = (u32)(counter >> 32), c2 = (u32)stream, c3 = (u32)(stream >> 32);
  u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    const u64 a = (u64)0xD2511F53u * c0, b = (u64)0xCD9E8D57u * c2;
    const u32 n0 = (u32)(b >> 32) ^ c1 ^ k0, n2 = (u32)(a >> 32) ^ c3 ^ k1;
    c0 = n0;
    c1 = (u32)b;
    c2 = n2;
    c3 = (u32)a;
  }
  Four result = {{c0, c1, c2, c3}};
  return result;
}

DEVICE double unit(u32 low, u32 high) {
  return (double)(((u64)low | (u64)high << 32) >> 11) * (1.0 / 9007199254740992.0);
}

// Round i: the lane i % lanes of the row i / lanes, which takes every so many blocks of four items. `starts`: where the row's history
// begins in `items`; `offsets`: where its entries do. What falls below `bar` is dropped.
KERNEL entries(u64 n, u32 *out, const u32 *items, const u32 *users, const u32 *starts, const u32 *offsets, u64 seed, u64 stream,
               u32 bar, u32 lanes) {
  EACH(i, n) {
    const u64 row = i / lanes;
    const u32 begin = offsets[row], length = offsets[row + 1] - begin, start = starts[row];
    for (u32 block = (u32)(i % lanes); block * 4 < length; block += lanes) {
      Four drawn = {{ABSENT, ABSENT, ABSENT, ABSENT}};
      if (bar > 0) drawn = philox(seed, stream, (u64)users[row] << 32 | block);
      for (u32 at = 0; at < 4 && block * 4 + at < length; ++at) {
        const u32 place = block * 4 + at;
        out[begin + place] = drawn.number[at] >= bar ? items[start + place] : ABSENT;
      }
    }
  }
}

// Round i: a pair of numbers of the row i / pairs.
KERNEL normals(u64 n, float *out, const u32 *users, u64 seed, u64 stream, u32 latent, u32 pairs) {
  EACH(i, n) {
    const u64 row = i / pairs;
    const u32 pair = (u32)(i % pairs);
    const Four drawn = philox(seed, stream, (u64)users[row] << 32 | pair);
    const double a = unit(drawn.number[0], drawn.number[1]), b = unit(drawn.number[2], drawn.number[3]);
    const double radius = sqrt(-2.0 * log(1.0 - a)), angle = 6.283185307179586476925286766559 * b;
    float *place = out + row * latent + pair * 2;
    place[0] = (float)(radius * cos(angle));
    if (pair * 2 + 1 < latent) place[1] = (float)(radius * sin(angle));
  }
}

// Round i: column i % width of the sum of one of `parts` equal parts of the entries of a row.
KERNEL input_parts(u64 n, float *out, const float *weight, const u32 *entries, const u32 *offsets, u32 width, u32 parts) {
  EACH(i, n) {
    const u64 part = i / width, column = i % width, row = part / parts;
    const u64 begin = offsets[row], length = offsets[row + 1] - begin, which = part % parts;
    const u64 from = begin + length * which / parts, to = begin + length * (which + 1) / parts;
    float sum = 0.0f;
    for (u64 at = from; at < to; ++at) {
      const u32 item = entries[at];
      if (item != ABSENT) sum += weight[(u64)item * width + column];
    }
    out[i] = sum;
  }
}

// Round i: the parts of a number added up, times the value of its row.
KERNEL input_sums(u64 n, float *out, const float *parts_of, const float *values, u32 width, u32 parts) {
  EACH(i, n) {
    const u64 row = i / width, column = i % width;
    float sum = 0.0f;
    for (u32 part = 0; part < parts; ++part) sum += parts_of[(row * parts + part) * width + column];
    out[i] = sum * values[row];
  }
}

// Round i: a lane of the row i / lanes, whose entries get the row's value in a matrix of zeros.
KERNEL dense(u64 n, float *out, const u32 *entries, const u32 *offsets, const float *values, u32 n_items, u32 lanes) {
  EACH(i, n) {
    const u64 row = i / lanes;
    for (u64 at = offsets[row] + i % lanes; at < offsets[row + 1]; at += lanes) {
      if (entries[at] != ABSENT) out[row * n_items + entries[at]] = values[row];
    }
  }
}

// Round i: a lane's part of the sum of the logits of a row's own items.
KERNEL own_logits(u64 n, float *out, const float *logits, const u32 *entries, const u32 *offsets, u32 n_items, u32 lanes) {
  EACH(i, n) {
    const u64 row = i / lanes;
    float sum = 0.0f;
    for (u64 at = offsets[row] + i % lanes; at < offsets[row + 1]; at += lanes) sum += logits[row * n_items + entries[at]];
    out[i] = sum;
  }
}

// Round i: the lanes of a row added up, less what log sum exp takes away.
KERNEL log_likelihoods(u64 n, float *out, const float *lanes_of, const float *counts, const float *log_sums, u32 lanes) {
  EACH(i, n) {
    float sum = 0.0f;
    for (u32 lane = 0; lane < lanes; ++lane) sum += lanes_of[i * lanes + lane];
    out[i] = sum - counts[i] * log_sums[i];
  }
}

// Round i: the part of the gradient of the log-likelihood that comes from log sum exp, times `slopes` of the row.
KERNEL softmax_gradient(u64 n, float *out, const float *logits, const float *log_sums, const float *slopes, const float *counts,
                        u32 n_items) {
  EACH(i, n) {
    const u64 row = i / n_items;
    out[i] = -slopes[row] * counts[row] * expf(logits[i] - log_sums[row]);
  }
}

// Round i: a lane of the row i / lanes; a row has an item once.
KERNEL own_gradient(u64 n, float *out, const float *slopes, const u32 *entries, const u32 *offsets, u32 n_items, u32 lanes) {
  EACH(i, n) {
    const u64 row = i / lanes;
    for (u64 at = offsets[row] + i % lanes; at < offsets[row + 1]; at += lanes) out[row * n_items + entries[at]] += slopes[row];
  }
}

// Adam, in the order of operations of nn/adam.rs. `pull`: twice the weight of the squares.
KERNEL adam_first(u64 n, float *first, const float *gradient, const float *value, float pull, float share) {
  EACH(i, n) {
    const float slope = gradient[i] + pull * value[i];
    first[i] += (slope - first[i]) * share;
  }
}

KERNEL adam_second(u64 n, float *second, const float *gradient, const float *value, float pull, float keep, float share) {
  EACH(i, n) {
    const float slope = gradient[i] + pull * value[i];
    second[i] = second[i] * keep + slope * slope * share;
  }
}

KERNEL adam_value(u64 n, float *value, const float *first, const float *second, float rate, float scale, float epsilon) {
  EACH(i, n) { value[i] -= first[i] * rate / (sqrtf(second[i]) / scale + epsilon); }
}
