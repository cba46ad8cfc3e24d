//! What goes round every page: head, navigation, footer; and the page of a refusal.

use maud::{DOCTYPE, Markup, html};

use super::{asset, failure::PageFailure};
use crate::serve::changes::RegistryMark;

/// The URL at which changes are told.
pub(super) const EVENTS: &str = "/ui/events";

/// The places that the navigation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Runs,
    Experiments,
    Models,
    Data,
    Predictions,
    Audit,
}

impl Tab {
    const ALL: [Self; 6] =
        [Self::Runs, Self::Experiments, Self::Models, Self::Data, Self::Predictions, Self::Audit];

    fn name(self) -> &'static str {
        match self {
            Self::Runs => "Runs",
            Self::Experiments => "Experiments",
            Self::Models => "Models",
            Self::Data => "Data",
            Self::Predictions => "Predictions",
            Self::Audit => "Audit",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Runs => "/ui/runs",
            Self::Experiments => "/ui/experiments",
            Self::Models => "/ui/models",
            Self::Data => "/ui/data",
            Self::Predictions => "/ui/predictions",
            Self::Audit => "/ui/audit",
        }
    }
}

/// A page for people.
pub(super) struct PageFrame {
    pub(super) tab: Option<Tab>,
    pub(super) title: String,
    pub(super) body: Markup,
    /// The interval at which its live parts are asked for again.
    pub(super) live_ms: Option<u32>,
    /// True if it shows the registry alone, whose changes are told of.
    pub(super) is_told: bool,
    /// True if keys press its buttons.
    pub(super) is_labelled_by_keys: bool,
}

impl PageFrame {
    pub(super) fn new(tab: Tab, title: impl Into<String>, body: Markup) -> Self {
        Self {
            tab: Some(tab),
            title: title.into(),
            body,
            live_ms: None,
            is_told: false,
            is_labelled_by_keys: false,
        }
    }

    /// A page whose live parts are asked for again at that interval.
    pub(super) fn live(mut self, every_ms: u32) -> Self {
        self.live_ms = Some(every_ms);
        self
    }

    /// A page whose buttons keys press.
    pub(super) fn by_keys(mut self) -> Self {
        self.is_labelled_by_keys = true;
        self
    }

    /// A page that is told when it has to ask again, and asks at that interval where nobody tells it.
    pub(super) fn told(mut self, every_ms: u32) -> Self {
        self.is_told = true;
        self.live(every_ms)
    }
}

/// A whole document.
pub(super) fn document(page: &PageFrame, is_keyed: bool, mark: Option<RegistryMark>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) " · trialbook" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href=(asset::url("ui.css"));
                script src=(asset::url("links.js")) defer {}
                script src=(asset::url("ui.js")) defer {}
                @if page.is_labelled_by_keys { script src=(asset::url("label.js")) defer {} }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header.top {
                    a.wordmark href="/ui/runs" {
                        img src="/assets/icon.svg" alt="" width="22" height="22";
                        "trialbook"
                    }
                    nav aria-label="Pages" {
                        @for tab in Tab::ALL {
                            a href=(tab.path()) aria-current=[(page.tab == Some(tab)).then_some("page")] {
                                (tab.name())
                            }
                        }
                    }
                    div.side {
                        a href="/" { "Try a model" }
                        a href="/docs" { "API" }
                        @if is_keyed {
                            form method="post" action="/ui/logout" {
                                button.link type="submit" { "Sign out" }
                            }
                        }
                    }
                }
                main #main tabindex="-1" data-live=[page.live_ms] data-mark=[mark.filter(|_| page.is_told)]
                    data-events=[(page.is_told && mark.is_some()).then_some(EVENTS)] { (page.body) }
                p.said #said role="status" {}
            }
        }
    }
}

/// The page of a refusal.
pub(super) fn failure(failure: &PageFailure) -> PageFrame {
    let body = html! {
        h1 { (failure.status.canonical_reason().unwrap_or("Refused")) }
        div.card.error role="alert" {
            p { (failure.said) }
            @if let Some(hint) = &failure.hint { p.hint { (hint) } }
        }
        p { a href="/ui/runs" { "All runs" } }
    };
    PageFrame { tab: None, ..PageFrame::new(Tab::Runs, "Refused", body) }
}
