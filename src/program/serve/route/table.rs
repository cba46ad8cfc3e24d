//! Every path that a client can reach: what leads there, what it takes, and what it answers. The
//! router, `/info` and the OpenAPI document are made of this one table.

use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::Response,
    routing::{MethodRouter, get},
};
use serde_json::Value;
use trialbook::registry::Scope;

use crate::serve::{
    http::{access::Access, media::JSON_LINES},
    state::ServerState,
};

use super::{
    drift,
    endpoint::{Content, Endpoint, Method, Parameter},
    explain, feedback,
    health::{health, live, ready},
    info,
    metrics::metrics,
    models::models,
    openapi, page, predict,
    release::releases,
};

const fn json_of(schema: &'static str) -> Content {
    Content { media_type: "application/json", schema, example: None }
}

const fn text(media_type: &'static str) -> Content {
    Content { media_type, schema: "Text", example: None }
}

const HTML: Content = text("text/html");
const LINES: Content = Content { media_type: JSON_LINES, schema: "LineQuestions", example: None };

/// The defaults of every endpoint.
const PLAIN: Endpoint = Endpoint {
    method: Method::Get,
    path: "",
    does: "",
    detail: "",
    parameter: None,
    takes: &[],
    answers: &[],
    refuses: &[],
    access: Access::Predict,
    offered: |_| true,
    handler: |_| MethodRouter::new(),
};

/// A path that names its model.
const MODEL: Option<Parameter> = Some(Parameter {
    name: "model",
    does: "The name of a model that is served here, as /health lists them.",
    values: Vec::new,
});

/// Also of a path that names no model: the body may.
const QUESTION_REFUSES: &[u16] = &[400, 404, 408, 413, 415, 422, 500, 503];

const PREDICT: Endpoint = Endpoint {
    method: Method::Post,
    path: "/predict",
    does: "predicts one text",
    detail: "The server's default model answers, or the model that the field model names.",
    takes: &[Content {
        media_type: "application/json",
        schema: "Question",
        example: Some(r#"{"text":"An utterly wonderful film."}"#),
    }],
    answers: &[(200, &[json_of("Prediction")])],
    refuses: QUESTION_REFUSES,
    handler: predict::single,
    ..PLAIN
};

const BATCH: Endpoint = Endpoint {
    method: Method::Post,
    path: "/predict/batch",
    does: "predicts many texts, in their order",
    detail: "As application/json: if one text is not valid, the whole batch is refused, and the error \
             says which text. As application/x-ndjson, one JSON object per line: each line is a request \
             of its own, and is answered while later lines are still being sent. Each line has the \
             limits of a single prediction; the number of lines has no limit. Each line may name a \
             model. A line that cannot be answered gets an error with the number of the line. Read the \
             answers while you send: the server closes the connection of a client that reads no \
             answer, or sends nothing, for 10 seconds.",
    takes: &[
        Content {
            media_type: "application/json",
            schema: "BatchQuestion",
            example: Some(r#"{"texts":["An utterly wonderful film.","A waste of an evening."]}"#),
        },
        LINES,
    ],
    answers: &[(
        200,
        &[
            json_of("Predictions"),
            Content { media_type: JSON_LINES, schema: "LineAnswers", example: None },
        ],
    )],
    refuses: QUESTION_REFUSES,
    handler: predict::batch,
    ..PLAIN
};

/// [`BATCH`] of the model that the path names.
const BATCH_OF_MODEL: Endpoint = Endpoint {
    path: "/models/{model}/predict/batch",
    does: "the same as /predict/batch, by this model",
    detail: "If the body or a line names a model, it must be this one.",
    parameter: MODEL,
    takes: &[
        Content {
            media_type: "application/json",
            schema: "BatchQuestionToModel",
            example: Some(r#"{"texts":["An utterly wonderful film.","A waste of an evening."]}"#),
        },
        LINES,
    ],
    ..BATCH
};

const EXPLAIN: Endpoint = Endpoint {
    path: "/explain",
    does: "predicts one text and says what each word adds to the answer",
    detail: "Only a server that was started with --explain has this path. Base, terms and rest add up to the \
             decision: of two classes the log-odds of the positive one, of more the score of the predicted \
             class before softmax. The answer is neither counted nor logged as a prediction.",
    answers: &[(200, &[json_of("ExplainedPrediction")])],
    offered: ServerState::explains,
    handler: explain::explain,
    ..PREDICT
};

const DRIFT: Endpoint = Endpoint {
    path: "/drift",
    does: "compares what the model is asked and answers with what it was judged by",
    detail: "The predictions of the last 24 hours in the log, signal by signal, against the reference profile \
             of the version in production. The answer is kept for 10 seconds, or for 20 times as long as \
             it took to make; computed_ms says when that was. Without predictions the verdict is ok, and is_enough \
             false, as with too few of them. The status is 404 where the version has no reference profile. A server \
             that logs no predictions does not have this path.",
    answers: &[(200, &[json_of("Drift")])],
    refuses: &[404, 503],
    offered: ServerState::tells_drift,
    handler: |_| get(drift::of_default),
    ..PLAIN
};

/// All of them.
const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/",
        does: "this description, or a page for browsers",
        answers: &[(200, &[json_of("Info"), HTML])],
        access: Access::Page,
        handler: |_| get(page_or_description),
        ..PLAIN
    },
    Endpoint {
        path: "/info",
        does: "this description",
        answers: &[(200, &[json_of("Info")])],
        handler: |_| get(description),
        ..PLAIN
    },
    PREDICT,
    BATCH,
    Endpoint { path: "/batch_predict", does: "the same as /predict/batch", ..BATCH },
    Endpoint {
        path: "/models/{model}/predict",
        does: "the same as /predict, by this model",
        detail: "If the body names a model, it must be this one.",
        parameter: MODEL,
        takes: &[Content {
            media_type: "application/json",
            schema: "QuestionToModel",
            example: Some(r#"{"text":"An utterly wonderful film."}"#),
        }],
        ..PREDICT
    },
    EXPLAIN,
    Endpoint {
        path: "/models/{model}/explain",
        does: "the same as /explain, by this model",
        parameter: MODEL,
        takes: &[Content {
            media_type: "application/json",
            schema: "QuestionToModel",
            example: Some(r#"{"text":"An utterly wonderful film."}"#),
        }],
        ..EXPLAIN
    },
    BATCH_OF_MODEL,
    Endpoint {
        path: "/models/{model}/batch_predict",
        does: "the same as /predict/batch, by this model",
        ..BATCH_OF_MODEL
    },
    Endpoint {
        method: Method::Post,
        path: "/feedback",
        does: "takes true labels of texts that were predicted",
        detail: "One label or a list of them; each is answered for itself. A label names the request by the \
                 request_id of its answer, a text of a batch by its index from 0, and a line of a stream by its \
                 number. Labels may come late, in any order and several times: a later label of the same source \
                 corrects its earlier one, of several sources that disagree the latest counts, and null takes \
                 back what a source said. What is answered is on the disk. A label whose prediction is not known \
                 here is kept as unmatched: it counts once the prediction is found in the log. Where keys are \
                 asked for, the key needs the scope write: labels decide about releases. A server that logs no \
                 predictions does not have this path.",
        takes: &[Content {
            media_type: "application/json",
            schema: "TrueLabels",
            example: Some(r#"{"request_id":"7b0c42","label":"positive","source":"user"}"#),
        }],
        answers: &[(200, &[json_of("Feedback")])],
        refuses: &[400, 403, 408, 413, 415, 422, 500, 503],
        access: Access::Tracking(Scope::Write),
        offered: ServerState::takes_labels,
        handler: feedback::feedback,
        ..PLAIN
    },
    Endpoint {
        path: "/models",
        does: "lists what is served",
        answers: &[(200, &[json_of("Models")])],
        handler: |_| get(models),
        ..PLAIN
    },
    DRIFT,
    Endpoint {
        path: "/models/{model}/drift",
        does: "the same as /drift, of this model",
        parameter: MODEL,
        refuses: &[404, 503],
        handler: |_| get(drift::of_model),
        ..DRIFT
    },
    Endpoint {
        path: "/release",
        does: "says how the release of each model stands, and what both versions did",
        detail: "Only models that have had a release are in the list. The counts are those of all servers of \
                 one store, and of this server alone where the registry is elsewhere.",
        answers: &[(200, &[json_of("Releases")])],
        handler: |_| get(releases),
        ..PLAIN
    },
    Endpoint {
        path: "/health",
        does: "says which model version answers, and what it has predicted so far",
        detail: "The status and all fields except models describe the default model; models describes \
                 every model. The status is 503 while the default model has no version in production.",
        answers: &[(200, &[json_of("Health")]), (503, &[json_of("Health")])],
        access: Access::Health,
        handler: |_| get(health),
        ..PLAIN
    },
    Endpoint {
        path: "/health/live",
        does: "says that the process runs",
        answers: &[(200, &[json_of("Live")])],
        access: Access::Health,
        handler: |_| get(live),
        ..PLAIN
    },
    Endpoint {
        path: "/health/ready",
        does: "says whether predictions are answered",
        detail: "This is about the default model; /health describes the others. The server starts to \
                 listen when all Production versions are loaded and warmed up.",
        answers: &[(200, &[json_of("Ready")])],
        refuses: &[503],
        access: Access::Health,
        handler: |_| get(ready),
        ..PLAIN
    },
    Endpoint {
        path: "/metrics",
        does: "counts and durations for Prometheus",
        answers: &[(200, &[text("text/plain")])],
        access: Access::Metrics,
        handler: |_| get(metrics),
        ..PLAIN
    },
    Endpoint {
        path: "/docs",
        does: "a page where the endpoints are explained and can be tried",
        answers: &[(200, &[HTML])],
        access: Access::Open,
        handler: |_| get(page::docs),
        ..PLAIN
    },
    Endpoint {
        path: "/openapi.json",
        does: "the OpenAPI document of these endpoints",
        answers: &[(200, &[json_of("OpenApi")])],
        access: Access::Open,
        handler: |_| get(document),
        ..PLAIN
    },
    Endpoint {
        path: "/assets/{name}",
        does: "files of the pages: style sheets, scripts, the icon",
        parameter: Some(Parameter {
            name: "name",
            does: "The name of the file.",
            values: page::asset_names,
        }),
        answers: &[
            (200, &[text("text/css"), text("text/javascript"), text("image/svg+xml")]),
            (304, &[]),
        ],
        refuses: &[404],
        access: Access::Open,
        handler: |_| get(page::asset),
        ..PLAIN
    },
];

/// All of them. What an `async` function returns cannot be told while a constant is made that needs it:
/// those below ask here.
pub(crate) fn endpoints() -> &'static [Endpoint] {
    ENDPOINTS
}

/// Those that the server of `state` has.
pub(crate) fn offered(state: &ServerState) -> impl Iterator<Item = &'static Endpoint> {
    endpoints().iter().filter(|endpoint| (endpoint.offered)(state))
}

/// The access that the path asks for, written as the router writes it. A path that leads nowhere asks for a
/// key, as most do: without one nobody learns which paths there are.
pub(crate) fn access(path: Option<&str>) -> Access {
    let endpoint = path.and_then(|path| ENDPOINTS.iter().find(|endpoint| endpoint.path == path));
    endpoint.map_or(Access::Predict, |endpoint| endpoint.access)
}

// Those that describe the table are handed it: they stand below it.

async fn page_or_description(State(state): State<ServerState>, headers: HeaderMap) -> Response {
    info::page_or_description(offered(&state), &state, &headers)
}

async fn description(State(state): State<ServerState>) -> Response {
    info::description(offered(&state), &state)
}

async fn document(State(state): State<ServerState>) -> Json<Value> {
    Json(openapi::document(offered(&state), state.limits()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_says_who_may_ask_and_one_that_leads_nowhere_wants_a_key() {
        for (path, expected) in [
            (Some("/predict"), Access::Predict),
            (Some("/"), Access::Page),
            (Some("/models"), Access::Predict),
            (Some("/feedback"), Access::Tracking(Scope::Write)),
            (None, Access::Predict),
            (Some("/nowhere"), Access::Predict),
            (Some("/health"), Access::Health),
            (Some("/health/live"), Access::Health),
            (Some("/metrics"), Access::Metrics),
            (Some("/assets/{name}"), Access::Open),
            (Some("/docs"), Access::Open),
            (Some("/openapi.json"), Access::Open),
        ] {
            assert_eq!(access(path), expected, "{path:?}");
        }
    }
}
