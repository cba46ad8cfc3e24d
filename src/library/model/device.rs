//! The device that the user wants a model to compute on. Its meaning on a machine is found out by
//! the models that can choose.

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The device that the user asks for: `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu`, `wgpu:N`, or
/// `remote:ws://HOST:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Device {
    /// CUDA when built with it and present, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU with this index.
    Cuda(usize),
    /// The GPU of any make with this index, through Vulkan or Metal.
    Wgpu(usize),
    /// The device of another machine, which trains and does not predict.
    Remote(RemoteAddress),
}

/// The address of a server that lends its device: `ws://HOST:PORT`.
///
/// Each address is kept once for as long as the process lives: a process knows few, and devices stay
/// as cheap to copy as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress(&'static str);

impl RemoteAddress {
    const SCHEME: &str = "ws://";

    /// `HOST:PORT`.
    pub fn authority(self) -> &'static str {
        &self.0[Self::SCHEME.len()..]
    }
}

impl FromStr for RemoteAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let text = text.strip_suffix('/').unwrap_or(text);
        let authority = text.strip_prefix(Self::SCHEME).and_then(|rest| rest.rsplit_once(':'));
        let is_right = authority.is_some_and(|(host, port)| {
            let forbidden = |c: char| c.is_whitespace() || c.is_control() || "/@?#".contains(c);
            !host.is_empty()
                && !host.contains(forbidden)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !is_right {
            let error =
                Error::invalid(format!("remote device {text:?}: expected remote:ws://HOST:PORT"));
            return Err(error.with_hint(
                "encrypted connections (wss) are not spoken: over a network that others read, use a \
                 tunnel such as ssh -L 7070:127.0.0.1:7070 HOST",
            ));
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.get(text) {
            return Ok(Self(address));
        }
        let address: &'static str = Box::leak(text.into());
        known.insert(address);
        Ok(Self(address))
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Device {
    /// Names the device for everything that loads a model and is not told otherwise.
    pub const ENV: &str = "TRIALBOOK_DEVICE";

    /// True for a device that is asked for and is no CPU.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_) | Self::Wgpu(_))
    }

    /// The device that [`Device::ENV`] has predictions computed on: `auto` where it names none, and where
    /// it names a remote one, which trains and does nothing else.
    ///
    /// # Errors
    /// When it names no device.
    pub fn to_predict() -> Result<Self> {
        let named = Self::from_env()?;
        Ok(if matches!(named, Self::Remote(_)) { Self::Auto } else { named })
    }

    /// The device that [`Device::ENV`] asks for, or `auto`.
    ///
    /// # Errors
    /// When it names no device.
    pub fn from_env() -> Result<Self> {
        match std::env::var(Self::ENV) {
            Ok(text) if !text.is_empty() => {
                text.parse().map_err(|error: Error| error.with_context(Self::ENV))
            }
            _ => Ok(Self::Auto),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let gpu = || {
            let (api, index) = text.split_once(':').unwrap_or((text, "0"));
            let index = index.parse().ok()?;
            match api {
                "cuda" => Some(Self::Cuda(index)),
                "wgpu" => Some(Self::Wgpu(index)),
                _ => None,
            }
        };
        if let Some(address) = text.strip_prefix("remote:") {
            return address.parse().map(Self::Remote);
        }
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => gpu().ok_or_else(|| {
                Error::invalid(format!(
                    "unknown device {text:?}: expected auto, cpu, cuda, cuda:N, wgpu, wgpu:N or \
                     remote:ws://HOST:PORT"
                ))
            }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
            Self::Remote(address) => write!(f, "remote:{address}"),
        }
    }
}

impl From<Device> for String {
    fn from(device: Device) -> Self {
        device.to_string()
    }
}

impl TryFrom<String> for Device {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        match text.as_str() {
            // Two backends of Burn, by which runs of earlier builds may be continued.
            "flex" | "ndarray" => Ok(Self::Cpu),
            text => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_reads_back_as_it_is_written() {
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "wgpu:0", "wgpu:12", "remote:ws://gpu:7070"]
        {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
        assert_eq!("wgpu".parse::<Device>().unwrap(), Device::Wgpu(0));
        for text in
            ["", "gpu", "cuda:", "cuda:-1", "CPU", "flex", "wgpu:", "wgpu:x", "auto:0", "cpu:0"]
        {
            let error = text.parse::<Device>().unwrap_err();
            assert!(error.to_string().contains("expected auto, cpu"), "{error}");
        }
    }

    #[test]
    fn an_address_that_nobody_can_ask_is_refused() {
        for text in [
            "",
            "gpu:7070",
            "ws://gpu",
            "ws://:1",
            "ws://gpu:0",
            "ws://a@gpu:1",
            "wss://gpu:1",
            "ws://gpu:1/x",
        ] {
            let error = format!("remote:{text}").parse::<Device>().unwrap_err();
            assert!(error.to_string().contains("expected remote:ws://HOST:PORT"), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_run_that_named_a_backend_goes_on_on_the_cpu() {
        for text in ["\"flex\"", "\"ndarray\"", "\"cpu\""] {
            assert_eq!(serde_json::from_str::<Device>(text).unwrap(), Device::Cpu);
        }
    }
}
