//! The model that a question is for: the one that its path names, else the one that its body names, else
//! the server's first. A server of one model is the case of one.

use std::sync::OnceLock;

use crate::serve::{
    http::error::{ApiError, FieldError},
    model::{served::ServedModel, trial::Assigned},
    state::ServerState,
};

use super::split::SplitKeys;

/// The model that a request's path names, and the version that answers unless its body names another
/// model.
pub(crate) struct Target {
    /// The model that the path names, else the first.
    slot_idx: usize,
    /// True if the path names it: then a body may name no other.
    is_named: bool,
    served: Option<ServedModel>,
}

impl Target {
    /// Of a request whose path names the model `name`, or none.
    ///
    /// # Errors
    /// 404 for a model that is not served here, 503 where no body could name one that answers.
    pub(crate) fn of(state: &ServerState, name: Option<&str>) -> Result<Self, ApiError> {
        let slot_idx = name.map_or(Ok(0), |name| state.slot_idx(name))?;
        let is_named = name.is_some();
        let served = match state.slots()[slot_idx].served() {
            Ok(served) => Some(served),
            // The body may still name one that answers.
            Err(_) if !is_named && state.slots().iter().any(|slot| slot.info().is_some()) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { slot_idx, is_named, served })
    }

    /// The place of the model among the server's that a question is for whose body names `field`, or
    /// none.
    ///
    /// # Errors
    /// 422 when the path names another one, 404 for a model that is not served here.
    pub(crate) fn slot_idx(
        &self,
        state: &ServerState,
        field: Option<&str>,
    ) -> Result<usize, ApiError> {
        let Some(field) = field else { return Ok(self.slot_idx) };
        let own = state.slots()[self.slot_idx].name();
        if field == own {
            Ok(self.slot_idx)
        } else if self.is_named {
            let msg = format!(
                "The path names the model {own:?}: name the same model, or leave the field out"
            );
            Err(ApiError::validation(vec![FieldError::of_field("model", "model_mismatch", msg)]))
        } else {
            state.slot_idx(field)
        }
    }

    /// As [`Target::slot_idx`], with the version that answers.
    ///
    /// # Errors
    /// As [`Target::slot_idx`], and 503 when no version of the model is in production.
    pub(crate) fn settle(
        self,
        state: &ServerState,
        field: Option<&str>,
    ) -> Result<(usize, ServedModel), ApiError> {
        let slot_idx = self.slot_idx(state, field)?;
        match self.served {
            Some(served) if slot_idx == self.slot_idx => Ok((slot_idx, served)),
            _ => Ok((slot_idx, state.slots()[slot_idx].served()?)),
        }
    }
}

/// The versions that answer the lines of one stream: of each model the one that answered when it was
/// first asked, to the stream's end; a candidate that is taken back meanwhile answers none from then on.
pub(crate) struct Versions {
    assigned: Box<[OnceLock<Assigned>]>,
    keys: SplitKeys,
    request_id: String,
}

impl Versions {
    /// For a stream to `target`.
    pub(crate) fn of(
        state: &ServerState,
        target: &Target,
        keys: SplitKeys,
        request_id: &str,
    ) -> Self {
        let assigned: Box<[_]> = state.slots().iter().map(|_| OnceLock::new()).collect();
        if let Some(served) = &target.served {
            // Nothing is in there yet.
            let of_target = keys.assign(state, target.slot_idx, served.clone(), request_id);
            let _ = assigned[target.slot_idx].set(of_target);
        }
        Self { assigned, keys, request_id: request_id.to_owned() }
    }

    /// The version of the state's model `slot_idx`.
    ///
    /// # Errors
    /// 503 when none was asked yet and none is in production.
    pub(crate) fn get(&self, state: &ServerState, slot_idx: usize) -> Result<&Assigned, ApiError> {
        let version = &self.assigned[slot_idx];
        match version.get() {
            Some(assigned) => Ok(assigned),
            None => {
                let served = state.slots()[slot_idx].served()?;
                let assigned = self.keys.assign(state, slot_idx, served, &self.request_id);
                Ok(version.get_or_init(|| assigned))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::Limits;

    /// Two models, no version of either.
    fn state() -> ServerState {
        let models = ["A", "B"].map(|name| (name.to_owned(), None));
        ServerState::of_models(models.into(), Limits::default()).unwrap()
    }

    fn target(slot_idx: usize, is_named: bool) -> Target {
        Target { slot_idx, is_named, served: None }
    }

    #[test]
    fn path_and_field_lead_to_one_model_or_to_a_refusal() {
        let (state, first, a, b) = (state(), target(0, false), target(0, true), target(1, true));
        for (target, field, expected) in [
            (&first, None, Ok(0)),
            (&first, Some("A"), Ok(0)),
            (&first, Some("B"), Ok(1)),
            (&first, Some("b"), Err("model_not_found")),
            (&first, Some(""), Err("model_not_found")),
            (&a, None, Ok(0)),
            (&a, Some("A"), Ok(0)),
            (&a, Some("B"), Err("validation_error")),
            (&b, None, Ok(1)),
            (&b, Some("B"), Ok(1)),
            (&b, Some("A"), Err("validation_error")),
            (&b, Some("C"), Err("validation_error")),
        ] {
            let found = target.slot_idx(&state, field);
            let found = found.as_ref().map_err(ApiError::error_type);
            assert_eq!(found.copied(), expected, "{field:?}");
        }
    }

    #[test]
    fn where_nothing_answers_a_request_is_refused_before_its_body() {
        let state = state();
        for (name, expected) in [
            (None, "model_unavailable"),
            (Some("B"), "model_unavailable"),
            (Some("C"), "model_not_found"),
        ] {
            let error = Target::of(&state, name).map(|_| ()).unwrap_err();
            assert_eq!(error.error_type(), expected, "{name:?}");
        }
    }
}
