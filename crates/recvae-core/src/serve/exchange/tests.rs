//! Weights from other programs and to them, against the golden vectors; graphs, computed node by node; files that are
//! wrong.

use std::path::PathBuf;

use ndarray::Array2;
use prost::Message;
use serde_json::json;

use super::onnx::proto;
use super::*;
use crate::math::csr::Csr;
use crate::test_support::{Golden, close};
use crate::train::run::FitRun;

/// A shape and its numbers.
type Tensor = (Vec<usize>, Vec<f64>);
type Tensors = BTreeMap<String, Tensor>;

/// As the golden vectors of a step in f32: eps 6e-8 over chains of about ten layers with sums of up to 40 terms.
const TOLERANCE: f64 = 2e-5;

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../test/fixtures/exchange", name].iter().collect()
}

fn format_of(path: impl AsRef<Path>) -> Result<ExportFormat> {
    ExportOptions::default().format_of(path)
}

fn ids(n: usize) -> Ids {
    (0..n).map(|item| format!("item {item}")).collect()
}

fn import(path: impl AsRef<Path>) -> Recommender {
    import_weights(path, ids(40), &json!({})).unwrap()
}

fn refusal(path: impl AsRef<Path>) -> String {
    match import_weights(path.as_ref(), ids(40), &json!({})) {
        Ok(_) => panic!("imported"),
        Err(Error::InvalidData { message, .. }) => message,
        Err(other) => panic!("{other}"),
    }
}

fn scores(model: &Recommender, x: &Csr) -> Vec<f32> {
    let mut scores = Array2::zeros((x.n_rows(), x.n_cols()));
    model.model().score(&x.rows().collect::<Vec<_>>(), scores.view_mut()).unwrap();
    scores.into_raw_vec_and_offset().0
}

/// Little-endian numbers.
fn f32s(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect()
}

/// A trained model of each kind that other programs have.
fn trained() -> [Recommender; 3] {
    KINDS.map(|kind| {
        let train = Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1, 2], &[3], &[0, 2, 3]], 4).unwrap();
        let options = match kind {
            ModelKind::MultDae => json!({"latentDim": 3, "epochs": 2}),
            _ => json!({"hiddenDim": 5, "latentDim": 3, "epochs": 2}),
        };
        let fit = kind.fit(&options, &train, None, &FitRun::default()).unwrap();
        Recommender::new(fit.model, ids(4), json!(null)).unwrap()
    })
}

/// A safetensors file of numbers in double precision.
fn write_f64(path: &Path, tensors: &Tensors) {
    let sizes = tensors.iter().map(|(name, (shape, numbers))| (&name[..], "F64", &shape[..], 8 * numbers.len()));
    let mut bytes = header::render(&BTreeMap::new(), sizes);
    tensors.values().for_each(|(_, numbers)| bytes.extend_from_slice(bytemuck::cast_slice(numbers)));
    std::fs::write(path, bytes).unwrap();
}

/// The parameters of a golden file by their names.
fn golden_tensors(file: &str) -> Tensors {
    let golden = Golden::read(file);
    let names = golden.names().filter_map(|name| Some((name, name.strip_prefix("param.")?)));
    let tensors = names.map(|(name, short)| {
        let short = if short.starts_with("encoder_old.") { format!("prior.{short}") } else { short.to_owned() };
        (short, (golden.shape(name).to_vec(), golden.values(name).to_vec()))
    });
    tensors.collect()
}

#[test]
fn imported_weights_give_the_scores_of_the_program_they_are_from() {
    for (file, golden, scores_of, kind, program) in [
        ("recvae.safetensors", "recvae_step", "eval.scores", "recvae", programs::RECVAE),
        ("mult-vae.npz", "multvae_step", "eval.scores", "mult-vae", programs::MULT_VAE),
        ("mult-vae-port.safetensors", "multvae_step", "eval.scores", "mult-vae", programs::MULT_VAE_PORT),
        ("mult-dae.npz", "multdae_step", "scores", "mult-dae", programs::MULT_DAE),
        ("mult-dae-port.safetensors", "multdae_step", "scores", "mult-dae", programs::MULT_DAE_PORT),
    ] {
        let (model, golden) = (import(fixture(file)), Golden::read(golden));
        assert_eq!(model.model().kind().name(), kind);
        assert_eq!(*model.info(), json!({ "imported": { "program": program } }));
        assert_eq!(*model.items(), ids(40));
        close(file, &scores(&model, &golden.csr("x")), golden.values(scores_of), TOLERANCE);
    }
}

#[test]
fn the_names_of_the_golden_vectors_are_names_of_programs() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["recvae_step", "multvae_step"] {
        let path = folder.path().join(file);
        write_f64(&path, &golden_tensors(file));
        let golden = Golden::read(file);
        let model = import(&path);
        close(file, &scores(&model, &golden.csr("x")), golden.values("eval.scores"), TOLERANCE);
        let options = model.model().options();
        assert_eq!((&options["hiddenDim"], &options["latentDim"]), (&json!(16), &json!(8)));
    }
}

#[test]
fn there_and_back_every_bit_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for before in trained() {
        let options = before.model().options();
        for format in [ExportFormat::Safetensors, ExportFormat::Npz] {
            let [path, again, list] = ["weights", "again", "unique_sid.txt"].map(|name| folder.path().join(name));
            before.export(&path, format).unwrap();
            before.write_item_ids(&list).unwrap();
            let after = import_weights(&path, read_item_ids(&list).unwrap(), &options).unwrap();
            assert_eq!((after.model().options(), after.items()), (options.clone(), before.items()));
            for (a, b) in after.model().tensors().unwrap().iter().zip(&before.model().tensors().unwrap()) {
                assert_eq!((&a.name, a.data.bytes().unwrap()), (&b.name, b.data.bytes().unwrap()));
            }
            after.export(&again, format).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
        }
    }
}

#[test]
fn others_read_what_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let [recvae, vae, _] = trained();
    let path = folder.path().join("recvae.safetensors");
    recvae.export(&path, format_of(&path).unwrap()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    // The state dict of the authors' program, nothing missing and nothing else, so that it is loaded as it is.
    let official = std::fs::read(fixture("recvae.safetensors")).unwrap();
    let official = safetensors::SafeTensors::deserialize(&official).unwrap();
    let names = |tensors: &safetensors::SafeTensors<'_>| {
        let mut names: Vec<String> = tensors.names().into_iter().map(str::to_owned).collect();
        names.sort();
        names
    };
    assert_eq!(names(&theirs), names(&official));
    for (name, shape) in [("encoder.fc1.weight", &[5, 4][..]), ("decoder.weight", &[4, 3]), ("prior.mu_prior", &[1, 3])]
    {
        assert_eq!(theirs.tensor(name).unwrap().shape(), shape);
    }
    let wide = theirs.tensor("prior.logvar_uniform_prior").unwrap();
    assert_eq!(f32s(wide.data()), [10.0; 3]);
    let data = |name: &str| theirs.tensor(name).unwrap().data().to_vec();
    assert_eq!(data("prior.encoder_old.fc5.weight"), data("encoder.fc5.weight"));

    let path = folder.path().join("mult-vae.npz");
    vae.export(&path, format_of(&path).unwrap()).unwrap();
    #[cfg(feature = "candle")]
    {
        let theirs = candle_core::npy::NpzTensors::new(&path).unwrap();
        let shape = |name: &str| theirs.get(name).unwrap().unwrap().dims().to_vec();
        assert_eq!(
            [shape("weight_q_0to1"), shape("weight_q_1to2"), shape("bias_q_2")],
            [vec![4, 5], vec![5, 6], vec![6]]
        );
        let first = theirs.get("weight_p_1to2").unwrap().unwrap().to_vec2::<f32>().unwrap();
        let ours = vae.model().tensors().unwrap();
        let ours = ours.iter().find(|tensor| tensor.name == "decoder.output.weight").unwrap();
        assert_eq!(first.concat(), transposed(numbers_of(ours).unwrap(), 5));
    }
    assert!(vae.export(folder.path().join("none/x"), ExportFormat::Npz).is_err());
}

/// What a graph gives for a batch, node by node as the operators' texts say, in f64.
fn computed(graph: &proto::Graph, history: Tensor) -> Tensor {
    let mut values = BTreeMap::from([("history".to_owned(), history)]);
    for proto::Tensor { dims, name, raw_data, .. } in &graph.initializer {
        let numbers: Vec<f32> = f32s(raw_data);
        let shape = dims.iter().map(|&size| size as usize).collect();
        values.insert(name.clone(), (shape, numbers.into_iter().map(f64::from).collect()));
    }
    for node in &graph.node {
        let inputs: Vec<&Tensor> = node.input.iter().map(|name| &values[name]).collect();
        let (shape, x) = inputs[0];
        let width = *shape.last().unwrap();
        let rows = || x.chunks(width);
        // The second operand, one number for all, for each row or for each place.
        let other = |at: usize| {
            let (_, numbers) = inputs[1];
            numbers[if numbers.len() == 1 { 0 } else { at * numbers.len() / x.len() }]
        };
        let each = |f: &dyn Fn(usize, f64) -> f64| {
            (shape.clone(), x.iter().enumerate().map(|(at, &x)| f(at, x)).collect::<Vec<_>>())
        };
        let value = match &node.op_type[..] {
            "ReduceL2" => {
                (vec![shape[0], 1], rows().map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).collect())
            }
            "Max" => each(&|at, x| x.max(other(at))),
            "Div" => each(&|at, x| x / other(at)),
            "Mul" => each(&|at, x| x * other(at)),
            "Add" => each(&|at, x| x + other(at)),
            "Tanh" => each(&|_, x| x.tanh()),
            "Sigmoid" => each(&|_, x| 1.0 / (1.0 + (-x).exp())),
            "Gemm" => {
                let ((weight_shape, weight), (_, bias)) = (inputs[1], inputs[2]);
                let is_transposed = node.attribute.iter().any(|attribute| attribute.is_int("transB", 1));
                let n = bias.len();
                assert_eq!(*weight_shape, if is_transposed { [n, width] } else { [width, n] });
                let of = |row: &[f64], out: usize| {
                    let at = |input: usize| if is_transposed { out * width + input } else { input * n + out };
                    row.iter().enumerate().map(|(input, x)| x * weight[at(input)]).sum::<f64>() + bias[out]
                };
                (vec![shape[0], n], rows().flat_map(|row| (0..n).map(move |out| of(row, out))).collect())
            }
            "LayerNormalization" => {
                assert!(node.attribute.iter().any(|attribute| attribute.is_float("epsilon", 0.1)));
                let (weight, bias) = (&inputs[1].1, &inputs[2].1);
                let normal = |row: &[f64]| {
                    let mean = row.iter().sum::<f64>() / width as f64;
                    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                    let scale = f64::from(0.1f32) + variance;
                    row.iter()
                        .enumerate()
                        .map(|(at, x)| (x - mean) / scale.sqrt() * weight[at] + bias[at])
                        .collect::<Vec<_>>()
                };
                (shape.clone(), rows().flat_map(normal).collect())
            }
            other => panic!("operator {other}"),
        };
        values.insert(node.output[0].clone(), value);
    }
    values.remove(&graph.output[0].name).unwrap()
}

#[test]
fn graphs_give_the_scores_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let shallow = json!({"hiddenDim": 5, "latentDim": 3, "epochs": 2, "encoder": "shallow"});
    let x = Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1, 2], &[3], &[]], 4).unwrap();
    let fit = ModelKind::RecVae.fit(&shallow, &x, None, &FitRun::default()).unwrap();
    let shallow = Recommender::new(fit.model, ids(4), json!(null)).unwrap();
    for model in trained().into_iter().chain([shallow]) {
        model.export(&path, format_of(&path).unwrap()).unwrap();
        let file = proto::Model::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
        let about = |key: &str| -> serde_json::Value {
            let entry = file.metadata.iter().find(|entry| entry.key == key).unwrap();
            serde_json::from_str(&entry.value).unwrap()
        };
        assert_eq!(about("recvae.items"), json!(["item 0", "item 1", "item 2", "item 3"]));
        assert_eq!(about("recvae.model")["options"], model.model().options());
        let dense = x.rows().flat_map(|row| (0..4u32).map(|item| f64::from(u8::from(row.contains(&item)))));
        let (shape, logits) = computed(file.graph.as_ref().unwrap(), (vec![5, 4], dense.collect()));
        assert_eq!(shape, [5, 4]);
        close(model.model().kind().name(), &scores(&model, &x), &logits, TOLERANCE);
    }
}

#[test]
fn graphs_of_imported_weights_give_the_golden_scores() {
    let folder = tempfile::tempdir().unwrap();
    for (file, golden) in [("recvae.safetensors", "recvae_step"), ("mult-vae.npz", "multvae_step")] {
        let path = folder.path().join("model.onnx");
        import(fixture(file)).export(&path, ExportFormat::Onnx).unwrap();
        let model = proto::Model::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
        let golden = Golden::read(golden);
        let (_, logits) =
            computed(model.graph.as_ref().unwrap(), (golden.shape("x").to_vec(), golden.values("x").to_vec()));
        close(file, &logits, golden.values("eval.scores"), TOLERANCE);
    }
}

#[test]
fn what_other_programs_do_not_have_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let train = Csr::from_rows([&[0u32, 1][..], &[1, 2], &[0, 1, 2]], 3).unwrap();
    let of = |kind: ModelKind, options| {
        let fit = kind.fit(&options, &train, None, &FitRun::default()).unwrap();
        Recommender::new(fit.model, ids(3), json!(null)).unwrap()
    };
    let error = |model: &Recommender, format| model.export(&path, format).unwrap_err().to_string();
    assert_eq!(
        error(&of(ModelKind::Ease, json!({})), ExportFormat::Onnx),
        "the model to export is 'ease'; allowed: recvae, mult-vae, mult-dae"
    );
    let shallow = of(ModelKind::RecVae, json!({"encoder": "shallow", "hiddenDim": 2, "latentDim": 2, "epochs": 1}));
    assert_eq!(
        error(&shallow, ExportFormat::Npz),
        "encoder is \"shallow\"; allowed: 'dense', the one encoder of RecVAE by its authors (PyTorch); or the format onnx"
    );
    assert_eq!(
        format_of("x.pt").unwrap_err().to_string(),
        "the file is 'x.pt'; allowed: a name that ends in .safetensors, .npz, .onnx, or the option format"
    );
    assert_eq!(ExportOptions { format: Some(ExportFormat::Npz) }.format_of("x.pt").unwrap(), ExportFormat::Npz);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let popularity = ModelKind::Popularity.fit(&json!({}), &train, None, &FitRun::default()).unwrap().model;
    let lines = Recommender::new(popularity, ["a", "b\nc", "d"].into_iter().collect(), json!(null));
    let message = lines.unwrap().write_item_ids(folder.path().join("ids.txt")).unwrap_err().to_string();
    assert!(message.starts_with("id \"b\\nc\" does not fit into a line of "), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn wrong_weights_are_named_with_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let right = golden_tensors("multvae_step");
    let with = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = right.clone();
        change(&mut tensors);
        write_f64(&path, &tensors);
        refusal(&path)
    };
    let get = |name: &'static str, change: fn(&mut Tensor)| with(&|tensors| change(tensors.get_mut(name).unwrap()));
    assert_eq!(
        with(&|tensors| drop(tensors.remove("p0.bias"))),
        "tensor 'p0.bias' is missing; allowed: all tensors of Mult-VAE in PyTorch (q0, q1, p0, p1)"
    );
    assert_eq!(
        with(&|tensors| drop(tensors.insert("q2.weight".into(), (vec![1], vec![0.0])))),
        "tensor 'q2.weight' is none of Mult-VAE in PyTorch (q0, q1, p0, p1); allowed: q0.weight, q0.bias, q1.weight, \
         q1.bias, p0.weight, p0.bias, p1.weight, p1.bias"
    );
    let unknown = with(&|tensors| drop(tensors.remove("q0.weight")));
    assert!(unknown.starts_with("it has the tensors 'p0.bias', 'p0.weight', "), "{unknown}");
    assert!(unknown.contains("; allowed: weights with 'encoder.fc1.weight' of RecVAE by its authors"), "{unknown}");
    assert_eq!(
        get("q1.weight", |(shape, _)| *shape = vec![8, 32]),
        "tensor 'q1.weight' has shape [8, 32]; allowed: [16, 16], as the other tensors have it"
    );
    assert_eq!(
        get("q0.weight", |(shape, _)| *shape = vec![640]),
        "tensor 'q0.weight' has shape [640]; allowed: 2 sizes of at least 1"
    );
    assert_eq!(
        get("p1.weight", |(_, numbers)| numbers[17] = f64::NAN),
        "tensor 'p1.weight' has NaN at [1, 1]; allowed: finite numbers within single precision"
    );
    assert_eq!(
        get("p1.bias", |(_, numbers)| numbers[3] = 1e300),
        "tensor 'p1.bias' has inf at [3]; allowed: finite numbers within single precision"
    );

    // A type that is no floating point number: as many bytes of another name.
    write_f64(&path, &right);
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
    let at = 8 + text.find("\"q0.bias\":{\"dtype\":\"F64\"").unwrap() + "\"q0.bias\":{\"dtype\":\"".len();
    let mut altered = bytes.clone();
    altered[at..at + 3].copy_from_slice(b"I64");
    std::fs::write(&path, altered).unwrap();
    assert_eq!(refusal(&path), "tensor 'q0.bias' has numbers of type I64; allowed: F16, BF16, F32, F64, little-endian");

    let error = |items, options| match import_weights(fixture("recvae.safetensors"), items, &options) {
        Ok(_) => panic!("imported"),
        Err(error) => (error.code(), error.to_string()),
    };
    let (code, message) = error(ids(39), json!({}));
    assert_eq!(code, "INVALID_DATA");
    assert!(message.starts_with("39 ids of items; allowed: 40, as many as the weights in "), "{message}");
    let argument = |message: &str| ("INVALID_ARGUMENT", message.to_owned());
    assert_eq!(
        error(ids(40), json!({"hiddenDim": 600})),
        argument("hiddenDim is 600; allowed: 16, as the weights have")
    );
    assert_eq!(
        error(ids(40), json!({"encoder": "shallow"})),
        argument("encoder is \"shallow\"; allowed: \"dense\", as the weights have")
    );
    assert_eq!(error(ids(40), json!([])), argument("options is []; allowed: an object"));
    assert_eq!(error(ids(40), json!({"gamma": -1})).0, "INVALID_ARGUMENT");
}

#[test]
fn what_the_training_was_told_is_what_the_caller_says() {
    let model =
        import_weights(fixture("recvae.safetensors"), ids(40), &json!({"gamma": 0.01, "hiddenDim": 16})).unwrap();
    let options = model.model().options();
    assert_eq!((&options["gamma"], &options["epochs"]), (&json!(0.01), &json!(50)));
}

#[test]
fn files_that_are_no_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    let of = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        refusal(&path)
    };
    assert!(of(b"").contains("; allowed: safetensors (save_file of safetensors.torch) or npz"));
    assert!(of(b"text of some length").starts_with("not safetensors (it claims a header of "));
    let npz = std::fs::read(fixture("mult-vae.npz")).unwrap();
    // Cut off anywhere, it is refused.
    for end in (4..npz.len()).step_by(97) {
        assert!(!of(&npz[..end]).is_empty());
    }
    // A number that was altered is found by the checksum; the archive is stored, so the first array's numbers lie
    // behind its header.
    let at = npz.windows(6).position(|bytes| bytes == b"\x93NUMPY").unwrap() + 200;
    let mut altered = npz.clone();
    altered[at] ^= 1;
    assert!(of(&altered).contains("the archive is damaged ("), "{}", of(&altered));
    assert!(
        of(&zipped(&[("archive/data.pkl", b"\x80\x02}")])).starts_with("a file of torch.save, which holds a program")
    );
    assert!(of(&zipped(&[])).starts_with("it has no tensors; allowed: weights with "));
    assert_eq!(of(&zipped(&[("a.txt", b"text")])), "a.txt: not an array of NumPy; allowed: what numpy.savez writes");
    for (header, message) in [
        ("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "it has the tensors 'q0.weight'"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "q0.weight.npy: a header that is not"),
        ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }", "q0.weight.npy: a header that is not"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "q0.weight.npy: a header that is not"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 9), }", "q0.weight.npy: it has"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615, 9), }", "q0.weight.npy: it has"),
    ] {
        let mut member = [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
        member.extend([0; 4]);
        let found = of(&zipped(&[("q0.weight.npy", &member)]));
        let is_right =
            found.starts_with(message) || message.starts_with("it has the tensors") && found.contains("is missing");
        assert!(is_right, "{header}: {found}");
    }
    let long = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes()].concat();
    assert_eq!(of(&zipped(&[("a.npy", &long)])), "a.npy: a header of 4294967295 bytes; allowed: at most 10000");
    assert!(matches!(import_weights(folder.path().join("none"), ids(40), &json!({})), Err(Error::Io { .. })));
}

/// An archive of files.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    for (name, bytes) in files {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}
