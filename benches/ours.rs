//! Times one thing and prints a line of JSON.
use recvae_core::{Like, ModelKind, SynthOptions, Threads, bench, synth};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let like = match &args[0][..] {
        "ml-20m" => Like::Ml20m,
        "msd" => Like::Msd,
        _ => Like::Netflix,
    };
    let scale: f64 = args[1].parse()?;
    let n: usize = args[2].parse()?;
    let threads = Threads::new(Some(args[3].parse()?))?;
    let kind: ModelKind = args[4].parse()?;
    threads.install(|| {
        let p = bench::product_seconds(4096, 3);
        let data = synth(&SynthOptions { like, scale, seed: 1 }).unwrap();
        let steps = bench::step_seconds(kind, &json!({}), data.matrix(), n).unwrap();
        for (name, mut s) in steps {
            s.sort_by(f64::total_cmp);
            println!("{name} median {:.4} min {:.4} max {:.4}", s[s.len() / 2], s[0], s[s.len() - 1]);
        }
        println!("sgemm {:.1} GFLOP/s", 2.0 * 4096f64.powi(3) / p[1] / 1e9);
    });
    Ok(())
}
