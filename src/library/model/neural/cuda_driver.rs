//! Asks the NVIDIA driver which GPUs there are, before anything that would panic without one.
//! The library is loaded at run time: a build with CUDA starts on a machine that has none.
//!
//! cudarc, which Burn brings with CUDA, panics in place of an answer where a library is missing.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_char, c_int},
    ptr,
};

use libloading::Library;

use crate::error::{Error, ErrorKind, Result};

/// The kernels are compiled at run time by this library, so it has to be there as well.
const COMPILER: [&str; 3] = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];
const DRIVER: [&str; 2] = ["libcuda.so.1", "libcuda.so"];

/// The driver's library, which has started.
pub(crate) struct Driver(Library);

type Init = unsafe extern "C" fn(u32) -> c_int;
type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
type ByIndex = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
type TotalMemory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
type Message = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;

impl Driver {
    /// # Errors
    /// [`ErrorKind::Unavailable`] without a driver or compiler, or with a driver that does not
    /// start.
    pub(crate) fn load() -> Result<Self> {
        require(&COMPILER)?;
        Self::start(require(&DRIVER)?)
    }

    fn start(library: Library) -> Result<Self> {
        let driver = Self(library);
        // SAFETY: "cuInit" has had this signature since CUDA 2 (CUDA Driver API), and takes 0 only.
        let status = unsafe { driver.symbol::<Init>(b"cuInit\0")?(0) };
        driver.check(status)?;
        Ok(driver)
    }

    /// Number of GPUs that the driver shows to this process.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] with what the driver says.
    pub(crate) fn n_devices(&self) -> Result<usize> {
        let mut n_devices = 0;
        // SAFETY: the symbol has had this signature since CUDA 2, and the pointer is to a live
        // integer; the driver has started.
        let status = unsafe { self.symbol::<Count>(b"cuDeviceGetCount\0")?(&raw mut n_devices) };
        self.check(status)?;
        Ok(usize::try_from(n_devices).unwrap_or(0))
    }

    /// Bytes of memory that a GPU has, whoever uses them.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] with what the driver says.
    pub(crate) fn memory(&self, index: usize) -> Result<u64> {
        let (mut handle, mut n_bytes) = (0, 0);
        let index = c_int::try_from(index).unwrap_or(c_int::MAX);
        // SAFETY: the symbols have had these signatures since CUDA 3.2, each pointer is to a live
        // integer of the type that is written, and the handle is used only where one was given.
        unsafe {
            self.check(self.symbol::<ByIndex>(b"cuDeviceGet\0")?(&raw mut handle, index))?;
            let total = self.symbol::<TotalMemory>(b"cuDeviceTotalMem_v2\0")?;
            self.check(total(&raw mut n_bytes, handle))?;
        }
        Ok(n_bytes as u64)
    }

    /// # Safety
    /// `T` is the symbol's signature.
    unsafe fn symbol<T>(&self, name: &[u8]) -> Result<libloading::Symbol<'_, T>> {
        // SAFETY: the caller's promise.
        unsafe { self.0.get(name) }.map_err(|source| {
            unavailable("CUDA cannot be used: the driver is incomplete".into()).with_source(source)
        })
    }

    fn check(&self, status: c_int) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        let mut text: *const c_char = ptr::null();
        // SAFETY: the symbol has had this signature since CUDA 6; what it points to is a constant
        // of the library, or null for a status it does not know.
        let said = unsafe {
            match self.symbol::<Message>(b"cuGetErrorString\0") {
                Ok(message) if message(status, &raw mut text) == 0 && !text.is_null() => {
                    format!(" ({})", CStr::from_ptr(text).to_string_lossy())
                }
                _ => String::new(),
            }
        };
        Err(unavailable(format!(
            "CUDA cannot be used: the driver answered with error {status}{said}"
        )))
    }
}

fn unavailable(what: String) -> Error {
    Error::new(ErrorKind::Unavailable, what)
        .with_hint("install the NVIDIA driver and CUDA's libraries, or use --device cpu")
}

/// The first library of `names` that loads.
fn require(names: &[&str]) -> Result<Library> {
    let load = |name: &&str| {
        // SAFETY: NVIDIA's libraries may be loaded by any process; their initialisers need nothing.
        unsafe { Library::new(*name) }.ok()
    };
    let missing = || unavailable(format!("CUDA cannot be used: {} was not found", names[0]));
    names.iter().find_map(load).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub_library::StubLibrary;

    /// Stands in for the driver of a machine with two GPUs.
    const STUB: &str = r#"
        use std::ffi::{c_char, c_int};

        #[unsafe(no_mangle)]
        pub extern "C" fn cuInit(_flags: u32) -> c_int { 0 }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn cuDeviceGetCount(n_devices: *mut c_int) -> c_int {
            unsafe { *n_devices = 2 };
            0
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn cuDeviceGet(handle: *mut c_int, index: c_int) -> c_int {
            unsafe { *handle = index };
            if index < 2 { 0 } else { 101 }
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn cuDeviceTotalMem_v2(n_bytes: *mut usize, handle: c_int) -> c_int {
            unsafe { *n_bytes = (8 << 30) * (handle as usize + 1) };
            0
        }

        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn cuGetErrorString(status: c_int, text: *mut *const c_char) -> c_int {
            unsafe { *text = c"invalid device ordinal".as_ptr() };
            if status == 101 { 0 } else { 1 }
        }
    "#;

    #[test]
    fn the_driver_says_how_many_gpus_there_are_and_what_memory_each_has() {
        let stub = StubLibrary::compile(STUB);
        let driver = Driver::start(stub.load()).unwrap();
        assert_eq!(driver.n_devices().unwrap(), 2);
        assert_eq!(driver.memory(1).unwrap(), 16 << 30);
        let error = driver.memory(2).unwrap_err();
        assert!(error.to_string().contains("error 101 (invalid device ordinal)"), "{error}");
    }

    #[test]
    fn a_driver_that_does_not_start_or_is_incomplete_is_one_clear_error() {
        let check = |source: &str, expected: &str| {
            let stub = StubLibrary::compile(source);
            let error = Driver::start(stub.load()).and_then(|driver| driver.n_devices());
            let error = error.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.hint().is_some_and(|hint| hint.to_string().contains("--device cpu")));
        };
        check(&STUB.replace("u32) -> c_int { 0 }", "u32) -> c_int { 100 }"), "with error 100");
        check(&STUB.replace("cuDeviceGetCount", "another"), "the driver is incomplete");
    }

    #[test]
    fn without_a_driver_what_is_missing_is_named() {
        let error = require(&["libno-such-driver.so.1", "libno-such-driver.so"]).unwrap_err();
        assert!(error.to_string().contains("libno-such-driver.so.1 was not found"), "{error}");
        match Driver::load() {
            Ok(driver) => assert!(driver.n_devices().is_ok()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }
}
