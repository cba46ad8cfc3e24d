//! The device of this machine that a [`Device`] the user asked for means.

use std::fmt;

use burn::DispatchDevice;

use super::host_memory;
use crate::{
    error::{Error, Result},
    model::Device,
};

impl Device {
    /// The device that this means on this machine.
    ///
    /// # Errors
    /// CUDA or wgpu that this program was built without, or whose driver or GPU is not there.
    pub fn resolve(self) -> Result<Resolved> {
        match self {
            Self::Cpu => Ok(Resolved::cpu()),
            Self::Cuda(index) => cuda::resolve(index),
            Self::Wgpu(index) => wgpu::resolve(index),
            Self::Remote(_) => Err(Error::invalid(format!(
                "{self} trains and does nothing else: it is no device of this machine"
            ))
            .with_hint("use --device auto, cpu, cuda:N or wgpu:N")),
            Self::Auto => Ok(cuda::resolve(0).unwrap_or_else(|_| Resolved::cpu())),
        }
    }
}

/// A device that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    device: Device,
    burn: DispatchDevice,
}

impl Resolved {
    fn cpu() -> Self {
        Self { device: Device::Cpu, burn: DispatchDevice::Flex(burn::backend::flex::FlexDevice) }
    }

    /// Its word: `cpu`, `cuda:N` or `wgpu:N`.
    pub fn device(&self) -> Device {
        self.device
    }

    /// True if it computes in this machine's memory.
    pub fn is_cpu(&self) -> bool {
        !self.device.is_gpu()
    }

    /// Bytes that a computation may need at most, where the system says: on the CPU, and on a GPU that
    /// shares its memory, what the machine can still give this process; on an NVIDIA GPU all that it
    /// has, since what of it is in use may be this process's own from before.
    pub fn memory(&self) -> Option<u64> {
        match self.device {
            Device::Cuda(index) => cuda::memory(index),
            Device::Wgpu(index) => wgpu::memory(index),
            _ => host_memory::available(),
        }
    }

    pub(crate) fn burn(&self) -> &DispatchDevice {
        &self.burn
    }

    /// The same device, recording gradients.
    pub(crate) fn training(&self) -> DispatchDevice {
        DispatchDevice::autodiff(self.burn.clone())
    }
}

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.device.fmt(f)
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use burn::{DispatchDevice, backend::cuda::CudaDevice};

    use super::{Device, Resolved};
    use crate::{
        error::{Error, ErrorKind, Result},
        model::neural::cuda_driver::Driver,
    };

    pub(super) fn resolve(index: usize) -> Result<Resolved> {
        let n_devices = Driver::load()?.n_devices()?;
        if index >= n_devices {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("cuda:{index} does not exist: the driver sees {n_devices} GPUs"),
            )
            .with_hint("the first GPU is cuda:0; without a GPU use --device cpu"));
        }
        Ok(Resolved {
            device: Device::Cuda(index),
            burn: DispatchDevice::Cuda(CudaDevice::new(index)),
        })
    }

    pub(super) fn memory(index: usize) -> Option<u64> {
        Driver::load().and_then(|driver| driver.memory(index)).ok()
    }
}

#[cfg(not(feature = "cuda"))]
mod cuda {
    use super::Resolved;
    use crate::error::{Error, ErrorKind, Result};

    pub(super) fn resolve(index: usize) -> Result<Resolved> {
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("cuda:{index} cannot be used: this program was built without CUDA"),
        )
        .with_hint("build with `cargo build --release --features cuda`, or use --device cpu"))
    }

    pub(super) fn memory(_index: usize) -> Option<u64> {
        None
    }
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use burn::DispatchDevice;

    use super::{Device, Resolved, host_memory};
    use crate::{
        error::{Error, ErrorKind, Result},
        model::neural::wgpu_adapters::{Adapter, adapters},
    };

    pub(super) fn resolve(index: usize) -> Result<Resolved> {
        let adapters = adapters();
        let Some(adapter) = adapters.get(index) else { return Err(missing(index, adapters)) };
        Ok(Resolved {
            device: Device::Wgpu(index),
            burn: DispatchDevice::Wgpu(adapter.device.clone()),
        })
    }

    pub(super) fn memory(index: usize) -> Option<u64> {
        let shares = adapters().get(index).is_some_and(|adapter| adapter.shares_memory);
        if shares { host_memory::available() } else { None }
    }

    fn missing(index: usize, adapters: &[Adapter]) -> Error {
        let api = if cfg!(target_os = "macos") { "Metal" } else { "Vulkan" };
        let found = adapters.iter().enumerate();
        let found: Vec<String> =
            found.map(|(index, adapter)| format!("wgpu:{index} {}", adapter.name)).collect();
        let error = |what: String| Error::new(ErrorKind::Unavailable, what);
        if found.is_empty() {
            return error(format!("wgpu:{index} cannot be used: {api} shows no GPU")).with_hint(
                "install the GPU's driver (on Debian that of Mesa is mesa-vulkan-drivers, which also \
                 has one for the CPU), or use --device cpu",
            );
        }
        error(format!("wgpu:{index} does not exist: {api} shows {}", found.join(", ")))
            .with_hint("use one of these; without a GPU use --device cpu")
    }
}

#[cfg(not(feature = "wgpu"))]
mod wgpu {
    use super::Resolved;
    use crate::error::{Error, ErrorKind, Result};

    pub(super) fn resolve(index: usize) -> Result<Resolved> {
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("wgpu:{index} cannot be used: this program was built without wgpu"),
        )
        .with_hint("build with `cargo build --release --features wgpu`, or use --device cpu"))
    }

    pub(super) fn memory(_index: usize) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        let cpu = Device::Cpu.resolve().unwrap();
        assert!(cpu.is_cpu());
        assert_eq!(cpu.to_string(), "cpu");
    }

    #[test]
    fn a_gpu_that_is_not_there_is_one_clear_error() {
        for (device, name) in [(Device::Cuda(97), "cuda"), (Device::Wgpu(97), "wgpu:97 ")] {
            let error = device.resolve().unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.to_string().contains("--device cpu")));
        }
    }
}
