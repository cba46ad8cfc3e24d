//! In whose name a request is answered, for what has to be told later.

use std::sync::Arc;

/// The name of the key that let a request in; none where no key was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Admitted(pub(crate) Option<Arc<str>>);
