//! The parts of a request by which a release may split clients: they are taken before the body is read,
//! since only that says which model it is for.

use std::sync::Arc;

use axum::extract::Request;

use crate::serve::{
    http::admitted::Admitted,
    model::{served::ServedModel, trial::Assigned},
    state::ServerState,
};

/// The keys of one request.
#[derive(Clone, Default)]
pub(crate) struct SplitKeys {
    /// The name of the API key that let it in.
    client: Option<Arc<str>>,
    /// Of each model whose release splits by a header, what the request says in it.
    headers: Vec<(usize, Option<String>)>,
}

impl SplitKeys {
    /// Of `request`.
    pub(crate) fn of(state: &ServerState, request: &Request) -> Self {
        let mut headers = Vec::new();
        for (slot_idx, slot) in state.slots().iter().enumerate() {
            let Some(name) = slot.trial().and_then(|trial| trial.header()) else { continue };
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            headers.push((slot_idx, value.map(str::to_owned)));
        }
        let admitted = request.extensions().get::<Admitted>();
        Self { client: admitted.and_then(|Admitted(name)| name.clone()), headers }
    }

    /// Who answers it, by the model `slot_idx` of the state, whose version in Production is `served`.
    pub(crate) fn assign(
        &self,
        state: &ServerState,
        slot_idx: usize,
        served: ServedModel,
        request_id: &str,
    ) -> Assigned {
        let header = self.headers.iter().find(|(of, _)| *of == slot_idx);
        let key = match header {
            Some((_, value)) => value.as_deref(),
            None => self.client.as_deref(),
        };
        state.slots()[slot_idx].assign(served, key, request_id)
    }
}
