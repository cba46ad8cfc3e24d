//! The kernel's entry in Jupyter's list: a folder with `kernel.json` and the logos, in the place
//! where Jupyter of this user, of a Python environment or below any prefix looks.

mod place;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use jupyter_protocol::JupyterKernelspec;
use serde_json::{Value, json};
use trialbook::{
    error::{Error, ErrorKind, Result},
    output::Output,
    plot,
    store::write_atomically,
};

use self::place::Place;

/// The name in Jupyter's menus.
const DISPLAY_NAME: &str = "Rust (trialbook)";
const LOGO: &str = include_str!("logo.svg");
/// The sizes of the pictures that Jupyter looks for.
const LOGO_PIXELS: [u32; 2] = [32, 64];

/// `kernel install`
#[derive(Debug, Clone, Args)]
pub struct Install {
    #[command(flatten)]
    target: Target,
}

/// `kernel uninstall`
#[derive(Debug, Clone, Args)]
pub struct Uninstall {
    #[command(flatten)]
    target: Target,
}

/// The entry in Jupyter's list.
#[derive(Debug, Clone, Args)]
struct Target {
    /// For this user: the default
    #[arg(long, group = "place")]
    user: bool,
    /// In the active Python environment (a virtual environment, Conda, or python3's own)
    #[arg(long, group = "place")]
    sys_prefix: bool,
    /// Below DIR/share/jupyter
    #[arg(long, value_name = "DIR", group = "place")]
    prefix: Option<PathBuf>,
    /// The entry's name, by which nbconvert and notebooks call the kernel
    #[arg(long, default_value = "trialbook", value_parser = entry_name)]
    name: String,
}

impl Install {
    /// Writes the entry, over an earlier one.
    ///
    /// # Errors
    /// When the place is unknown or cannot be written.
    pub(super) fn run(&self) -> Result<Output> {
        let dir = self.target.dir()?;
        let program = std::env::current_exe().map_err(|source| {
            Error::new(ErrorKind::Io, "cannot find this program's own file").with_source(source)
        })?;
        fs::create_dir_all(&dir).map_err(|source| Error::io("create the folder", &dir, source))?;
        let spec = serde_json::to_vec_pretty(&kernelspec(&program)?).map_err(|source| {
            Error::new(ErrorKind::Internal, "cannot write kernel.json").with_source(source)
        })?;
        write_atomically(&dir.join("logo-svg.svg"), LOGO.as_bytes())?;
        for pixels in LOGO_PIXELS {
            let logo = plot::png(LOGO, pixels)?;
            write_atomically(&dir.join(format!("logo-{pixels}x{pixels}.png")), &logo)?;
        }
        // Last: with it the entry counts.
        write_atomically(&dir.join("kernel.json"), &spec)?;
        let shown = dir.display();
        Ok(Output::new(json!({"dir": dir, "name": self.target.name, "program": program})).text(
            format!("installed the kernel {DISPLAY_NAME:?} in {shown}\nit runs {program:?}: install again after moving it"),
        ))
    }
}

impl Uninstall {
    /// Removes the entry.
    ///
    /// # Errors
    /// When there is none, it is another kernel's, or it cannot be removed.
    pub(super) fn run(&self) -> Result<Output> {
        let dir = self.target.dir()?;
        let spec = dir.join("kernel.json");
        let text = fs::read(&spec).map_err(|source| {
            Error::io("read", &spec, source)
                .with_hint("`jupyter kernelspec list` shows where kernels are installed")
        })?;
        let is_ours = serde_json::from_slice::<Value>(&text)
            .is_ok_and(|spec| spec["metadata"]["implementation"] == IMPLEMENTATION);
        if !is_ours {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{dir:?} holds another kernel, not trialbook's"),
            ));
        }
        fs::remove_dir_all(&dir).map_err(|source| Error::io("remove", &dir, source))?;
        let shown = dir.display();
        Ok(Output::new(json!({"dir": dir, "name": self.target.name}))
            .text(format!("removed the kernel from {shown}")))
    }
}

impl Target {
    fn dir(&self) -> Result<PathBuf> {
        let place = match &self.prefix {
            Some(prefix) => Place::Prefix(prefix.clone()),
            None if self.sys_prefix => Place::Prefix(place::sys_prefix()?),
            None => Place::User,
        };
        let data = place.data_dir(&|name| std::env::var_os(name), std::env::home_dir())?;
        // Jupyter starts kernels from any folder.
        let data = std::path::absolute(&data)
            .map_err(|source| Error::io("find the folder", &data, source))?;
        Ok(data.join("kernels").join(&self.name))
    }
}

/// Marks an entry as ours.
const IMPLEMENTATION: &str = "trialbook";

fn kernelspec(program: &Path) -> Result<JupyterKernelspec> {
    let Some(program) = program.to_str() else {
        return Err(Error::invalid(format!(
            "the path of this program, {program:?}, is not Unicode: Jupyter could not start it"
        ))
        .with_hint("move the program"));
    };
    let argv = [program, "kernel", "run", "--connection-file", "{connection_file}"];
    let metadata = [("debugger", json!(false)), ("implementation", IMPLEMENTATION.into())];
    Ok(JupyterKernelspec {
        argv: argv.map(str::to_owned).to_vec(),
        display_name: DISPLAY_NAME.to_owned(),
        language: "rust".to_owned(),
        metadata: Some(metadata.map(|(name, value)| (name.to_owned(), value)).into()),
        interrupt_mode: Some("message".to_owned()),
        env: Some(HashMap::new()),
    })
}

/// Jupyter's own rule for names.
fn entry_name(name: &str) -> Result<String, String> {
    let is_allowed = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
    if name.is_empty() || !name.chars().all(is_allowed) || name.starts_with('.') {
        return Err(
            "a name has letters, digits, '.', '_' and '-', and begins with none of '.'".into()
        );
    }
    Ok(name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use resvg::tiny_skia;

    use super::*;

    #[test]
    fn logos_are_pictures_of_their_size() {
        for pixels in LOGO_PIXELS {
            let png = plot::png(LOGO, pixels).unwrap();
            let picture = tiny_skia::Pixmap::decode_png(&png).unwrap();
            assert_eq!((picture.width(), picture.height()), (pixels, pixels));
            let centre = picture.pixel(pixels / 2, pixels / 4).unwrap();
            assert_ne!(centre.alpha(), 0, "the middle is drawn");
            assert_eq!(picture.pixel(0, 0).unwrap().alpha(), 0, "the corner is not");
        }
    }

    #[test]
    fn names_cannot_leave_the_folder_of_kernels() {
        assert_eq!(entry_name("Trialbook-2").unwrap(), "trialbook-2");
        for name in ["", "..", "a/b", "a\\b", "a b", "é"] {
            assert!(entry_name(name).is_err(), "{name:?}");
        }
    }
}
