//! From what is kept of a training to the training.

use serde_json::Value;

use super::Fit;
#[cfg(feature = "neural")]
use super::neural;
use crate::error::{Error, ErrorKind, Result};

/// The training that [`Fit::recipe`] describes.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for something else.
pub fn from_recipe(recipe: Value) -> Result<Box<dyn Fit>> {
    #[cfg(feature = "neural")]
    return match serde_json::from_value::<neural::NeuralConfig>(recipe) {
        Ok(config) => Ok(Box::new(config)),
        Err(source) => {
            Err(Error::new(ErrorKind::Corrupt, "it is no training that can be continued")
                .with_source(source))
        }
    };
    #[cfg(not(feature = "neural"))]
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("this build has no neural models: cannot continue {recipe}"),
    )
    .with_hint("build it with the cargo feature `neural`"))
}
