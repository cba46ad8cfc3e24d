//! How much of their memory the GPUs have in use, as NVIDIA's management library (NVML) tells it at
//! every scrape. The library is loaded at run time: where there is none, no series is shown.
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_uint, c_void},
    ptr,
};

use libloading::Library;
use prometheus::{
    IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// The series of all GPUs, each with the index that `nvidia-smi` gives it.
pub(super) struct GpuCollector {
    nvml: Nvml,
    used: IntGaugeVec,
    total: IntGaugeVec,
}

impl GpuCollector {
    /// None where models are told to keep to the CPU, and where there is no driver.
    #[cfg(feature = "cuda")]
    pub(super) fn load() -> Option<Self> {
        use trialbook::model::Device;

        /// What the driver brings.
        const LIBRARY: &str = "libnvidia-ml.so.1";

        let may_be_used = matches!(Device::from_env(), Ok(Device::Auto | Device::Cuda(_)));
        if may_be_used { Self::of(Nvml::load(LIBRARY)?) } else { None }
    }

    fn of(nvml: Nvml) -> Option<Self> {
        let gauge = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), &["gpu"]).ok();
        let used =
            gauge("server_gpu_memory_used_bytes", "Used memory of a GPU, by all processes.")?;
        let total = gauge("server_gpu_memory_total_bytes", "Total memory of a GPU.")?;
        Some(Self { nvml, used, total })
    }
}

impl Collector for GpuCollector {
    fn desc(&self) -> Vec<&Desc> {
        [self.used.desc(), self.total.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (gpu_idx, memory) in self.nvml.memories() {
            let gpu = gpu_idx.to_string();
            for (series, n_bytes) in [(&self.used, memory.used), (&self.total, memory.total)] {
                let n_bytes = i64::try_from(n_bytes).unwrap_or(i64::MAX);
                series.with_label_values(&[&gpu]).set(n_bytes);
            }
        }
        [self.used.collect(), self.total.collect()].concat()
    }
}

/// The library, which has started.
struct Nvml(Library);

/// `nvmlMemory_t`, in bytes.
#[repr(C)]
#[derive(Default)]
struct Memory {
    total: u64,
    free: u64,
    used: u64,
}

/// `nvmlDevice_t`
type Handle = *mut c_void;
type Init = unsafe extern "C" fn() -> c_int;
type Count = unsafe extern "C" fn(*mut c_uint) -> c_int;
type ByIndex = unsafe extern "C" fn(c_uint, *mut Handle) -> c_int;
type MemoryInfo = unsafe extern "C" fn(Handle, *mut Memory) -> c_int;

/// `NVML_SUCCESS`
const SUCCESS: c_int = 0;

impl Nvml {
    fn load(name: &str) -> Option<Self> {
        // SAFETY: NVIDIA's libraries may be loaded by any process; their initialisers need nothing.
        // The symbol has this signature in every driver (NVML API Reference, "Initialization and
        // Cleanup").
        unsafe {
            let library = Library::new(name).ok()?;
            let status = library.get::<Init>(b"nvmlInit_v2\0").ok()?();
            (status == SUCCESS).then_some(Self(library))
        }
    }

    /// The memory of each GPU that says so, by its index.
    fn memories(&self) -> Vec<(c_uint, Memory)> {
        self.ask().unwrap_or_default()
    }

    /// None where the library has not what is asked for.
    fn ask(&self) -> Option<Vec<(c_uint, Memory)>> {
        // SAFETY: the symbols have had these signatures since NVML 5 (NVML API Reference, "Device
        // Queries"), and the library has started; each pointer is to a live value of the type that is
        // written, and a handle is used only where one was given.
        unsafe {
            let count = self.0.get::<Count>(b"nvmlDeviceGetCount_v2\0").ok()?;
            let by_index = self.0.get::<ByIndex>(b"nvmlDeviceGetHandleByIndex_v2\0").ok()?;
            let memory_info = self.0.get::<MemoryInfo>(b"nvmlDeviceGetMemoryInfo\0").ok()?;
            let mut n_gpus = 0;
            if count(&mut n_gpus) != SUCCESS {
                return None;
            }
            let memory = |gpu_idx| {
                let (mut handle, mut memory) = (ptr::null_mut(), Memory::default());
                let is_known = by_index(gpu_idx, &mut handle) == SUCCESS
                    && memory_info(handle, &mut memory) == SUCCESS;
                is_known.then_some((gpu_idx, memory))
            };
            Some((0..n_gpus).filter_map(memory).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, Registry, TextEncoder};

    use super::*;
    use crate::stub_library::StubLibrary;

    /// Stands in for NVML with three GPUs, of which the second does not answer.
    const STUB: &str = r#"
        use std::ffi::{c_int, c_uint};

        #[unsafe(no_mangle)]
        pub extern "C" fn nvmlInit_v2() -> c_int { 0 }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn nvmlDeviceGetCount_v2(n_gpus: *mut c_uint) -> c_int {
            unsafe { *n_gpus = 3 };
            0
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(gpu: c_uint, handle: *mut usize) -> c_int {
            unsafe { *handle = 100 + gpu as usize };
            if gpu == 1 { 15 } else { 0 }
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo(handle: usize, memory: *mut [u64; 3]) -> c_int {
            let used = handle as u64;
            unsafe { *memory = [80_000_000_000, 80_000_000_000 - used, used] };
            0
        }
    "#;

    fn load(stub: &StubLibrary) -> Option<Nvml> {
        Nvml::load(stub.path().to_str().unwrap())
    }

    fn series(nvml: Nvml) -> Vec<String> {
        let registry = Registry::new();
        registry.register(Box::new(GpuCollector::of(nvml).unwrap())).unwrap();
        let mut text = Vec::new();
        TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
        let lines = String::from_utf8(text).unwrap();
        lines.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn a_library_that_is_not_there_or_is_another_tells_nothing() {
        for name in ["libno-such-library.so.1", "libc.so.6"] {
            assert!(Nvml::load(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_gpu_that_answers_has_its_series() {
        let stub = StubLibrary::compile(STUB);
        assert_eq!(
            series(load(&stub).unwrap()),
            [
                r#"server_gpu_memory_total_bytes{gpu="0"} 80000000000"#,
                r#"server_gpu_memory_total_bytes{gpu="2"} 80000000000"#,
                r#"server_gpu_memory_used_bytes{gpu="0"} 100"#,
                r#"server_gpu_memory_used_bytes{gpu="2"} 102"#,
            ]
        );
    }

    #[test]
    fn a_library_that_fails_or_has_not_all_of_it_shows_no_gpu() {
        let stub = StubLibrary::compile(&STUB.replace("nvmlDeviceGetMemoryInfo", "another"));
        assert!(series(load(&stub).unwrap()).is_empty());
        let stub = StubLibrary::compile(&STUB.replace("-> c_int { 0 }", "-> c_int { 9 }"));
        assert!(load(&stub).is_none());
    }
}
