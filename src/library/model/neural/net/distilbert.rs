//! DistilBERT with a classification head (Sanh et al., 2019), as in Hugging Face's
//! `DistilBertForSequenceClassification`: same names, same numbers.

use burn::tensor::activation;
use serde::{Deserialize, Serialize};

use super::{
    Batch,
    parameters::{DeviceTensor, Initializer, Key, Specs, add_row, host, matrix},
    pass::Pass,
};
use crate::model::neural::backprop::{DropoutRates, LayerKeys, LinearKeys, NormKeys, Transformer};

/// The layer norms' epsilon: written into the original, not into config.json.
const EPSILON: f64 = 1e-12;
/// Added to the score of a padded key: its weight becomes exactly 0.
const EXCLUDED: f32 = -1e30;

/// Sizes of a DistilBERT, with config.json's names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistilBertConfig {
    /// Number of tokens known.
    pub vocab_size: usize,
    /// Number of classes.
    pub n_classes: usize,
    /// Width of a token. Default 768.
    pub dim: usize,
    /// Width inside a feed-forward layer. Default 3072.
    pub hidden_dim: usize,
    /// Number of layers. Default 6.
    pub n_layers: usize,
    /// Number of attention heads; divides `dim`. Default 12.
    pub n_heads: usize,
    /// Longest text in tokens. Default 512.
    pub max_position_embeddings: usize,
    /// Dropout of embeddings and feed-forward layers. Default 0.1.
    pub dropout: f64,
    /// Dropout of the attention weights. Default 0.1.
    pub attention_dropout: f64,
    /// Dropout before the classifier. Default 0.2.
    pub seq_classif_dropout: f64,
    /// Standard deviation of new weights. Default 0.02.
    pub initializer_range: f64,
}

impl Default for DistilBertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            n_classes: 2,
            dim: 768,
            hidden_dim: 3072,
            n_layers: 6,
            n_heads: 12,
            max_position_embeddings: 512,
            dropout: 0.1,
            attention_dropout: 0.1,
            seq_classif_dropout: 0.2,
            initializer_range: 0.02,
        }
    }
}

/// The net's parameters by role.
#[derive(Debug, Clone)]
pub(crate) struct DistilBert {
    pub(super) words: Key,
    positions: Key,
    norm: [Key; 2],
    layers: Vec<TransformerLayer>,
    pre_classifier: [Key; 2],
    classifier: [Key; 2],
}

#[derive(Debug, Clone)]
struct TransformerLayer {
    query: [Key; 2],
    key: [Key; 2],
    value: [Key; 2],
    out: [Key; 2],
    attention_norm: [Key; 2],
    widen: [Key; 2],
    narrow: [Key; 2],
    output_norm: [Key; 2],
}

impl DistilBert {
    pub(crate) fn new(config: &DistilBertConfig, specs: &mut Specs) -> Self {
        let DistilBertConfig { dim, hidden_dim, .. } = *config;
        let init = Initializer::Normal(config.initializer_range as f32);
        let embeddings = "distilbert.embeddings";
        let table = |specs: &mut Specs, name: &str, rows: usize| {
            specs.table(format!("{embeddings}.{name}.weight"), [rows, dim], init)
        };
        let words = table(specs, "word_embeddings", config.vocab_size);
        let positions = table(specs, "position_embeddings", config.max_position_embeddings);
        let norm_of = |specs: &mut Specs, name: String| {
            [
                specs.vector(format!("{name}.weight"), dim, Initializer::Constant(1.0)),
                specs.vector(format!("{name}.bias"), dim, Initializer::Constant(0.0)),
            ]
        };
        let linear_of = |specs: &mut Specs, name: String, input: usize, out: usize| {
            [
                specs.weight(format!("{name}.weight"), [out, input], init),
                specs.vector(format!("{name}.bias"), out, Initializer::Constant(0.0)),
            ]
        };
        let norm = norm_of(specs, format!("{embeddings}.LayerNorm"));
        let layer = |layer_idx: usize| {
            let path = format!("distilbert.transformer.layer.{layer_idx}");
            let mut attend =
                |name: &str| linear_of(specs, format!("{path}.attention.{name}"), dim, dim);
            TransformerLayer {
                query: attend("q_lin"),
                key: attend("k_lin"),
                value: attend("v_lin"),
                out: attend("out_lin"),
                attention_norm: norm_of(specs, format!("{path}.sa_layer_norm")),
                widen: linear_of(specs, format!("{path}.ffn.lin1"), dim, hidden_dim),
                narrow: linear_of(specs, format!("{path}.ffn.lin2"), hidden_dim, dim),
                output_norm: norm_of(specs, format!("{path}.output_layer_norm")),
            }
        };
        let layers = (0..config.n_layers).map(layer).collect();
        let pre_classifier = linear_of(specs, "pre_classifier".into(), dim, dim);
        let classifier = linear_of(specs, "classifier".into(), dim, config.n_classes);
        Self { words, positions, norm, layers, pre_classifier, classifier }
    }

    /// # Shapes
    /// Logits `[n, n_classes]`.
    pub(crate) fn forward(
        &self,
        config: &DistilBertConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        if pass.is_plain() {
            self.forward_at_once(config, pass, batch)
        } else {
            self.forward_by_operations(config, pass, batch)
        }
    }

    /// [`DistilBert::forward`] by our own arithmetic, which passes padding over.
    fn forward_at_once(
        &self,
        config: &DistilBertConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let [n, dim] = [batch.n(), config.dim];
        let lengths: Vec<usize> = batch.lengths().iter().map(|real| *real as usize).collect();
        let texts = batch.ids().chunks_exact(batch.length()).zip(&lengths);
        let ids: Vec<u32> = texts.flat_map(|(ids, real)| &ids[..*real]).copied().collect();
        let positions: Vec<u32> = lengths.iter().flat_map(|real| 0..*real as u32).collect();
        let mut embedded = pass.peek_embedded(self.words, &ids);
        let of_positions = pass.peek_embedded(self.positions, &positions);
        embedded.iter_mut().zip(of_positions).for_each(|(sum, value)| *sum += value);
        let dropout = pass.own_draws().map(|seed| DropoutRates {
            states: config.dropout,
            attention: config.attention_dropout,
            hidden: config.seq_classif_dropout,
            seed,
        });
        let net = self.transformer(config);
        let tables = [self.words, self.positions];
        let weights = pass.host_values(&tables);
        let (logits, trace) = net.forward(&weights, &embedded, &lengths, dropout, pass.trains());
        let device = pass.plain_device().clone();
        let logits = matrix(logits, [n, config.n_classes], &device);
        let Some(trace) = trace else { return logits };
        // Whoever explains a text asks for its embeddings' gradients alone.
        let all = pass.value(self.classifier[0]).is_require_grad();
        let tables = tables.map(|key| (key, pass.value(key).dims()));
        let keys_dims: Vec<(Key, [usize; 2])> =
            pass.keys().map(|key| (key, pass.value(key).dims())).collect();
        let backward = move |gradients: Vec<DeviceTensor<2>>| {
            let gradient: Vec<f32> = gradients.into_iter().flat_map(host).collect();
            let found = net.backward(&weights, trace, &gradient, all);
            let own = found.parameters.into_iter().map(|(idx, gradient)| {
                let (key, dims) = keys_dims[idx];
                (key, matrix(gradient, dims, &device))
            });
            let mut own: Vec<(Key, DeviceTensor<2>)> = own.collect();
            for ((key, dims), rows) in tables.into_iter().zip([ids, positions]) {
                let mut sums = vec![0.0; dims[0] * dims[1]];
                for (row, gradient) in rows.iter().zip(found.embedded.chunks_exact(dim)) {
                    add_row(&mut sums, *row, gradient);
                }
                own.push((key, matrix(sums, dims, &device)));
            }
            (Vec::new(), own)
        };
        let mut outputs = pass.cut(Vec::new(), vec![logits], Box::new(backward));
        outputs.pop().expect("a cut returns as many tensors as it is given")
    }

    /// The parameters by the numbers of their keys.
    fn transformer(&self, config: &DistilBertConfig) -> Transformer {
        let linear =
            |[weight, bias]: [Key; 2]| LinearKeys { weight: weight.index(), bias: bias.index() };
        let norm =
            |[weight, bias]: [Key; 2]| NormKeys { weight: weight.index(), bias: bias.index() };
        let layers = self.layers.iter().map(|layer| LayerKeys {
            query: linear(layer.query),
            key: linear(layer.key),
            value: linear(layer.value),
            out: linear(layer.out),
            attention_norm: norm(layer.attention_norm),
            widen: linear(layer.widen),
            narrow: linear(layer.narrow),
            output_norm: norm(layer.output_norm),
        });
        Transformer {
            n_heads: config.n_heads,
            eps: EPSILON as f32,
            norm: norm(self.norm),
            layers: layers.collect(),
            pre_classifier: linear(self.pre_classifier),
            classifier: linear(self.classifier),
        }
    }

    /// [`DistilBert::forward`] by the device's operations.
    fn forward_by_operations(
        &self,
        config: &DistilBertConfig,
        pass: &mut Pass<'_>,
        batch: &Batch,
    ) -> DeviceTensor<2> {
        let [n, length, dim] = [batch.n(), batch.length(), config.dim];
        let words = pass.embed(self.words, batch.ids().iter().copied());
        let positions = pass.embed(self.positions, 0..length as u32);
        let tokens = words.reshape([n, length, dim]) + positions.reshape([1, length, dim]);
        let tokens = norm(pass, tokens.reshape([n * length, dim]), self.norm);
        let mut tokens = pass.dropout(tokens, config.dropout);
        let excluded = batch.is_padded().then(|| {
            let values = batch.mask().into_iter().map(|real| (1.0 - real) * EXCLUDED).collect();
            pass.constant(values, [n, 1, 1, length])
        });
        for layer in &self.layers {
            let attended = attend(config, pass, layer, tokens.clone(), excluded.as_ref(), batch);
            tokens = norm(pass, attended + tokens, layer.attention_norm);
            let wide = linear(pass, tokens.clone(), layer.widen);
            let wide = pass.gelu(wide);
            let narrow = linear(pass, wide, layer.narrow);
            let narrow = pass.dropout(narrow, config.dropout);
            tokens = norm(pass, narrow + tokens, layer.output_norm);
        }
        let first = tokens.reshape([n, length * dim]).slice_dim(1, 0..dim);
        let hidden = pass.relu(linear(pass, first, self.pre_classifier));
        let hidden = pass.dropout(hidden, config.seq_classif_dropout);
        linear(pass, hidden, self.classifier)
    }
}

fn linear(pass: &Pass<'_>, x: DeviceTensor<2>, [weight, bias]: [Key; 2]) -> DeviceTensor<2> {
    pass.linear(x, weight, bias)
}

fn norm(pass: &Pass<'_>, x: DeviceTensor<2>, [weight, bias]: [Key; 2]) -> DeviceTensor<2> {
    pass.layer_norm(x, weight, bias, EPSILON)
}

/// Self-attention: `softmax(q · kᵀ / sqrt(dim / n_heads)) · v` in each head. Dropout takes
/// attention weights, after the softmax.
///
/// # Shapes
/// `tokens`: `[n · length, dim]`, unchanged; `excluded`: `[n, 1, 1, length]`.
fn attend(
    config: &DistilBertConfig,
    pass: &mut Pass<'_>,
    layer: &TransformerLayer,
    tokens: DeviceTensor<2>,
    excluded: Option<&DeviceTensor<4>>,
    batch: &Batch,
) -> DeviceTensor<2> {
    let [n, length, n_heads] = [batch.n(), batch.length(), config.n_heads];
    let head_dim = config.dim / n_heads;
    let heads = |keys: [Key; 2]| {
        linear(pass, tokens.clone(), keys).reshape([n, length, n_heads, head_dim]).swap_dims(1, 2)
    };
    let [query, key, value] = [layer.query, layer.key, layer.value].map(heads);
    let query = query / (head_dim as f64).sqrt();
    let mut scores = pass.product(query, key.swap_dims(2, 3));
    if let Some(excluded) = excluded {
        scores = scores + excluded.clone();
    }
    let weights = activation::softmax(scores, 3);
    let weights = pass.dropout(weights, config.attention_dropout);
    let context = pass.product(weights, value);
    let context = context.swap_dims(1, 2).reshape([n * length, config.dim]);
    linear(pass, context, layer.out)
}
