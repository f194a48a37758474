//! What the processor has that the compiler may not take for granted and a person may ask about.
#![allow(unsafe_code)]

/// Whether it has instructions for products of bf16 that this crate uses: AMX or AVX512-BF16.
pub(crate) fn has_bf16() -> bool {
    bf16_instructions().is_some()
}

/// Whether it has `vdpbf16ps` on registers of 16 pairs.
pub(crate) fn has_avx512_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        has!("avx512f") && has!("avx512bw") && has!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether it has `tdpbf16ps` on tiles of 16 rows of 64 bytes, beside AVX512-BF16, and this process may use the tiles.
/// Linux gives them to those who ask for them; the first call asks, for all threads.
pub(crate) fn has_amx() -> bool {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    {
        static HAS_AMX: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *HAS_AMX.get_or_init(|| has_avx512_bf16() && amx::is_there() && amx::is_granted())
    }
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    false
}

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod amx {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// Bits of EDX of leaf 7: `tdpbf16ps`, and tiles.
    const AMX: u32 = 1 << 22 | 1 << 24;
    /// The bit of ECX of leaf 1 that says that XCR0 can be read.
    const OSXSAVE: u32 = 1 << 27;
    /// Bits of XCR0: the configuration of tiles and their data are kept when threads change.
    const TILES: u64 = 1 << 17 | 1 << 18;
    /// What Linux has to be asked for, and by what, since 5.16.
    const TILE_DATA: libc::c_ulong = 18;
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;

    /// Whether the processor has AMX and the system keeps it.
    pub(super) fn is_there() -> bool {
        #[target_feature(enable = "xsave")]
        fn kept() -> u64 {
            // SAFETY: the register 0 is always there where XCR0 can be read, which the caller looks at before.
            unsafe { _xgetbv(0) }
        }
        if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE == 0 || __cpuid_count(7, 0).edx & AMX != AMX {
            return false;
        }
        // SAFETY: a system that lets XCR0 be read has XSAVE.
        unsafe { kept() & TILES == TILES }
    }

    /// Asks for tiles. It is refused where the stack of a signal is too small for them.
    pub(super) fn is_granted() -> bool {
        // SAFETY: the call takes two numbers and changes nothing but what this process may use.
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
    }
}

/// The instructions for products of bf16 that `precision` can use on this processor, the fastest first; nothing where
/// it has none.
#[must_use]
pub fn bf16_instructions() -> Option<&'static str> {
    if has_amx() {
        Some("amx")
    } else if has_avx512_bf16() {
        Some("avx512-bf16")
    } else {
        None
    }
}

/// Whether `precision` `auto` takes bf16 on this processor: where it is known to make training faster. AMX does, by a
/// multiple. AMD's processors do as many `vdpbf16ps` a cycle as f32 instructions, each with twice the products; they
/// were measured on Zen 5. Intel's do half as many, by its tables.
#[must_use]
pub fn is_bf16_faster() -> bool {
    has_amx() || (has_avx512_bf16() && is_amd())
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
