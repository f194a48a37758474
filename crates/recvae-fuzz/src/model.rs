//! Model files whose lengths and checksums are right again after a change; `model_file/format.md` of the core says what
//! they are.

use serde_json::{Map, Value};
use xxhash_rust::xxh3::Xxh3;

/// The file with its length of the header and its checksums as they have to be for the rest; as it came where there is
/// no making sense of it.
pub(crate) fn repaired(file: &[u8]) -> Vec<u8> {
    repair(file).unwrap_or_else(|| file.to_vec())
}

fn repair(file: &[u8]) -> Option<Vec<u8>> {
    let rest = file.get(8..)?;
    // The header is what is JSON from the start; the length may have been changed or may be wrong now.
    let mut parser = serde_json::Deserializer::from_slice(rest).into_iter::<Map<String, Value>>();
    let mut header = parser.next()?.ok()?;
    let claimed = usize::try_from(u64::from_le_bytes(file[..8].try_into().ok()?)).unwrap_or(usize::MAX);
    let end = match claimed {
        claimed if claimed >= parser.byte_offset() && claimed <= rest.len() => claimed,
        _ => parser.byte_offset(),
    };
    let data = &rest[end..];
    let tensors = header.iter().filter(|(name, _)| *name != "__metadata__").map(|(name, entry)| {
        let shape: Option<Vec<usize>> =
            entry["shape"].as_array()?.iter().map(|size| Some(size.as_u64()? as usize)).collect();
        let offset = |at: usize| entry["data_offsets"][at].as_u64().map(|offset| offset as usize);
        Some((name.clone(), entry["dtype"].as_str()?.to_owned(), shape?, data.get(offset(0)?..offset(1)?)?))
    });
    let mut tensors: Vec<_> = tensors.collect::<Option<_>>()?;
    tensors.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let checksum = |whole: bool, text: &str| {
        let mut hash = Xxh3::new();
        hash.update(text.as_bytes());
        for (name, dtype, shape, data) in &tensors {
            hash.update(format!("\n{name} {dtype} {shape:?}\n").as_bytes());
            if whole || !name.starts_with("model.") {
                hash.update(data);
            }
        }
        format!("{:032x}", hash.digest128())
    };
    let text = header.get("__metadata__")?["recvae"].as_str()?;
    let (all, of_head) = (without("checksum", text)?, without("checksumHead", &without("checksum", text)?));
    let text = match of_head {
        Some(text) => with("checksumHead", &checksum(false, &text), &text),
        None => all,
    };
    let text = with("checksum", &checksum(true, &text), &text);
    header["__metadata__"]["recvae"] = text.into();
    let mut head = Value::from(header).to_string().into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    Some([&(head.len() as u64).to_le_bytes()[..], &head, data].concat())
}

/// The object without its first key, if that is the checksum.
fn without(key: &str, text: &str) -> Option<String> {
    let rest = text.strip_prefix(&format!("{{\"{key}\":\""))?;
    Some(format!("{{{}", rest.split_once("\",")?.1))
}

fn with(key: &str, value: &str, text: &str) -> String {
    format!("{{\"{key}\":\"{value}\",{}", text.get(1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use recvae_core::{Error, Recommender};

    fn seed(name: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/model").join(name);
        std::fs::read(path).unwrap()
    }

    /// The file after a change of the numbers of one of its tensors, given by name and bytes of a number.
    fn changed(mut file: Vec<u8>, tensor: &str, size: usize, change: impl Fn(usize, u64) -> u64) -> Vec<u8> {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
        let offset = |at: usize| 8 + length + header[tensor]["data_offsets"][at].as_u64().unwrap() as usize;
        for (at, number) in file[offset(0)..offset(1)].chunks_exact_mut(size).enumerate() {
            let mut word = [0; 8];
            word[..size].copy_from_slice(number);
            number.copy_from_slice(&change(at, u64::from_le_bytes(word)).to_le_bytes()[..size]);
        }
        file
    }

    #[test]
    fn a_repaired_file_is_one_that_was_never_broken() {
        for name in ["ease.safetensors", "hoease.safetensors", "recvae.safetensors", "ease-both.safetensors"] {
            let file = seed(name);
            assert!(Recommender::from_bytes(&repaired(&file)).is_ok(), "{name}");
            let other = changed(file, "items.ends", 8, |_, end| end);
            assert!(Recommender::from_bytes(&repaired(&other)).is_ok(), "{name}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused_though_the_checksums_are_right() {
        let refused = |name: &str, tensor: &str, size: usize, change: &dyn Fn(usize, u64) -> u64| {
            let broken = changed(seed(name), tensor, size, change);
            let file = repaired(&broken);
            assert_ne!(file, broken, "{name}: nothing to repair");
            match Recommender::from_bytes(&file) {
                Err(Error::InvalidModelFile { message, .. }) => {
                    assert!(!message.contains("checksum"), "{name} {tensor}: {message}");
                }
                Err(other) => panic!("{name} {tensor}: {other}"),
                Ok(_) => panic!("{name} {tensor}: it was loaded"),
            }
        };
        for name in ["ease.safetensors", "popularity.safetensors", "mult-vae.safetensors"] {
            refused(name, "items.ends", 8, &|at, end| if at == 1 { u64::MAX } else { end });
            refused(name, "items.ends", 8, &|at, end| if at == 3 { end + 1 } else { end });
            refused(name, "items.ends", 8, &|_, end| end.wrapping_sub(2));
            refused(name, "items.bytes", 1, &|_, _| u64::from(b'a'));
            refused(name, "items.bytes", 1, &|_, _| 0xff);
        }
        // Its pairs ascend, the lower item first.
        refused("hoease.safetensors", "model.pairs", 4, &|at, item| if at == 1 { 0 } else { item });
        refused("hoease.safetensors", "model.pairs", 4, &|at, item| if at == 3 { 4 } else { item });
        refused("hoease.safetensors", "model.pairs", 4, &|at, item| if at == 3 { 1 } else { item });
        for name in ["ease-sparse.safetensors", "ease-both.safetensors"] {
            refused(name, "model.weights.items", 4, &|at, item| if at == 2 { 4 } else { item });
            refused(name, "model.weights.items", 4, &|_, _| u32::MAX.into());
            refused(name, "model.weights.ends", 8, &|at, end| if at == 0 { u64::MAX } else { end });
            refused(name, "model.weights.ends", 8, &|_, end| end + 1);
        }
    }
}
