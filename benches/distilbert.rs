//! Predicting and training with a DistilBERT on token ids of fixed shapes, on the CPU in 8 bits too, for
//! comparing with other programs: `cargo bench --bench distilbert -- DIR --device cpu --shapes 1x128,8x128 --train 8x128`.
//! Prints one line of JSON; DIR is a Hugging Face checkpoint.

use std::{
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use trialbook::{
    Result,
    model::{
        Device, ModelFiles,
        neural::{
            Precision, TrainSettings,
            checkpoint::{Checkpoint, MissingHead},
            encoder::Encoder,
            net::{Batch, EncodedExample, Net},
            net_of_checkpoint,
            quantized::QuantizedFile,
            training::{Observer, TrainState, TrainingJob, train},
        },
    },
    progress::Monitor,
};

/// Passes before the clock counts: caches, thread pools and a GPU's kernels are made by then.
const N_WARM: usize = 3;
const N_TIMED: usize = 9;
/// Of a short text, whose passes end sooner than a machine's clock is steady.
const N_TIMED_SHORT: usize = 45;
const N_STEPS: usize = 12;

struct Arguments {
    folder: PathBuf,
    device: Device,
    precision: Precision,
    shapes: Vec<(usize, usize)>,
    train: Option<(usize, usize)>,
}

impl Arguments {
    fn parse() -> Self {
        let mut arguments = Self {
            folder: PathBuf::new(),
            device: Device::Auto,
            precision: Precision::F32,
            shapes: vec![(1, 128), (8, 128)],
            train: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("a value after the flag");
            match word.as_str() {
                "--device" => arguments.device = value().parse().expect("a device"),
                "--precision" => arguments.precision = value().parse().expect("a number format"),
                "--shapes" => arguments.shapes = value().split(',').map(shape).collect(),
                "--train" => arguments.train = Some(shape(&value())),
                // What cargo adds.
                "--bench" => {}
                _ => arguments.folder = PathBuf::from(word),
            }
        }
        arguments
    }
}

/// `8x128`: texts and tokens.
fn shape(text: &str) -> (usize, usize) {
    let (n, length) = text.split_once('x').expect("a shape such as 8x128");
    (n.parse().expect("a number of texts"), length.parse().expect("a number of tokens"))
}

enum Engine {
    Encoder(Encoder),
    Net(Net),
}

impl Engine {
    fn logits(&self, texts: &[&[u32]]) -> Result<Vec<f32>> {
        match self {
            Self::Encoder(encoder) => encoder.logits(texts),
            Self::Net(net) => net.forward(&Batch::new(texts, 0)?),
        }
    }
}

/// Ids that occur in every vocabulary of BERT, the same as the peer's.
fn ids(n: usize, length: usize) -> Vec<Vec<u32>> {
    (0..n).map(|row| (0..length).map(|at| 1000 + (row * length + at) as u32).collect()).collect()
}

/// Nanoseconds of all processors together that this process has taken, where the system says it by thread.
fn cpu_ns() -> Option<u64> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    let times = threads.map(|thread| {
        let told = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<u64>().ok()
    });
    times.sum()
}

/// Predicts texts of each shape, and says how long it took.
fn predict_rows(engine: &Engine, shapes: &[(usize, usize)]) -> Result<Vec<serde_json::Value>> {
    let mut rows = Vec::new();
    for &(n, length) in shapes {
        let texts = ids(n, length);
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let n_timed = if n * length < 512 { N_TIMED_SHORT } else { N_TIMED };
        let mut first = Vec::new();
        let mut times = Vec::new();
        let mut cpu_start = None;
        for pass in 0..N_WARM + n_timed {
            if pass == N_WARM {
                cpu_start = cpu_ns();
            }
            let clock = Instant::now();
            let logits = engine.logits(&texts)?;
            if pass >= N_WARM {
                times.push(clock.elapsed());
            }
            first = logits;
        }
        let cpu = cpu_ns().zip(cpu_start).map(|(end, start)| end.saturating_sub(start));
        let cpu_ms = cpu.map(|ns| ns as f64 / 1e6 / n_timed as f64);
        rows.push(serde_json::json!({
            "batch": n, "length": length, "ms": median(times), "cpu_ms": cpu_ms,
            "logits": &first[..2],
        }));
    }
    Ok(rows)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// The times at which steps end, and what all processors together have taken by then.
struct Clock(Vec<(Instant, Option<u64>)>);

impl Observer for Clock {
    fn metric(&mut self, key: &str, _value: f64, _step: u64) -> Result<()> {
        if key == "loss" {
            self.0.push((Instant::now(), cpu_ns()));
        }
        Ok(())
    }

    fn checkpoint(&mut self, _state: &TrainState) -> Result<()> {
        Ok(())
    }
}

/// Milliseconds of a step, and those of all processors together.
fn train_ms(
    net: Net,
    (n, length): (usize, usize),
    precision: Precision,
) -> Result<(f64, Option<f64>)> {
    let texts = ids(n * N_STEPS, length);
    let example = |(idx, ids): (usize, Vec<u32>)| EncodedExample {
        ids: ids.iter().map(|id| 1000 + id % 20_000).collect(),
        label: idx % 2,
    };
    let examples: Vec<EncodedExample> = texts.into_iter().enumerate().map(example).collect();
    let settings =
        TrainSettings { epochs: 1, batch_size: n, precision, ..TrainSettings::default() };
    let job =
        TrainingJob { settings: &settings, train: &examples, valid: &examples[..2], resume: None };
    let mut clock = Clock(Vec::new());
    train(net, &job, &Monitor::silent(), &mut clock)?;
    let timed = clock.0.get(N_WARM..).unwrap_or_default();
    let steps = timed.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let ends = timed.first().zip(timed.last());
    let cpu = ends.and_then(|(first, last)| Some(last.1?.saturating_sub(first.1?)));
    let cpu_ms = cpu.map(|ns| ns as f64 / 1e6 / (timed.len() - 1) as f64);
    Ok((median(steps), cpu_ms))
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let device = arguments.device.resolve()?;
    let started = Instant::now();
    let checkpoint =
        Checkpoint::open(&ModelFiles::in_dir(&arguments.folder)?, MissingHead::Required)?;
    let uses_encoder = device.is_cpu();
    let engine = if uses_encoder {
        Engine::Encoder(Encoder::load(&checkpoint.config, &checkpoint.tensors)?)
    } else {
        let net = net_of_checkpoint(&checkpoint, &device)?;
        Engine::Net(if device.is_cpu() { net } else { net.predicting_in(arguments.precision) })
    };
    let load_ms = started.elapsed().as_secs_f64() * 1e3;
    let rows = predict_rows(&engine, &arguments.shapes)?;
    // Only then the other one: what its weights take of the caches is no matter of the first.
    drop(engine);
    let int8 = if uses_encoder {
        let file = Arc::new(QuantizedFile::quantize(&checkpoint.config, &checkpoint.tensors)?);
        let encoder = Encoder::load_int8(&checkpoint.config, &file)?;
        let rows = predict_rows(&Engine::Encoder(encoder), &arguments.shapes)?;
        let n_weights: usize = checkpoint
            .tensors
            .iter()
            .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
            .sum();
        serde_json::json!({
            "predict": rows, "bytes": file.n_bytes(), "bytes_f32": 4 * n_weights,
        })
    } else {
        serde_json::Value::Null
    };
    let trained = match arguments.train {
        Some(shape) => {
            let net = net_of_checkpoint(&checkpoint, &device)?;
            let (ms, cpu_ms) = train_ms(net, shape, arguments.precision)?;
            serde_json::json!({
                "batch": shape.0, "length": shape.1, "ms": ms, "cpu_ms": cpu_ms,
            })
        }
        None => serde_json::Value::Null,
    };
    let answer = serde_json::json!({
        "device": device.to_string(), "load_ms": load_ms, "predict": rows, "int8": int8,
        "train": trained,
    });
    #[expect(clippy::print_stdout, reason = "this program's only answer")]
    {
        println!("{answer}");
    }
    Ok(())
}
