//! Asks the NVIDIA driver how many GPUs there are, before anything that would panic without one.
//! The library is loaded at run time: a build with CUDA starts on a machine that has none.
#![allow(unsafe_code)]

use std::ffi::c_int;

use crate::error::{Error, ErrorKind, Result};

/// Number of GPUs that the driver sees.
///
/// # Errors
/// [`ErrorKind::Unavailable`] without a driver, or with one that does not start.
pub(crate) fn n_devices() -> Result<usize> {
    let unavailable = |what: String| {
        Error::new(ErrorKind::Unavailable, what)
            .with_hint("install the NVIDIA driver and CUDA's libraries, or use --device cpu")
    };
    // The kernels are compiled at run time, so that library has to be there as well.
    require(&["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"])
        .map_err(|name| unavailable(format!("CUDA cannot be used: {name} was not found")))?;
    let names = ["libcuda.so.1", "libcuda.so"];
    let driver = require(&names)
        .map_err(|name| unavailable(format!("CUDA cannot be used: {name} was not found")))?;
    // SAFETY: the two symbols have had these signatures since CUDA 2 (CUDA Driver API, "cuInit" and
    // "cuDeviceGetCount"); the pointer given is to a live integer; the library outlives the calls.
    let (status, n_devices) = unsafe {
        type Init = unsafe extern "C" fn(u32) -> c_int;
        type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
        let symbols = driver
            .get::<Init>(b"cuInit\0")
            .and_then(|init| Ok((init, driver.get::<Count>(b"cuDeviceGetCount\0")?)));
        let (init, count) = symbols.map_err(|source| {
            unavailable("CUDA cannot be used: the driver is incomplete".into()).with_source(source)
        })?;
        let mut n_devices = 0;
        let mut status = init(0);
        if status == 0 {
            status = count(&mut n_devices);
        }
        (status, n_devices)
    };
    if status != 0 {
        return Err(unavailable(format!(
            "CUDA cannot be used: the driver answered with error {status}"
        )));
    }
    Ok(usize::try_from(n_devices).unwrap_or(0))
}

/// The first library of `names` that loads, or the first name.
fn require<'a>(names: &[&'a str]) -> Result<libloading::Library, &'a str> {
    let load = |name: &&str| {
        // SAFETY: NVIDIA's libraries may be loaded by any process; their initialisers need nothing.
        unsafe { libloading::Library::new(*name) }.ok()
    };
    names.iter().find_map(load).ok_or(names[0])
}
