//! Asks wgpu which GPUs there are, before anything that would panic without one: Burn, when it starts a
//! device that is not there, panics in place of an answer.

use std::sync::OnceLock;

use burn::backend::wgpu::{
    WgpuDevice,
    graphics::{AutoGraphicsApi, GraphicsApi},
};
use futures_util::FutureExt;
use wgpu::{DeviceType, Instance, InstanceDescriptor};

/// A GPU that a driver shows to this process, or a driver that computes on the CPU.
#[derive(Debug)]
pub(crate) struct Adapter {
    /// The driver's name for it.
    pub(crate) name: String,
    /// Burn's name for it.
    pub(crate) device: WgpuDevice,
    /// True if its memory is the machine's.
    pub(crate) shares_memory: bool,
}

/// Every GPU that Burn can start, the ones with memory of their own first, drivers that compute on the
/// CPU last; a GPU's place is its index in `wgpu:N`. Drivers are asked until one shows a GPU.
pub(crate) fn adapters() -> &'static [Adapter] {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    if let Some(adapters) = ADAPTERS.get() {
        return adapters;
    }
    let found = enumerate();
    if found.is_empty() { &[] } else { ADAPTERS.get_or_init(|| found) }
}

fn enumerate() -> Vec<Adapter> {
    let backends = AutoGraphicsApi::backend().into();
    let instance = Instance::new(InstanceDescriptor {
        backends,
        ..InstanceDescriptor::new_without_display_handle()
    });
    // Only in a browser is there anything to wait for.
    let found = instance.enumerate_adapters(backends).now_or_never().unwrap_or_default();
    let found: Vec<(DeviceType, String)> = found
        .iter()
        .map(wgpu::Adapter::get_info)
        .map(|info| (info.device_type, info.name))
        .collect();
    named(&found)
}

/// The adapters in our order. Burn counts those of each type for themselves, and knows one CPU.
fn named(found: &[(DeviceType, String)]) -> Vec<Adapter> {
    let of_type = |wanted: DeviceType, device: fn(usize) -> WgpuDevice, most: usize| {
        let found = found.iter().filter(move |(device_type, _)| *device_type == wanted);
        found.take(most).enumerate().map(move |(index, (_, name))| Adapter {
            name: name.clone(),
            device: device(index),
            shares_memory: matches!(wanted, DeviceType::IntegratedGpu | DeviceType::Cpu),
        })
    };
    of_type(DeviceType::DiscreteGpu, WgpuDevice::DiscreteGpu, usize::MAX)
        .chain(of_type(DeviceType::IntegratedGpu, WgpuDevice::IntegratedGpu, usize::MAX))
        .chain(of_type(DeviceType::VirtualGpu, WgpuDevice::VirtualGpu, usize::MAX))
        .chain(of_type(DeviceType::Cpu, |_| WgpuDevice::Cpu, 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_with_memory_of_its_own_comes_first_and_each_type_is_counted_as_burn_counts_it() {
        let found = [
            (DeviceType::Cpu, "llvmpipe"),
            (DeviceType::IntegratedGpu, "Iris"),
            (DeviceType::DiscreteGpu, "Radeon"),
            (DeviceType::Cpu, "another"),
            (DeviceType::Other, "unknown"),
            (DeviceType::DiscreteGpu, "GeForce"),
        ];
        let found = found.map(|(device_type, name)| (device_type, name.to_owned()));
        let adapters = named(&found);
        let names: Vec<&str> = adapters.iter().map(|adapter| adapter.name.as_str()).collect();
        assert_eq!(names, ["Radeon", "GeForce", "Iris", "llvmpipe"]);
        let devices: Vec<WgpuDevice> =
            adapters.iter().map(|adapter| adapter.device.clone()).collect();
        let expected = [
            WgpuDevice::DiscreteGpu(0),
            WgpuDevice::DiscreteGpu(1),
            WgpuDevice::IntegratedGpu(0),
            WgpuDevice::Cpu,
        ];
        assert_eq!(devices, expected);
        let shares: Vec<bool> = adapters.iter().map(|adapter| adapter.shares_memory).collect();
        assert_eq!(shares, [false, false, true, true]);
    }

    #[test]
    fn no_gpu_is_an_empty_list() {
        assert!(named(&[]).is_empty());
    }
}
