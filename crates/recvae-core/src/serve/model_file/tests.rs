//! Files against the text of the format, altered files, and files that claim what is not so.

use super::*;
use crate::data::interactions::{Interactions, Thresholds};
use crate::math::csr::Csr;
use crate::model::{CompactOptions, StoredPrecision, TensorData};
use crate::serve::inspect::inspect;
use crate::serve::recommender::{History, RecommendOptions, Recommender};
use crate::train::run::FitRun;

/// The kinds that are trained, and EASE^R made smaller in both ways.
fn all() -> impl Iterator<Item = &'static str> {
    ModelKind::TRAINED.iter().map(|kind| kind.name()).chain(["pruned", "half"])
}

fn recommender(name: &str) -> Recommender {
    let train = Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1, 2], &[3], &[0, 2, 3]], 4).unwrap();
    let kind: ModelKind = name.parse().unwrap_or(ModelKind::Ease);
    let fit = kind.fit(&kind.least_options(), &train, None, &FitRun::default()).unwrap();
    let ids = ["a", "b", "ç", ""].into_iter().collect();
    let model = Recommender::new(fit.model, ids, json!({"text": "\"ä\n", "x": 1e-7})).unwrap();
    let precision = Some(StoredPrecision::F16);
    match name {
        "pruned" => model.compact(&CompactOptions { top_per_item: Some(2), precision: None }).unwrap(),
        "half" => model.compact(&CompactOptions { top_per_item: None, precision }).unwrap(),
        _ => model,
    }
}

fn bytes(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    recommender(name).save(&path).unwrap();
    std::fs::read(path).unwrap()
}

/// A file with right checksums, whatever it claims.
fn sealed(metadata: &Value, tensors: Vec<(&str, &'static str, Vec<usize>, Vec<u8>)>) -> Vec<u8> {
    let mut tensors: Vec<_> = tensors
        .into_iter()
        .map(|(name, dtype, shape, bytes)| Out { name: name.into(), dtype, shape, bytes: bytes.into() })
        .collect();
    let mut file = header_for(&metadata.to_string(), &mut tensors).unwrap();
    tensors.iter().for_each(|tensor| file.extend_from_slice(&tensor.bytes));
    file
}

fn refusal(bytes: &[u8]) -> String {
    match Recommender::from_bytes(bytes) {
        Err(Error::InvalidModelFile { message, .. }) => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("loaded"),
    }
}

fn how(mmap: bool, verify: Option<bool>) -> LoadOptions {
    LoadOptions { mmap, verify, ..LoadOptions::default() }
}

/// Follows `format.md` and nothing else.
#[test]
fn a_file_is_what_the_text_says() {
    for name in all() {
        let file = bytes(name);
        let n = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        assert_eq!(n % 8, 0);
        let header: Value = serde_json::from_slice(&file[8..8 + n]).unwrap();
        let metadata = header["__metadata__"]["recvae"].as_str().unwrap();
        assert_eq!(header["__metadata__"].as_object().unwrap().len(), 1);
        let mut tensors: Vec<_> = header
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, _)| *key != "__metadata__")
            .map(|(key, tensor)| {
                let number = |value: &Value| value.as_u64().unwrap() as usize;
                let shape: Vec<usize> = tensor["shape"].as_array().unwrap().iter().map(number).collect();
                let [from, to] = [0, 1].map(|at| number(&tensor["data_offsets"][at]));
                let dtype = tensor["dtype"].as_str().unwrap();
                let size = match dtype {
                    "U8" => 1,
                    "F16" => 2,
                    "F32" | "U32" => 4,
                    "F64" | "I64" => 8,
                    other => panic!("{other}"),
                };
                assert_eq!(to - from, shape.iter().product::<usize>() * size, "{key}");
                assert_eq!((8 + n + from) % size, 0, "{key}");
                (key.as_str(), dtype, shape, &file[8 + n + from..8 + n + to], from, to)
            })
            .collect();

        // The checksums, of names in ascending order.
        tensors.sort_by_key(|tensor| tensor.0);
        let (head, all): (&mut Vec<u8>, &mut Vec<u8>) = (&mut vec![], &mut vec![]);
        assert!(metadata[1..].starts_with("\"checksum\":\"") && &metadata[45..47] == "\",");
        let without = format!("{{{}", &metadata[47..]);
        all.extend(without.as_bytes());
        assert!(without[1..].starts_with("\"checksumHead\":\"") && &without[49..51] == "\",");
        head.extend(format!("{{{}", &without[51..]).as_bytes());
        for (name, dtype, shape, data, ..) in &tensors {
            let sizes: Vec<_> = shape.iter().map(ToString::to_string).collect();
            let line = format!("\n{name} {dtype} [{}]\n", sizes.join(", "));
            head.extend(line.as_bytes());
            all.extend(line.as_bytes());
            all.extend(*data);
            if !name.starts_with("model.") {
                head.extend(*data);
            }
        }
        let metadata: Value = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata["checksum"], format!("{:032x}", xxhash_rust::xxh3::xxh3_128(all)), "{name}");
        assert_eq!(metadata["checksumHead"], format!("{:032x}", xxhash_rust::xxh3::xxh3_128(head)), "{name}");
        let keys: Vec<_> = metadata.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["checksum", "checksumHead", "format", "info", "kind", "options", "writer"]);
        assert_eq!((&metadata["format"], &metadata["info"]["text"]), (&json!(1), &json!("\"ä\n")));

        // Without gaps, and in order.
        tensors.sort_by_key(|tensor| (tensor.4, tensor.5));
        let ends: Vec<_> = tensors.iter().map(|tensor| tensor.5).collect();
        assert!(tensors[0].4 == 0 && *ends.last().unwrap() == file.len() - 8 - n);
        assert!(tensors.iter().skip(1).zip(&ends).all(|(tensor, &end)| tensor.4 == end));
        let tensor = |name: &str| tensors.iter().find(|tensor| tensor.0 == name).unwrap_or_else(|| panic!("{name}"));
        let u64s = |name: &str| -> Vec<usize> {
            tensor(name).3.chunks(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()) as usize).collect()
        };
        let ends = u64s("items.ends");
        let ids: Vec<_> = [0, ends[0], ends[1], ends[2]]
            .into_iter()
            .zip(&ends)
            .map(|(start, &end)| std::str::from_utf8(&tensor("items.bytes").3[start..end]).unwrap())
            .collect();
        assert_eq!(ids, ["a", "b", "ç", ""]);

        // B by its text, against the model's scores of a history of one item.
        let f32s = |name: &str| -> Vec<f32> {
            match tensor(name).1 {
                "F16" => tensor(name).3.chunks(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
                _ => tensor(name).3.chunks(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect(),
            }
        };
        let rows: Vec<Vec<f32>> = match name {
            "ease" | "edlae" | "hoease" | "half" => {
                f32s("model.weights").chunks(4).take(4).map(<[f32]>::to_vec).collect()
            }
            "pruned" => {
                let (ends, values, items) =
                    (u64s("model.weights.ends"), f32s("model.weights.values"), tensor("model.weights.items").3);
                let mut start = 0;
                let row = |end: usize| {
                    let mut row = vec![0.0; 4];
                    for at in std::mem::replace(&mut start, end)..end {
                        row[u32::from_le_bytes(items[4 * at..4 * at + 4].try_into().unwrap()) as usize] = values[at];
                    }
                    row
                };
                ends.into_iter().map(row).collect()
            }
            _ => vec![],
        };
        let model = Recommender::from_bytes(&file).unwrap();
        for (item, row) in (0u32..).zip(&rows) {
            let scores = model.model().scores(&[&[item]]).unwrap();
            assert_eq!(scores.row(0).to_vec(), *row, "{name}: {item}");
        }
        if name == "hoease" {
            // C below B: a history of a pair has its row besides those of its items.
            let pairs: Vec<u32> =
                tensor("model.pairs").3.chunks(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap())).collect();
            assert_eq!(pairs, [0, 1, 0, 2, 0, 3, 1, 2, 2, 3]);
            for (pair, more) in pairs.chunks(2).zip(f32s("model.weights").chunks(4).skip(4)) {
                let scores = model.model().scores(&[pair]).unwrap();
                let rows = [&rows[pair[0] as usize], &rows[pair[1] as usize]];
                let expected = rows[0].iter().zip(rows[1]).zip(more).map(|((a, b), c)| a + b + c);
                assert_eq!(scores.row(0).to_vec(), expected.collect::<Vec<_>>(), "{pair:?}");
            }
        }
    }
}

#[test]
fn files_of_the_first_writer_are_read_and_verified_whole() {
    let folder = tempfile::tempdir().unwrap();
    for (kind, best) in
        [("popularity", "ä5 b3 ä2 ä3"), ("ease", "ä4 ä3 ä5 ä2"), ("mult-vae", "ä5 b3 ä4 b2"), ("recvae", "ä2 ä5 b3 ä3")]
    {
        let path = format!("{}/../../test/fixtures/models/first-{kind}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let again = folder.path().join(kind);
        let check = |model: &Recommender| {
            assert_eq!(model.info(), &json!({"made": "by the first writer of version 1"}));
            let options = RecommendOptions { k: 4, ..RecommendOptions::default() };
            let list = &model.recommend(&[model.history(["ä0", "ä1"])], &options).unwrap()[0];
            assert_eq!(
                list.iter().map(|scored| model.items().get(scored.item as usize)).collect::<Vec<_>>().join(" "),
                best
            );
        };
        for mmap in [true, false] {
            let model = Recommender::load_with(&path, &how(mmap, Some(false))).unwrap();
            check(&model);
            model.save(&again).unwrap();
        }
        check(&Recommender::load(&again).unwrap());
        assert_eq!(inspect(&path).unwrap().holds, Some(true));
        let mut altered = std::fs::read(&path).unwrap();
        let last = altered.len() - 40;
        altered[last] ^= 1;
        std::fs::write(&again, &altered).unwrap();
        assert!(Recommender::load_with(&again, &how(true, Some(false))).is_err());
        assert_eq!(inspect(&again).unwrap().holds, Some(false));
    }
}

#[test]
fn every_byte_but_those_of_parameters_is_verified_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    for name in ["ease", "pruned"] {
        let whole = bytes(name);
        let file = ModelFile::open(&path, (&whole[..]).into(), "a recvae model").unwrap();
        let own: Vec<_> = file
            .header
            .tensors
            .iter()
            .filter(|entry| entry.name.starts_with(MODEL_PREFIX))
            .map(|entry| entry.range.clone())
            .collect();
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            std::fs::write(&path, &altered).unwrap();
            let parameter = own.iter().any(|range| range.contains(&at));
            for mmap in [true, false] {
                let loaded = |verify| Recommender::load_with(&path, &how(mmap, verify));
                assert!(!parameter || loaded(None).is_err(), "byte {at} is not verified by default");
                match loaded(Some(false)) {
                    // Rows of pruned weights are looked at in any case.
                    Err(Error::InvalidModelFile { .. }) => assert!(!parameter || name == "pruned", "byte {at}"),
                    Err(other) => panic!("{other}"),
                    Ok(_) if parameter => {}
                    Ok(loaded) => {
                        // Blanks at the end of the header and letters of its own keys carry nothing.
                        let copy = folder.path().join("copy");
                        loaded.save(&copy).unwrap();
                        assert_eq!(std::fs::read(&copy).unwrap(), whole, "byte {at}");
                    }
                }
            }
        }
    }
}

/// candle's reader takes fewer types than the format has; what it reads, others do.
#[cfg(feature = "candle")]
#[test]
fn candle_reads_every_tensor_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    for name in all() {
        let bytes = bytes(name);
        let ours = Header::parse(&bytes).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let theirs = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
        assert!(theirs.len() >= 3 && theirs.len() == ours.tensors.len(), "{name}");
        for Entry { name: tensor, shape, .. } in &ours.tensors {
            assert_eq!(theirs[tensor].dims(), shape, "{name}: {tensor}");
        }
        let ends = theirs["items.ends"].to_vec1::<i64>().unwrap();
        assert_eq!(ends, [1, 2, 4, 4], "{name}");
    }
    let histories = [("u", &["a", "b"][..]), ("v", &["c"])];
    let data = crate::Interactions::from_histories(
        histories.iter().map(|(user, items)| (*user, *items)),
        &crate::Thresholds::default(),
    );
    let counts = crate::EaseCounts::count(&data.unwrap(), None, &crate::Cancel::default()).unwrap();
    counts.save(&path).unwrap();
    let theirs = candle_core::safetensors::load(&path, &candle_core::Device::Cpu).unwrap();
    assert_eq!(theirs["items.ends"].to_vec1::<i64>().unwrap(), [1, 2, 3]);
    assert_eq!(theirs["model.counts.ends"].dims(), [3]);
}

#[test]
fn parameters_of_a_large_mapped_file_are_verified_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let ids: Vec<String> = (0..20_000).map(|item| item.to_string()).collect();
    let ends = ids.iter().scan(0u64, |end, id| {
        *end += id.len() as u64;
        Some(*end)
    });
    let tensors = vec![
        ("items.bytes", "U8", vec![ids.concat().len()], ids.concat().into_bytes()),
        ("items.ends", "U64", vec![ids.len()], le(&ends.collect::<Vec<_>>(), u64::to_le_bytes)),
        ("model.scores", "F32", vec![ids.len()], le(&vec![1f32; ids.len()], f32::to_le_bytes)),
    ];
    let mut file = sealed(&metadata(json!({"kind": "popularity"})), tensors);
    assert!(file.len() > VERIFIED);
    let loads = |mmap, verify| Recommender::load_with(&path, &how(mmap, verify)).is_ok();
    std::fs::write(&path, &file).unwrap();
    assert!([None, Some(true), Some(false)].into_iter().all(|verify| loads(true, verify) && loads(false, verify)));
    let parameter =
        ModelFile::open(&path, (&file[..]).into(), "a recvae model").unwrap().find("scores").unwrap().range.start;
    file[parameter] ^= 1;
    std::fs::write(&path, &file).unwrap();
    assert_eq!([None, Some(true), Some(false)].map(|verify| loads(true, verify)), [true, false, true]);
    assert_eq!([None, Some(true), Some(false)].map(|verify| loads(false, verify)), [false, false, true]);
}

#[test]
fn parameters_stay_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    for name in all() {
        recommender(name).save(&path).unwrap();
        let file = ModelFile::open(&path, FileBytes::open(&path, true).unwrap(), "a recvae model").unwrap();
        let (model, ..) = file.model().unwrap();
        let bytes = (*file.bytes).as_ref().as_ptr_range();
        let inside = |data: &TensorData<'_>| bytes.contains(&data.bytes().unwrap().as_ptr());
        let shared = model.tensors().unwrap().iter().filter(|tensor| inside(&tensor.data)).count();
        // Models that give copies of their parameters have them elsewhere; half precision is converted in a pruned B.
        let expected = match name {
            "ease" | "edlae" | "rdlae" | "deql" | "half" => 1,
            "hoease" => 2,
            "pruned" => 3,
            _ => 0,
        };
        assert_eq!(shared, expected, "{name}");
    }
}

#[test]
fn a_mapped_model_outlives_its_file_and_one_in_memory_even_a_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let histories = [History { items: vec![0, 3], unknown: vec![] }];
    let lists = |model: &Recommender| model.recommend(&histories, &RecommendOptions::default()).unwrap();
    for name in all() {
        let model = recommender(name);
        model.save(&path).unwrap();
        let mapped = Recommender::load(&path).unwrap();
        let read = Recommender::load_with(&path, &how(false, None)).unwrap();
        recommender("popularity").save(&path).unwrap();
        assert_eq!(lists(&mapped), lists(&model), "{name}");
        drop(mapped);
        std::fs::write(&path, "").unwrap(); // in place
        assert_eq!(lists(&read), lists(&model), "{name}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lists(&read), lists(&model), "{name}");
    }
}

/// Metadata of a small EASE^R model, with changes.
fn metadata(changes: Value) -> Value {
    let mut metadata = json!({"format": 1, "info": null, "kind": "ease", "options": {}, "writer": WRITER});
    for (key, value) in changes.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    metadata
}

fn le<const N: usize, T: Copy>(numbers: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    numbers.iter().flat_map(|&number| bytes(number)).collect()
}

/// The ids "a" and "b".
fn ids() -> Vec<(&'static str, &'static str, Vec<usize>, Vec<u8>)> {
    vec![
        ("items.bytes", "U8", vec![2], b"ab".to_vec()),
        ("items.ends", "U64", vec![2], le(&[1u64, 2], u64::to_le_bytes)),
    ]
}

fn with_weights(shape: &[usize]) -> Vec<(&'static str, &'static str, Vec<usize>, Vec<u8>)> {
    let n = shape.iter().product();
    let weights = ("model.weights", "F32", shape.to_vec(), le(&vec![0.5f32; n], f32::to_le_bytes));
    [ids(), vec![weights]].concat()
}

#[test]
fn absurd_claims_are_refused_before_anything_is_taken() {
    assert!(Recommender::from_bytes(&sealed(&metadata(json!({})), with_weights(&[2, 2]))).is_ok());
    // Options of a network of 68 GB in a file of 400 bytes.
    for kind in ["recvae", "mult-vae", "mult-dae"] {
        let dims = |n: usize| match kind {
            "mult-dae" => json!({"latentDim": n}),
            _ => json!({"hiddenDim": n, "latentDim": n}),
        };
        let huge = dims(65536);
        let text = refusal(&sealed(&metadata(json!({"kind": kind, "options": huge})), with_weights(&[2, 2])));
        assert!(
            text.starts_with("its options need ") && text.ends_with(" bytes of parameters for 2 items, and it has 16"),
            "{text}"
        );
        let missing = refusal(&sealed(&metadata(json!({"kind": kind, "options": dims(1)})), with_weights(&[50, 2])));
        assert_eq!(missing, "it has no tensor 'model.encoder.input.weight'");
    }
    for (options, text) in [
        (json!({"lambda": 1e308, "precision": "f128"}), "precision is \"f128\"; allowed: 'f32' or 'f64'"),
        (json!({"lambda": -1}), "lambda is -1; allowed: a finite number above 0"),
        (json!({"lambda": [[]]}), "lambda is [[]]; allowed: a finite number above 0"),
        (json!({"later": 1}), "ease option is 'later'; allowed: lambda, precision, density"),
        (json!([1]), "options of ease is [1]; allowed: an object {name: value}"),
    ] {
        assert_eq!(refusal(&sealed(&metadata(json!({"options": options})), with_weights(&[2, 2]))), text);
    }
    for shape in [&[4usize][..], &[1, 4], &[3, 3], &[2, 2, 1]] {
        let text = refusal(&sealed(&metadata(json!({})), with_weights(shape)));
        assert_eq!(text, format!("tensor 'model.weights' is F32 {shape:?}; allowed: F32 [2, 2]"));
    }
    // Deep JSON neither in the header nor in the metadata.
    let deep = format!("{{\"format\":1,\"info\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let mut tensors: Vec<Out<'_>> = vec![];
    let text = refusal(&header_for(&deep, &mut tensors).unwrap());
    assert!(text.starts_with("its metadata are not JSON: recursion limit exceeded"), "{text}");
    for format in [json!(2), json!("1"), json!(1.5), Value::Null] {
        let text = refusal(&sealed(&metadata(json!({"format": format, "writer": "recvae 9.0.0"})), vec![]));
        assert_eq!(
            text,
            format!("its format version is {format}; allowed: 1; it was written by recvae 9.0.0, and this is {WRITER}")
        );
    }
}

#[test]
fn absurd_ids_are_refused() {
    let with = |bytes: &[u8], ends: &[u64]| {
        let tensors = vec![
            ("items.bytes", "U8", vec![bytes.len()], bytes.to_vec()),
            ("items.ends", "U64", vec![ends.len()], le(ends, u64::to_le_bytes)),
            ("model.scores", "F32", vec![ends.len()], vec![0; 4 * ends.len()]),
        ];
        sealed(&metadata(json!({"kind": "popularity"})), tensors)
    };
    assert!(Recommender::from_bytes(&with(b"ab", &[1, 2])).is_ok());
    for (bytes, ends, text) in [
        (&b""[..], &[][..], "it has 0 items; allowed: 1 to 4294967294"),
        (b"ab", &[1], "ids: the last end is not the number of bytes"),
        (b"ab", &[u64::MAX, 2], "ids: bad end 18446744073709551615 of id 0"),
        (b"ab", &[2, 1, 2], "ids: bad end 1 of id 1"),
        (b"aa", &[1, 2], "ids: 'a' occurs twice"),
        (b"\xc3\xa4", &[1, 2], "ids: bad end 1 of id 0"),
        (b"\xff", &[1], "ids: invalid utf-8 sequence of 1 bytes from index 0"),
    ] {
        assert_eq!(refusal(&with(bytes, ends)), text);
    }
    for left_out in ["items.bytes", "items.ends"] {
        let tensors = with_weights(&[2, 2]).into_iter().filter(|tensor| tensor.0 != left_out).collect();
        assert_eq!(refusal(&sealed(&metadata(json!({})), tensors)), format!("it has no tensor '{left_out}'"));
    }
    let mut tensors = ids();
    tensors[1] = ("items.ends", "F64", vec![2], vec![0; 16]);
    assert_eq!(refusal(&sealed(&metadata(json!({})), tensors)), "tensor 'items.ends' is F64 [2]; allowed: I64 [2]");
}

#[test]
fn absurd_rows_of_pruned_weights_are_refused() {
    let with = |ends: &[u64], items: &[u32], values: usize| {
        let mut tensors = ids();
        tensors.push(("model.weights.ends", "U64", vec![ends.len()], le(ends, u64::to_le_bytes)));
        tensors.push(("model.weights.items", "U32", vec![items.len()], le(items, u32::to_le_bytes)));
        tensors.push(("model.weights.values", "F32", vec![values], vec![0; 4 * values]));
        sealed(&metadata(json!({})), tensors)
    };
    assert!(Recommender::from_bytes(&with(&[1, 2], &[1, 0], 2)).is_ok());
    assert!(Recommender::from_bytes(&with(&[0, 0], &[], 0)).is_ok());
    for (ends, items, values, text) in [
        (&[2, 1][..], &[0, 1][..], 2, "its pruned weights: row 1 ends at 1; allowed: 2 to 2"),
        (&[1, 3], &[1, 0], 2, "its pruned weights: row 1 ends at 3; allowed: 1 to 2"),
        (&[u64::MAX, 2], &[1, 0], 2, "its pruned weights: row 0 ends at 18446744073709551615; allowed: 0 to 2"),
        (&[1, 1], &[1, 0], 2, "its pruned weights: the last row ends at 1 of 2"),
        (&[1, 2], &[1, 2], 2, "its pruned weights: items of row 1 do not ascend below 2"),
        (&[2, 2], &[1, 1], 2, "its pruned weights: items of row 0 do not ascend below 2"),
        (&[1, 2], &[1, 0], 3, "tensor 'model.weights.items' is U32 [2]; allowed: U32 [3]"),
        (&[1, 2, 2], &[1, 0], 2, "tensor 'model.weights.ends' is U64 [3]; allowed: I64 [2]"),
    ] {
        assert_eq!(refusal(&with(ends, items, values)), text);
    }
}

#[test]
fn inspect_says_what_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let look = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        inspect(&path)
    };
    let whole = bytes("pruned");
    let found = look(&whole).unwrap();
    assert_eq!(
        (found.bytes, found.n_items, found.holds, &found.problem),
        (whole.len() as u64, Some(4), Some(true), &None)
    );
    assert_eq!((found.kind.as_deref(), found.writer.as_deref()), (Some("ease"), Some(WRITER)));
    assert_eq!(found.info["text"], "\"ä\n");
    let sum: u64 = found.tensors.iter().map(|tensor| tensor.bytes).sum();
    assert_eq!(whole.len() as u64 - sum, 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()));
    assert_eq!(found.to_json()["tensors"][0], json!({"name": "items.ends", "type": "I64", "shape": [4], "bytes": 32}));

    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1; // of the ids
    let found = look(&altered).unwrap();
    assert_eq!(found.holds, Some(false));
    assert!(found.problem.unwrap().starts_with("it was altered"));

    let later = metadata(json!({"kind": "svd", "options": {"factors": 64}, "writer": "recvae 9.0.0"}));
    let found = look(&sealed(&later, with_weights(&[2, 2]))).unwrap();
    assert_eq!((found.kind.as_deref(), found.holds, found.n_items), (Some("svd"), Some(true), Some(2)));
    assert_eq!(found.options, json!({"factors": 64}));
    let text = "model is 'svd'; allowed: popularity, ease, edlae, rdlae, deql, hoease, als, mult-dae, mult-vae, recvae, hvamp, blend; it was written by recvae 9.0.0, and this is ";
    assert_eq!(found.problem, Some(format!("{text}{WRITER}")));

    let found = look(&sealed(&metadata(json!({"format": 2})), with_weights(&[2, 2]))).unwrap();
    assert_eq!((found.format, found.holds, found.tensors.len()), (json!(2), None, 3));
    assert_eq!(found.problem.as_deref(), Some("its format version is 2; allowed: 1"));
    assert_eq!(look(&whole[..100]).err().map(|error| error.code()), Some("INVALID_MODEL_FILE"));
}

#[test]
fn what_is_no_model_file_is_told_shortly() {
    let csv = b"user,item\na,x\nb,y\n";
    assert_eq!(
        refusal(csv),
        "not a safetensors file: its first 8 bytes are not the length of a header; allowed: a recvae model"
    );
    // What may be cut off is told as before.
    let whole = bytes("ease");
    assert!(refusal(&whole[..whole.len() - 1]).starts_with("not a recvae model, or truncated ("));
    assert!(refusal(b"a,b\n").starts_with("not a recvae model, or truncated (4 bytes, which end before a header"));
    let foreign = |metadata: &[(&str, &str)]| {
        let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        refusal(&header::render(&metadata, std::iter::empty()))
    };
    assert_eq!(foreign(&[]), "a safetensors file of another program: it has no metadata 'recvae'");
    // A checkpoint of any version: its metadata may say less.
    let end = ", not a recvae model; the same training goes on from it with resume, as by train --resume";
    for (text, of) in [
        (r#"{"training":{"model":"mult-vae"},"epochs":1}"#, " of mult-vae after 1 epoch"),
        (r#"{"training":{"model":"svd"},"epochs":0}"#, " after 0 epochs"),
        ("[", ""),
    ] {
        assert_eq!(foreign(&[(CHECKPOINT_KEY, text)]), format!("a checkpoint of a training{of}{end}"));
    }
}

#[test]
fn too_large_an_info_is_refused_before_a_file_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let info = json!("x".repeat(header::LONGEST));
    let error = recommender("popularity").save_with_info(&path, &info).unwrap_err();
    assert_eq!(error.code(), "INVALID_ARGUMENT");
    assert!(error.to_string().ends_with("allowed: a header of at most 100000000 bytes"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Whom a model was trained on stays with it through every way that it takes, unless it is to be left out.
#[test]
fn the_record_of_the_training_users_is_kept_or_stripped() {
    let train = Interactions::from_histories([("u", ["a", "b"]), ("v", ["b", "ç"])], &Thresholds::default()).unwrap();
    let record = TrainingRecord::of(&train);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let model = recommender("ease").with_record(record.clone());
    model.save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    let loaded = Recommender::load(&path).unwrap();
    assert_eq!(*loaded.record(), record);
    assert_eq!(*loaded.compact(&CompactOptions { top_per_item: Some(2), precision: None }).unwrap().record(), record);
    loaded.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), file);

    // As the text of the format says: by name, type and shape, and by hand.
    let header = Header::parse(&file).unwrap();
    let entry = header.tensors.iter().find(|entry| entry.name == "training.users").unwrap();
    assert_eq!((&entry.dtype[..], &entry.shape[..]), ("U8", &[2, 16][..]));
    let hash = |text: &str| xxhash_rust::xxh3::xxh3_64(text.as_bytes());
    let row = |id, items: [&str; 2]| {
        [hash(id).to_be_bytes(), hash(items[0]).wrapping_add(hash(items[1])).to_be_bytes()].concat()
    };
    let mut rows = [row("u", ["a", "b"]), row("v", ["b", "ç"])];
    rows.sort();
    assert_eq!(file[entry.range.clone()], rows.concat());
    assert!(header.metadata[METADATA_KEY].contains(r#""training":{"whole":true}"#));

    loaded.save_without_record(&path, loaded.info()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes("ease"));
    assert_eq!(*Recommender::load(&path).unwrap().record(), TrainingRecord::unknown());

    // A part of the users, as after a warm start from a model without a record.
    recommender("ease").with_record(TrainingRecord::unknown().and(&record)).save(&path).unwrap();
    let part = Recommender::load(&path).unwrap();
    assert!(!part.record().is_whole() && part.record().n_users() == 2);
}

#[test]
fn a_record_that_claims_what_is_not_so_is_refused() {
    let metadata = json!({"info": null, "kind": "popularity", "options": {}, "format": 1, "training": {"whole": true}});
    let with = |dtype, shape: Vec<usize>, record: Vec<u8>| {
        sealed(
            &metadata,
            vec![
                (ID_BYTES, "U8", vec![2], b"ab".to_vec()),
                (ID_ENDS, "U64", vec![2], [1u64, 2].iter().flat_map(|end| end.to_le_bytes()).collect()),
                ("model.scores", "F32", vec![2], vec![0; 8]),
                (RECORD, dtype, shape, record),
            ],
        )
    };
    let rows = |first: u8, second: u8| [[first; ROW], [second; ROW]].concat();
    assert!(Recommender::from_bytes(&with("U8", vec![2, 16], rows(1, 2))).unwrap().record().is_whole());
    assert_eq!(refusal(&with("U8", vec![2, 16], rows(2, 1))), "its record of training users is out of order");
    for (dtype, shape) in [("U8", vec![32]), ("U8", vec![4, 8]), ("U64", vec![2, 2]), ("U8", vec![2, 16, 1])] {
        assert!(refusal(&with(dtype, shape, rows(1, 2))).starts_with("tensor 'training.users' is "));
    }
}
