//! The device that the user wants a model to compute on. Its meaning on a machine is found out by
//! the models that can choose.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The device that the user asks for: `auto`, `cpu`, `cuda`, `cuda:N`, `wgpu` or `wgpu:N`.
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
}

impl Device {
    /// Names the device for everything that loads a model and is not told otherwise.
    pub const ENV: &str = "TRIALBOOK_DEVICE";

    /// True for a device that is asked for and is no CPU.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_) | Self::Wgpu(_))
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
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => gpu().ok_or_else(|| {
                Error::invalid(format!(
                    "unknown device {text:?}: expected auto, cpu, cuda, cuda:N, wgpu or wgpu:N"
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
        for text in ["auto", "cpu", "cuda:0", "cuda:3", "wgpu:0", "wgpu:12"] {
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
    fn a_run_that_named_a_backend_goes_on_on_the_cpu() {
        for text in ["\"flex\"", "\"ndarray\"", "\"cpu\""] {
            assert_eq!(serde_json::from_str::<Device>(text).unwrap(), Device::Cpu);
        }
    }
}
