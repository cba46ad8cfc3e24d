//! A trained net: what the rest of the program calls a classifier.

use std::{path::Path, sync::OnceLock};

use serde_json::{Value, json};

use super::{
    checkpoint::{self, Activation, Checkpoint, EncoderConfig, WEIGHTS_FILE, expected_tensors},
    config::NeuralConfig,
    embedding::TokenEmbeddings,
    encoder_graph::encoder_model,
    engine::{Int8Encoder, NetArithmetic},
    explainer::NetExplainer,
    header::{Fitted, NeuralHeader},
    hugging_face,
    net::{Net, NetConfig},
    quantized::QuantizedFile,
    tokenizer::NetTokenizer,
};
use crate::{
    error::{Error, ErrorKind, Result},
    model::{
        Answers, Background, Calibration, Classifier, Decision, Device, Explanation, MemoryUse,
        Probabilities, TextEmbedding, TokenCounts, loss::softmax, not_in_onnx, not_quantised,
        onnx::ONNX_FILE,
    },
};

/// Tokens that the encoder is asked at once: more need memory and gain nothing. Batches of a quarter
/// gained nothing either: 16 clients with texts of 128 tokens were answered at 18.8 a second in turns of
/// eight, and at 19.9 all together.
const ENCODER_TOKENS: usize = 4096;
/// Of a net of words, whose recurrence goes through 32 texts at the same time.
const NET_TOKENS: usize = 8192;
/// Of a net on an accelerator, which small batches leave idle.
const DEVICE_TOKENS: usize = 16_384;

/// A trained net with its tokenizer.
#[derive(Debug)]
pub struct Neural {
    header: NeuralHeader,
    tokenizer: NetTokenizer,
    engine: NetArithmetic,
    /// The net of an encoder's weights, from when it is first explained: its own path on the CPU has
    /// no gradients.
    differentiable: OnceLock<Box<Net>>,
    /// From when texts are first embedded.
    embeddings: OnceLock<TokenEmbeddings>,
}

impl Neural {
    /// Puts parts together whose sizes were checked.
    pub(super) fn new(
        header: NeuralHeader,
        tokenizer: NetTokenizer,
        engine: NetArithmetic,
    ) -> Self {
        Self {
            header,
            tokenizer,
            engine,
            differentiable: OnceLock::new(),
            embeddings: OnceLock::new(),
        }
    }

    /// The classifier that training ended with.
    pub(super) fn trained(
        config: &NeuralConfig,
        classes: Vec<String>,
        tokenizer: NetTokenizer,
        net: Net,
        fitted: Fitted,
    ) -> Result<Self> {
        let sizes = net.config().clone();
        let header = NeuralHeader::new(sizes, classes, config.max_length)
            .with_training(config.training.clone(), fitted);
        let is_encoder = matches!(net.config(), NetConfig::DistilBert(_));
        let engine = if is_encoder && net.device().is_cpu() {
            let checkpoint = hugging_face::checkpoint(&net, &header)?;
            hugging_face::encoder(checkpoint)?
        } else {
            NetArithmetic::Net(Box::new(net))
        };
        Ok(Self::new(header, tokenizer, engine))
    }

    /// The same model, whose classes have other names, in the same order.
    ///
    /// # Panics
    /// If there are more or fewer names than classes.
    pub fn with_classes(mut self, classes: Vec<String>) -> Self {
        assert_eq!(classes.len(), self.classes().len(), "a name for each class");
        match &mut self.engine {
            NetArithmetic::Encoder(_, checkpoint) => checkpoint.config.labels.clone_from(&classes),
            NetArithmetic::Int8(int8) => int8.config.labels.clone_from(&classes),
            NetArithmetic::Net(_) => {}
        }
        self.header.rename(classes);
        self
    }

    /// The net with gradients; none for an encoder that nets can only predict like, and for one in 8 bits.
    fn differentiable(&self) -> Result<Option<&Net>> {
        let checkpoint = match &self.engine {
            NetArithmetic::Net(net) => return Ok(Some(net)),
            NetArithmetic::Encoder(_, checkpoint) => checkpoint,
            NetArithmetic::Int8(_) => return Ok(None),
        };
        if checkpoint.config.activation != Activation::Gelu
            || checkpoint.config.layer_norm_eps != EncoderConfig::DISTILBERT_EPS
        {
            return Ok(None);
        }
        if let Some(net) = self.differentiable.get() {
            return Ok(Some(net));
        }
        let net = hugging_face::net_of_checkpoint(checkpoint, &Device::Cpu.resolve()?)?;
        Ok(Some(self.differentiable.get_or_init(|| Box::new(net))))
    }

    /// Number of trained values.
    pub fn n_parameters(&self) -> usize {
        match &self.engine {
            NetArithmetic::Encoder(_, checkpoint) => checkpoint
                .tensors
                .iter()
                .map(|(_, tensor)| tensor.shape().iter().product::<usize>())
                .sum(),
            NetArithmetic::Net(net) => net.n_parameters(),
            NetArithmetic::Int8(int8) => expected_tensors(&int8.config)
                .iter()
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum(),
        }
    }

    /// The same model with its weights in 8 bits.
    ///
    /// # Errors
    /// A net of another kind than a distilbert, one that is in 8 bits, and weights that are not numbers.
    fn in_8_bits(&self) -> Result<Self> {
        let trained: Box<Checkpoint>;
        let checkpoint = match &self.engine {
            NetArithmetic::Encoder(_, checkpoint) => checkpoint,
            NetArithmetic::Net(net) if matches!(net.config(), NetConfig::DistilBert(_)) => {
                trained = Box::new(hugging_face::checkpoint(net, &self.header)?);
                &trained
            }
            NetArithmetic::Net(_) => return Err(not_quantised(self.name())),
            NetArithmetic::Int8(_) => {
                return Err(Error::invalid(format!("this {} is in 8 bits already", self.name())));
            }
        };
        let config = checkpoint.config.clone();
        let file = QuantizedFile::quantize(&config, &checkpoint.tensors)?;
        let engine = NetArithmetic::Int8(Box::new(Int8Encoder::new(config, file)?));
        Ok(Self::new(self.header.clone().quantized(), self.tokenizer.clone(), engine))
    }

    /// Tokens that texts are cut to.
    pub fn max_length(&self) -> usize {
        self.header.max_length()
    }

    /// The logits of every text, `[n_texts, n_classes]` row-major: what the probabilities, before they
    /// are calibrated, are the softmax of.
    ///
    /// # Errors
    /// When the model cannot run on this input.
    pub fn logits(&self, texts: &[&str]) -> Result<Vec<f32>> {
        self.logits_of(&self.tokenizer.encode(texts)?)
    }

    fn logits_of(&self, ids: &[Vec<u32>]) -> Result<Vec<f32>> {
        let logits = self.engine.logits(ids)?;
        match logits.iter().find(|logit| !logit.is_finite()) {
            None => Ok(logits),
            Some(logit) => Err(Error::new(
                ErrorKind::Corrupt,
                format!("the {} computed {logit}, which is not a usable number", self.name()),
            )
            .with_hint(
                "its weights are too large or not numbers: train it again with a \
                 smaller learning rate, or import it again",
            )),
        }
    }
}

/// The number that an ONNX model's logits are divided by, so that their softmax is the calibrated
/// probability; and what its reader has to do.
///
/// # Errors
/// A calibration that is no such number.
fn onnx_decision(decision: &Decision) -> Result<(f64, Vec<String>)> {
    let threshold = decision.threshold.as_ref().map(|threshold| {
        format!(
            "its threshold {} is not in the file: who opens it has to apply it to the probability",
            threshold.value
        )
    });
    let notes = threshold.into_iter();
    match &decision.calibration {
        None => Ok((1.0, notes.collect())),
        Some(Calibration::Temperature { temperature, .. }) => {
            let note = format!(
                "its logits are divided by its temperature {temperature}: their softmax is calibrated"
            );
            Ok((*temperature, notes.chain([note]).collect()))
        }
        Some(Calibration::Isotonic { .. }) => Err(Error::new(
            ErrorKind::Unavailable,
            "logits in ONNX cannot hold an isotonic calibration",
        )
        .with_hint("write the version as it was before it was calibrated")),
    }
}

impl Classifier for Neural {
    fn name(&self) -> &'static str {
        self.header.name()
    }

    fn classes(&self) -> &[String] {
        self.header.classes()
    }

    fn decision(&self) -> &Decision {
        self.header.decision()
    }

    fn with_decision(mut self: Box<Self>, decision: Decision) -> Result<Box<dyn Classifier>> {
        self.header.decide(decision)?;
        Ok(self)
    }

    fn predict(&self, texts: &[&str]) -> Result<Probabilities> {
        self.answer(texts).map(|answers| answers.probabilities)
    }

    fn answer(&self, texts: &[&str]) -> Result<Answers> {
        let n_classes = self.classes().len();
        let ids = self.tokenizer.encode(texts)?;
        let logits: Vec<f64> = self.logits_of(&ids)?.into_iter().map(f64::from).collect();
        let mut values = vec![0.0; logits.len()];
        for (row, probabilities) in
            logits.chunks_exact(n_classes).zip(values.chunks_exact_mut(n_classes))
        {
            softmax(row, probabilities);
        }
        self.header.decision().calibrate(&mut values, n_classes);
        Ok(Answers {
            probabilities: Probabilities::new(values, n_classes),
            known_shares: Some(self.tokenizer.known_shares(&ids)),
        })
    }

    fn count_tokens(&self, texts: &[&str]) -> Result<Option<TokenCounts>> {
        let n_tokens = self.tokenizer.n_tokens(texts)?;
        Ok(Some(TokenCounts { n_tokens, max_tokens: self.max_length() }))
    }

    fn embed(&self, texts: &[&str]) -> Result<Option<Vec<Option<TextEmbedding>>>> {
        let embeddings = match self.embeddings.get() {
            Some(embeddings) => embeddings,
            None => {
                let projected = self.engine.token_embeddings()?;
                self.embeddings.get_or_init(|| projected)
            }
        };
        let ids = self.tokenizer.encode(texts)?;
        Ok(Some(ids.iter().map(|ids| embeddings.mean(ids)).collect()))
    }

    fn explain(
        &self,
        text: &str,
        _background: Option<&Background>,
        n_terms: usize,
    ) -> Result<Option<Explanation>> {
        let Some(net) = self.differentiable()? else { return Ok(None) };
        let explainer =
            NetExplainer { net, classes: self.classes(), padding_id: self.tokenizer.padding_id() };
        explainer.explain(text, &self.tokenizer.read(text)?, n_terms).map(Some)
    }

    fn explains_at_once(&self) -> bool {
        false
    }

    fn unexplained_because(&self) -> &'static str {
        match &self.engine {
            NetArithmetic::Int8(_) => {
                "numbers in 8 bits have no gradients; the version that it was quantised from explains"
            }
            _ => {
                "its activation or its layer norms have no gradients here; gelu and a layer_norm_eps \
                 of 1e-12 have"
            }
        }
    }

    fn quantized(&self) -> Result<Box<dyn Classifier>> {
        Ok(Box::new(self.in_8_bits()?))
    }

    fn batch_tokens(&self) -> Option<usize> {
        Some(match &self.engine {
            NetArithmetic::Encoder(..) | NetArithmetic::Int8(_) => ENCODER_TOKENS,
            NetArithmetic::Net(net) if net.device().is_cpu() => NET_TOKENS,
            NetArithmetic::Net(_) => DEVICE_TOKENS,
        })
    }

    fn memory_use(&self) -> Option<MemoryUse> {
        if let NetArithmetic::Int8(int8) = &self.engine {
            let counted = "its matrices, a byte for each number, with their scales, and its other \
                           parameters, 4 bytes each";
            let n_bytes = int8.file.n_bytes() as u64;
            return Some(MemoryUse { n_bytes, counted: counted.to_owned() });
        }
        let n_bytes = 4 * self.n_parameters() as u64;
        Some(MemoryUse { n_bytes, counted: "its parameters, 4 bytes each".to_owned() })
    }

    fn save(&self, dir: &Path) -> Result<()> {
        self.tokenizer.save(dir)?;
        match &self.engine {
            NetArithmetic::Encoder(_, checkpoint) => hugging_face::save(checkpoint, dir)?,
            NetArithmetic::Net(net) if matches!(net.config(), NetConfig::DistilBert(_)) => {
                hugging_face::save(&hugging_face::checkpoint(net, &self.header)?, dir)?;
            }
            NetArithmetic::Net(net) => net.parameters().save(&dir.join(WEIGHTS_FILE))?,
            NetArithmetic::Int8(int8) => {
                checkpoint::write_config(dir, &int8.config)?;
                int8.file.save(dir)?;
            }
        }
        self.header.save(dir)
    }

    fn save_onnx(&self, dir: &Path) -> Result<Vec<String>> {
        let of_net;
        let checkpoint = match &self.engine {
            NetArithmetic::Encoder(_, checkpoint) => checkpoint.as_ref(),
            NetArithmetic::Net(net) if matches!(net.config(), NetConfig::DistilBert(_)) => {
                of_net = hugging_face::checkpoint(net, &self.header)?;
                &of_net
            }
            NetArithmetic::Net(_) => return Err(not_in_onnx(self.name())),
            NetArithmetic::Int8(_) => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    format!("a {} is not written as ONNX", self.name()),
                )
                .with_hint(
                    "write the version that it was quantised from, and quantise that with ONNX Runtime",
                ));
            }
        };
        let (temperature, notes) = onnx_decision(self.decision())?;
        self.tokenizer.save(dir)?;
        checkpoint::write_config(dir, &checkpoint.config)?;
        encoder_model(checkpoint, temperature).save(&dir.join(ONNX_FILE))?;
        Ok(notes)
    }

    fn describe(&self) -> Value {
        let mut described = self.header.describe();
        described["sizes"] = json!({
            "n_parameters": self.n_parameters(),
            "vocab_size": self.tokenizer.vocab_size(),
            "max_length": self.max_length(),
        });
        described
    }
}
