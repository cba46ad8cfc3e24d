//! Our own arithmetic on the CPU, for what a tensor library's operations are too slow for: products,
//! activations and norms on blocks of 32 columns side by side, a token or a text each.
//!
//! A vector register holds one feature of many columns. A weight is then one number for a whole
//! register, a sum over features needs no sum across a register, and no product needs its operands
//! rearranged. Every number is computed by the same operations in the same order whatever lies in
//! the columns beside it.
//!
//! Burn and ONNX Runtime have such operations; they are slower (`just bench distilbert`) and pad every
//! text to the longest of its batch.

pub(crate) mod blocks;
pub(crate) mod dense;
pub(crate) mod derivative;
pub(crate) mod int8;
pub(crate) mod math;
pub(crate) mod packed;
pub(crate) mod rows;
pub(crate) mod tile;
pub(crate) mod turned;
pub(crate) mod vector;

/// Every instruction set this processor has, and plain arithmetic.
#[cfg(test)]
pub(crate) fn archs() -> Vec<pulp::Arch> {
    use pulp::Arch;

    let mut archs = vec![Arch::Scalar, Arch::new()];
    #[cfg(target_arch = "x86_64")]
    archs.extend(pulp::x86::V3::try_new().map(Arch::V3));
    archs
}
