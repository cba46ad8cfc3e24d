//! The beginning of the next page, as a text that clients hand back unread.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use trialbook::registry::Page;

use super::wire::WireRefusal;

#[derive(Serialize, Deserialize)]
struct PageToken {
    after: Option<String>,
    skip: usize,
}

/// The page of `limit` items that `token` leads to; the first one without.
pub(super) fn page(token: Option<&str>, limit: usize) -> Result<Page, WireRefusal> {
    let Some(token) = token.filter(|token| !token.is_empty()) else {
        return Ok(Page { limit, ..Page::default() });
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let read = bytes.and_then(|bytes| serde_json::from_slice::<PageToken>(&bytes).ok());
    match read {
        Some(PageToken { after, skip }) => Ok(Page { limit, after, skip }),
        None => Err(WireRefusal::invalid(format!(
            "page_token {token:?} is not one that this server made: take next_page_token as it comes"
        ))),
    }
}

/// The token that leads to `page`; empty for none.
pub(super) fn of(page: Option<Page>) -> Option<String> {
    let Page { after, skip, .. } = page?;
    let json = serde_json::to_vec(&PageToken { after, skip }).expect("texts and numbers serialise");
    Some(URL_SAFE_NO_PAD.encode(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_page_it_was_made_of_and_nothing_else_is_one() {
        let next = Page { limit: 7, after: Some("läuft".to_owned()), skip: 3 };
        let token = of(Some(next.clone())).unwrap();
        assert_eq!(page(Some(&token), 7).unwrap(), next);
        assert_eq!(page(None, 5).unwrap(), Page { limit: 5, ..Page::default() });
        assert_eq!(page(Some(""), 5).unwrap().skip, 0);
        for wrong in ["x", "e30", "!!", "eyJza2lwIjotMX0"] {
            assert!(page(Some(wrong), 5).is_err(), "{wrong}");
        }
    }
}
