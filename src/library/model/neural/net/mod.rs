//! The four neural nets: sizes, weights by name, and the one way from token ids to logits. No type
//! of Burn leaves this folder and its neighbour `training`.

mod avgnet;
mod batch;
mod cnn;
mod config;
mod convolution;
mod distilbert;
mod lstm;
pub(crate) mod parameters;
pub(crate) mod pass;

pub use avgnet::AvgNetConfig;
pub(crate) use batch::mix;
pub use batch::{Batch, EncodedExample, epoch_order};
pub use cnn::CnnConfig;
pub use config::NetConfig;
pub use distilbert::DistilBertConfig;
pub use lstm::LstmConfig;
pub use pass::Precision;

use rayon::prelude::*;

use self::{
    batch::by_length,
    parameters::{DeviceTensor, Key, ParameterValues, Specs, host},
    pass::Pass,
};
use super::{device::Resolved, simd::rows::KeptMemory, tensors::Tensors};
use crate::{
    error::{Error, Result},
    progress::Interrupt,
};

/// A neural net with its weights on a device. Copies share the weights until one of them changes.
#[derive(Debug, Clone)]
pub struct Net {
    config: NetConfig,
    architecture: Architecture,
    specs: Specs,
    values: ParameterValues,
    device: Resolved,
    /// Of the products when predicting.
    precision: Precision,
}

#[derive(Debug, Clone)]
enum Architecture {
    DistilBert(distilbert::DistilBert),
    AvgNet(avgnet::AvgNet),
    Cnn(cnn::Cnn),
    Lstm(lstm::Lstm),
}

impl Architecture {
    fn new(config: &NetConfig) -> (Self, Specs) {
        let mut specs = Specs::default();
        let architecture = match config {
            NetConfig::DistilBert(config) => {
                Self::DistilBert(distilbert::DistilBert::new(config, &mut specs))
            }
            NetConfig::AvgNet(config) => Self::AvgNet(avgnet::AvgNet::new(config, &mut specs)),
            NetConfig::Cnn(config) => Self::Cnn(cnn::Cnn::new(config, &mut specs)),
            NetConfig::Lstm(config) => Self::Lstm(lstm::Lstm::new(config, &mut specs)),
        };
        (architecture, specs)
    }
}

impl Net {
    /// A net with new weights that `seed` alone decides.
    ///
    /// # Errors
    /// Sizes that make no net.
    pub fn new(config: NetConfig, seed: u64, device: &Resolved) -> Result<Self> {
        Self::with_values(config, device, |specs| Ok(specs.initialize(seed, device.burn())))
    }

    /// A net with the weights `tensors`.
    ///
    /// # Errors
    /// Sizes that make no net; missing, unused and mis-shaped tensors, all of them by name.
    pub fn load(config: NetConfig, tensors: &Tensors, device: &Resolved) -> Result<Self> {
        Self::with_values(config, device, |specs| specs.load(tensors, device.burn()))
    }

    fn with_values(
        config: NetConfig,
        device: &Resolved,
        values: impl FnOnce(&Specs) -> Result<ParameterValues>,
    ) -> Result<Self> {
        config.check()?;
        let (architecture, specs) = Architecture::new(&config);
        let (values, device) = (values(&specs)?, device.clone());
        Ok(Self { config, architecture, specs, values, device, precision: Precision::F32 })
    }

    /// The same net, whose products are in `precision` when it predicts.
    pub fn predicting_in(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The names and shapes of the parameters that a net of `config` has.
    ///
    /// # Errors
    /// Sizes that make no net.
    pub fn expected(config: &NetConfig) -> Result<Vec<(String, Vec<usize>)>> {
        config.check()?;
        let (_, specs) = Architecture::new(config);
        Ok(specs.iter().map(|spec| (spec.name.clone(), spec.shape.clone())).collect())
    }

    /// The table of the tokens' embeddings.
    pub(crate) fn embedding(&self) -> Key {
        match &self.architecture {
            Architecture::DistilBert(net) => net.words,
            Architecture::AvgNet(net) => net.embedding,
            Architecture::Cnn(net) => net.embedding,
            Architecture::Lstm(net) => net.embedding,
        }
    }

    /// The rows of the table of the tokens' embeddings, `[vocab_size, width]` row-major, and the width.
    pub(crate) fn token_table(&self) -> (Vec<f32>, usize) {
        let table = self.values.get(self.embedding());
        let [_, width] = table.dims();
        (host(table), width)
    }

    /// The same net for prediction in f32, whose tokens are the rows of `table` and no words.
    ///
    /// # Shapes
    /// `table`: `[n_rows, width]`, with the width of the net's own embeddings.
    pub(crate) fn reading(&self, table: DeviceTensor<2>) -> Self {
        Self {
            config: self.config.reading(table.dims()[0]),
            values: self.values.with(self.embedding(), table),
            precision: Precision::F32,
            ..self.clone()
        }
    }

    /// The net's sizes.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// The device the weights lie on.
    pub fn device(&self) -> &Resolved {
        &self.device
    }

    /// Number of trainable values.
    pub fn n_parameters(&self) -> usize {
        self.specs.n_values()
    }

    /// Every parameter with PyTorch's name, shape and order.
    pub fn parameters(&self) -> Tensors {
        self.specs.named(&self.values)
    }

    /// Replaces every parameter.
    ///
    /// # Errors
    /// Missing, unused and mis-shaped tensors, all of them by name; the net is unchanged then.
    pub fn set_parameters(&mut self, tensors: &Tensors) -> Result<()> {
        self.values = self.specs.load(tensors, self.device.burn())?;
        Ok(())
    }

    /// The logits of every text.
    ///
    /// # Shapes
    /// `[n, n_classes]`, row-major.
    ///
    /// # Errors
    /// A token id beyond the vocabulary, a text longer than the net reads.
    pub fn forward(&self, batch: &Batch) -> Result<Vec<f32>> {
        self.check(batch)?;
        let mut pass = Pass::predict(&self.values, self.device.burn(), self.precision);
        Ok(host(self.logits(&mut pass, batch)))
    }

    /// The logits of every text, in batches of similar length that have `batch_size` texts at most;
    /// on the CPU several batches at a time.
    ///
    /// # Shapes
    /// `[n_texts, n_classes]`, row-major.
    ///
    /// # Errors
    /// As [`Net::forward`], a text without a token, and [`crate::error::ErrorKind::Interrupted`].
    pub fn forward_all(
        &self,
        texts: &[&[u32]],
        batch_size: usize,
        interrupt: &Interrupt,
    ) -> Result<Vec<f32>> {
        let lengths: Vec<usize> = texts.iter().map(|ids| ids.len()).collect();
        let batches = by_length(&lengths, batch_size);
        let _memory = KeptMemory::new();
        let forward = |members: &Vec<usize>| {
            interrupt.check()?;
            let batch: Vec<&[u32]> = members.iter().map(|idx| texts[*idx]).collect();
            self.forward(&Batch::new(&batch, 0)?)
        };
        let rows: Vec<Vec<f32>> = if self.device.is_cpu() {
            batches.par_iter().map(forward).collect::<Result<_>>()?
        } else {
            batches.iter().map(forward).collect::<Result<_>>()?
        };
        let n_classes = self.config.n_classes();
        let mut logits = vec![0.0; texts.len() * n_classes];
        let rows = rows.iter().flat_map(|rows| rows.chunks_exact(n_classes));
        for (text_idx, row) in batches.iter().flatten().zip(rows) {
            logits[text_idx * n_classes..][..n_classes].copy_from_slice(row);
        }
        Ok(logits)
    }

    /// # Shapes
    /// `[n, n_classes]`.
    pub(crate) fn logits(&self, pass: &mut Pass<'_>, batch: &Batch) -> DeviceTensor<2> {
        match (&self.architecture, &self.config) {
            (Architecture::DistilBert(net), NetConfig::DistilBert(config)) => {
                net.forward(config, pass, batch)
            }
            (Architecture::AvgNet(net), NetConfig::AvgNet(config)) => {
                net.forward(config, pass, batch)
            }
            (Architecture::Cnn(net), NetConfig::Cnn(config)) => net.forward(config, pass, batch),
            (Architecture::Lstm(net), NetConfig::Lstm(config)) => net.forward(config, pass, batch),
            _ => unreachable!("the architecture was made from this configuration"),
        }
    }

    /// Checks that the net can read `batch`.
    pub(crate) fn check(&self, batch: &Batch) -> Result<()> {
        let vocab_size = self.config.vocab_size();
        if batch.max_id() as usize >= vocab_size {
            return Err(Error::invalid(format!(
                "token id {} is outside the net's vocabulary of {vocab_size}",
                batch.max_id()
            ))
            .with_hint("use the tokenizer that belongs to this model"));
        }
        match self.config.max_length() {
            Some(longest) if batch.length() > longest => Err(Error::invalid(format!(
                "a text of {} tokens is too long for this net, which reads {longest}",
                batch.length()
            ))
            .with_hint("truncate the texts with a smaller maximum length")),
            _ => Ok(()),
        }
    }

    pub(crate) fn specs(&self) -> &Specs {
        &self.specs
    }

    pub(crate) fn values(&self) -> &ParameterValues {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut ParameterValues {
        &mut self.values
    }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
