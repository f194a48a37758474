#!/usr/bin/env bash
# candle-core 0.11.1, processor: a sum of f32 over the first dimension stops at 16,777,216; over the last one it goes on.
#
# Expected: a count of rows as a sum of ones over the first dimension is right to f32's rounding, whichever dimension is summed, as in
# NumPy and PyTorch, which sum blocks and then the blocks.
# Seen: 16,780,000 ones give 16,777,216 over dimension 0 of a tensor of shape (16,780,000, 2), where one number is added after
# the other, and 16,780,000 over the last dimension of its transpose made contiguous. In f64 both are right.
# What it means for recvae: how many users an item has, and sums over many users, are whole numbers or f64 in the core, never f32
# sums over users by candle, whose engine sums over the users of a batch alone.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "sums"
version = "0.0.0"
edition = "2021"

[dependencies]
candle-core = { version = "=0.11.1", default-features = false }
TOML
cat >"$folder/src/main.rs" <<'RS'
use candle_core::{DType, Device, Result, Tensor};

fn main() -> Result<()> {
    for dtype in [DType::F32, DType::F64] {
        let ones = Tensor::ones((16_780_000, 2), dtype, &Device::Cpu)?;
        let first = ones.sum(0)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let last = ones.t()?.contiguous()?.sum(1)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        println!("{dtype:?}: over the first dimension {first:?}, over the last one {last:?}");
    }
    Ok(())
}
RS
(cd "$folder" && CARGO_TARGET_DIR="$folder/target" cargo run --quiet --release) | tee "$folder/seen"
diff - "$folder/seen" <<'OUT'
F32: over the first dimension [16777216.0, 16777216.0], over the last one [16780000.0, 16780000.0]
F64: over the first dimension [16780000.0, 16780000.0], over the last one [16780000.0, 16780000.0]
OUT
