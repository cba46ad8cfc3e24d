//! The tensors of a BERT that a DistilBERT has not. With token type 0 everywhere, a BERT adds the
//! same row to every token: the one to its position then holds both.

use super::{
    config::EncoderConfig,
    names::{POSITION_TABLE, TOKEN_TYPES},
    report::{LoadReport, MisShaped},
};
use crate::{
    error::Result,
    model::neural::tensors::{FileTensor, Tensors},
};

/// Adds token type 0 to every position embedding and takes the token types away. A checkpoint
/// without token types is left as it is.
pub(super) fn fold_token_types(
    tensors: &mut Tensors,
    config: &EncoderConfig,
    report: &mut LoadReport,
) -> Result<()> {
    let Some(token_types) = tensors.remove(TOKEN_TYPES) else { return Ok(()) };
    let expected = vec![1, config.width];
    let shape = token_types.shape();
    if shape.len() != 2 || shape[0] == 0 || shape[1] != config.width || !token_types.is_float() {
        report.mis_shaped.push(MisShaped {
            tensor: TOKEN_TYPES.to_owned(),
            expected,
            found: shape.to_vec(),
            dtype: token_types.dtype(),
        });
        return Ok(());
    }
    // Missing or mis-shaped positions are reported with all the others.
    let Ok(positions) = tensors.get(POSITION_TABLE) else { return Ok(()) };
    if positions.shape() != [config.max_position, config.width] || !positions.is_float() {
        return Ok(());
    }
    let token_types = token_types.values()?;
    let mut folded = positions.values()?.to_vec();
    for position in folded.chunks_exact_mut(config.width) {
        for (value, token_type) in position.iter_mut().zip(&token_types[..config.width]) {
            *value += token_type;
        }
    }
    tensors
        .insert(POSITION_TABLE, FileTensor::new(vec![config.max_position, config.width], folded));
    Ok(())
}
