//! What the processor has that the compiler may not take for granted and a person may ask about.

/// Whether it has instructions for products of bf16 that this crate uses: AVX512-BF16.
pub(crate) fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether those are known to make training faster. AMD's do as many bf16 instructions a cycle as f32 ones, each with twice the
/// products; they were measured on Zen 5. Intel's do half as many, by its tables, and were not measured.
pub(crate) fn is_bf16_faster() -> bool {
    has_bf16() && is_amd()
}

fn is_amd() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // The name of the maker, four letters a register.
        let maker = std::arch::x86_64::__cpuid(0);
        [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
