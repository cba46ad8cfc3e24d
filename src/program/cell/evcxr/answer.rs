//! The work and the answer of each of evcxr's commands. Words for people; the settings and the
//! session do the work.

use std::fmt::Write as _;

use serde_json::Value;
use trialbook::{
    display::{self, Content},
    error::{Error, ErrorKind, Result},
};

use crate::cell::{
    Failure,
    evcxr::{Cache, Dependency, Host, Startup},
};

/// The version of evcxr whose commands these are.
const EVCXR: &str = "0.22.0";

type Answer = Result<Option<Content>>;
type Argument<'a> = Option<&'a str>;

fn says(text: impl Into<String>) -> Answer {
    Ok(Some(Content::text(text)))
}

fn is_one(argument: Argument<'_>) -> bool {
    argument == Some("1")
}

pub(super) fn allow_static_linking(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    host.config().allow_static_linking = is_one(argument);
    rebuild(host)?;
    says(format!("Static linking: {}", host.config().allow_static_linking))
}

pub(super) fn build_env(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let (key, value) = key_value(":build_env", argument)?;
    host.config().build_env.insert(key.to_owned(), value.to_owned());
    says(format!("Set {key}={value} for build"))
}

pub(super) fn cache(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    const MIB: u64 = 1 << 20;
    let Some(argument) = argument else {
        let limit = format!("Size limit: {} MiB", host.config().cache_bytes / MIB);
        let statistics = Cache::open(host.config())?.statistics()?;
        return says(format!("{statistics}\n{limit}"));
    };
    let size = argument.parse::<u64>().ok().and_then(|size| size.checked_mul(MIB));
    host.config().cache_bytes = size.ok_or_else(|| {
        Error::invalid(format!("{argument:?} is not a size in MiB")).with_hint("`:cache 500`")
    })?;
    says(format!("cache: {argument} MiB"))
}

pub(super) fn clear(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    host.dependencies().clear();
    host.clear()?;
    Ok(None)
}

pub(super) fn clear_cache(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let freed = Cache::open(host.config())?.shrink(0)?;
    says(format!("Deleted {} MiB from cache", freed >> 20))
}

pub(super) fn codegen_backend(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    if let Some(name) = argument {
        host.config().set_codegen_backend(name);
    }
    says(format!("codegen backend: {}", host.config().codegen_backend()))
}

pub(super) fn dep(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let argument = argument
        .ok_or_else(|| Error::invalid(":dep names no crate").with_hint("`:dep regex = \"1.0\"`"))?;
    let folder = std::env::current_dir().unwrap_or_default();
    let dependency = Dependency::parse(argument, &folder)?;
    let (config, watch) = (host.config().clone(), host.watch());
    host.dependencies().add(vec![dependency], &config, &watch)?;
    Ok(None)
}

pub(super) fn doc(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let name = argument
        .ok_or_else(|| Error::invalid(":doc names nothing").with_hint("`:doc Vec::push`"))?;
    match host.document(name) {
        Some(content) => Ok(Some(content)),
        None => says("No documentation found"),
    }
}

pub(super) fn efmt(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    if let Some(format) = argument {
        host.config().set_error_format(format)?;
    }
    let format = host.config().error_format();
    says(format!(
        "Error format: {} (errors must implement {})",
        format.format(),
        format.trait_name()
    ))
}

pub(super) fn env(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let (key, value) = key_value(":env", argument)?;
    host.config().env.insert(key.to_owned(), value.to_owned());
    says(format!("Set {key}={value} (use :restart command to reload child process)"))
}

pub(super) fn explain(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    if host.last_errors().is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "there is no compile error to explain"));
    }
    let mut explanations: Vec<String> = host
        .last_errors()
        .iter()
        .filter_map(|error| serde_json::from_str::<Value>(error).ok())
        .filter_map(|error| Some(error.pointer("/code/explanation")?.as_str()?.trim().to_owned()))
        .collect();
    explanations.dedup();
    if explanations.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "rustc has no explanation of the last error"));
    }
    says(explanations.join("\n\n"))
}

pub(super) fn fmt(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    host.config().set_output_format(argument.unwrap_or("{:?}"))?;
    says(format!("Output format: {}", host.config().output_format()))
}

pub(super) fn internal_debug(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let config = host.config();
    config.debug = !config.debug;
    says(format!("Internals debugging: {}", config.debug))
}

pub(super) fn last_compile_dir(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    says(host.last_compile_dir().display().to_string())
}

pub(super) fn last_error_json(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    says(host.last_errors().join("\n"))
}

pub(super) fn linker(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    if let Some(name) = argument {
        host.config().set_linker(name)?;
    }
    says(format!("linker: {}", host.config().linker()))
}

pub(super) fn load_config(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let startup = Startup::find()?;
    startup.apply(host.config())?;
    for cell in startup.cells() {
        host.run(cell).map_err(failed)?;
    }
    match &startup.source {
        _ if argument == Some("--quiet") => Ok(None),
        Some(path) => says(format!("Loading startup configuration from: {path:?}")),
        None => says("No configuration file found, use the default configuration"),
    }
}

pub(super) fn offline(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    host.config().offline = is_one(argument);
    says(format!("Offline mode: {}", host.config().offline))
}

pub(super) fn opt(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let config = host.config();
    let level = argument.unwrap_or(if config.opt_level() == "2" { "0" } else { "2" }).to_owned();
    config.set_opt_level(&level)?;
    rebuild(host)?;
    says(format!("Optimization: {level}"))
}

pub(super) fn preserve_vars_on_panic(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    host.config().preserve_vars_on_panic = is_one(argument);
    says(format!("Preserve vars on panic: {}", host.config().preserve_vars_on_panic))
}

pub(super) fn quit(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    host.quit();
    Ok(None)
}

pub(super) fn restart(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    host.restart()?;
    says("Child process restarted")
}

pub(super) fn sccache(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let is_on = argument != Some("0");
    let config = host.config();
    config.set_sccache(is_on)?;
    if !is_on {
        return says("sccache: false");
    }
    config.allow_static_linking = true;
    says(
        "sccache: true. Warning: dynamic linking disabled, use :cache instead to preserve dynamic \
         linking",
    )
}

pub(super) fn show_deps(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let lines: Vec<String> = host.dependencies().list().map(Dependency::to_string).collect();
    if lines.is_empty() { Ok(None) } else { says(lines.join("\n")) }
}

pub(super) fn time_passes(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let config = host.config();
    config.time_passes = !config.time_passes;
    says(format!("Time passes: {}", config.time_passes))
}

pub(super) fn timing(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let config = host.config();
    config.timing = !config.timing;
    says(format!("Timing: {}", config.timing))
}

pub(super) fn toolchain(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    if let Some(name) = argument {
        host.config().set_toolchain(name)?;
        rebuild(host)?;
    }
    says(format!("Toolchain: {}", host.config().toolchain()))
}

pub(super) fn type_(host: &mut dyn Host, argument: Argument<'_>) -> Answer {
    let name =
        argument.ok_or_else(|| Error::invalid(":type names nothing").with_hint("`:type NAME`"))?;
    let known = host.variables().into_iter().find(|variable| variable.name == name);
    let type_name = match known {
        Some(variable) => variable.type_name,
        None => host.type_of(name)?,
    };
    says(format!("{name}: {type_name}"))
}

pub(super) fn types(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let config = host.config();
    config.display_types = !config.display_types;
    says(format!("Types: {}", config.display_types))
}

pub(super) fn vars(host: &mut dyn Host, _: Argument<'_>) -> Answer {
    let variables = host.variables();
    let text: Vec<String> =
        variables.iter().map(|it| format!("{}: {}", it.name, it.type_name)).collect();
    let rows = variables.into_iter().map(|it| [it.name, it.type_name]).collect();
    let html = two_columns(Some(["Variable", "Type"]), rows);
    Ok(Some(html.with("text/plain", text.join("\n"))))
}

pub(super) fn version(_: &mut dyn Host, _: Argument<'_>) -> Answer {
    says(format!("{EVCXR} (trialbook {})", env!("CARGO_PKG_VERSION")))
}

/// Dependencies follow a change of how things are compiled at once: the cell that changed it is
/// where a failure belongs.
fn rebuild(host: &mut dyn Host) -> Result<()> {
    let (config, watch) = (host.config().clone(), host.watch());
    host.dependencies().rebuild(&config, &watch)
}

fn key_value<'a>(command: &str, argument: Argument<'a>) -> Result<(&'a str, &'a str)> {
    argument
        .and_then(|argument| argument.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .filter(|(key, _)| !key.is_empty() && !key.contains('\0'))
        .ok_or_else(|| {
            Error::invalid(format!("{command} sets nothing"))
                .with_hint(format!("`{command} KEY=VALUE`"))
        })
}

fn failed(failure: Failure) -> Error {
    Error::invalid(failure.message)
}

/// A table of two columns as aligned text and as HTML.
pub(super) fn two_columns(head: Option<[&str; 2]>, rows: Vec<[String; 2]>) -> Content {
    let width = rows.iter().map(|[left, _]| left.chars().count()).max().unwrap_or(0);
    let text: Vec<String> =
        rows.iter().map(|[left, right]| format!("{left:<width$}  {right}")).collect();
    let mut html = String::from("<table>");
    if let Some([left, right]) = head {
        let _ = write!(html, "<tr><th>{left}</th><th>{right}</th></tr>");
    }
    for [left, right] in &rows {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td></tr>",
            display::escape(left),
            display::escape(right)
        );
    }
    html.push_str("</table>");
    Content::text(text.join("\n")).with("text/html", html)
}
