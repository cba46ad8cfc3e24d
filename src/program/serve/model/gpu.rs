//! The memory that the GPUs have in use, as NVIDIA's management library (NVML) tells it at
//! every scrape. The library is loaded at run time: where there is none, no series is shown.

use std::ffi::OsStr;

use nvml_wrapper::{Nvml, struct_wrappers::device::MemoryInfo};
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

        /// The file that the driver brings; a name without the number is there for developers alone.
        const LIBRARY: &str = "libnvidia-ml.so.1";

        let may_be_used = matches!(Device::to_predict(), Ok(Device::Auto | Device::Cuda(_)));
        if may_be_used { Self::of(load(LIBRARY.as_ref())?) } else { None }
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
        for (gpu_idx, memory) in memories(&self.nvml) {
            let gpu = gpu_idx.to_string();
            // With what the driver keeps for itself, which `memory.used` leaves out.
            let used = memory.total.saturating_sub(memory.free);
            for (series, n_bytes) in [(&self.used, used), (&self.total, memory.total)] {
                let n_bytes = i64::try_from(n_bytes).unwrap_or(i64::MAX);
                series.with_label_values(&[&gpu]).set(n_bytes);
            }
        }
        [self.used.collect(), self.total.collect()].concat()
    }
}

/// The library at `path`, once it has started.
fn load(path: &OsStr) -> Option<Nvml> {
    Nvml::builder().lib_path(path).init().ok()
}

/// The memory of each GPU that says so, by its index; none where the library has not what is asked for.
fn memories(nvml: &Nvml) -> impl Iterator<Item = (u32, MemoryInfo)> {
    let n_gpus = nvml.device_count().unwrap_or_default();
    (0..n_gpus).filter_map(|gpu_idx| {
        Some((gpu_idx, nvml.device_by_index(gpu_idx).ok()?.memory_info().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder as _, Registry, TextEncoder};

    use super::*;
    use crate::stub_library::StubLibrary;

    /// Stands in for NVML with three GPUs, of which the second does not answer.
    const STUB: &str = r#"
        use std::ffi::{c_int, c_uint};

        #[repr(C)]
        pub struct Memory { version: c_uint, total: u64, reserved: u64, free: u64, used: u64 }

        #[unsafe(no_mangle)]
        pub extern "C" fn nvmlInit_v2() -> c_int { 0 }

        #[unsafe(no_mangle)]
        pub extern "C" fn nvmlShutdown() -> c_int { 0 }

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
        pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(handle: usize, memory: *mut Memory) -> c_int {
            let memory = unsafe { &mut *memory };
            // The second version of a structure of this size.
            if memory.version != 2 << 24 | size_of::<Memory>() as c_uint { return 25 }
            let (total, reserved, used) = (80_000_000_000, 90, handle as u64 - 90);
            *memory = Memory { version: memory.version, total, reserved, free: total - reserved - used, used };
            0
        }
    "#;

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
            assert!(load(name.as_ref()).is_none(), "{name}");
        }
    }

    #[test]
    fn every_gpu_that_answers_has_its_series() {
        let stub = StubLibrary::compile(STUB);
        assert_eq!(
            series(load(stub.path().as_ref()).unwrap()),
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
        let stub = StubLibrary::compile(&STUB.replace("nvmlDeviceGetMemoryInfo_v2", "another"));
        assert!(series(load(stub.path().as_ref()).unwrap()).is_empty());
        let stub = StubLibrary::compile(
            &STUB.replace("nvmlInit_v2() -> c_int { 0 }", "nvmlInit_v2() -> c_int { 9 }"),
        );
        assert!(load(stub.path().as_ref()).is_none());
    }
}
