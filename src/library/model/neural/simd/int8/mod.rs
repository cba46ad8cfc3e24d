//! Products of weights and activations in 8 bits, summed exactly in 32.
//!
//! A weight is a byte with a sign and has its output's scale; an activation is a byte and has its token's
//! scale. Activations are stored 128 too high, without a sign, as the processors' instructions want one of
//! the factors; every sum then begins with -128 times its weights. Sums of whole numbers have no order, so
//! every instruction set has the same ones, to the last bit.

pub(crate) mod activations;
pub(crate) mod dense;
pub(crate) mod path;
mod portable;
mod tile;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
mod tests;
