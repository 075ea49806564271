//! What has to be said to the compiler so that the verifier of the kernel can follow.
//!
//! On the host all of it does nothing.

/// Keeps the pointer that is checked and the pointer that is used in one register.
///
/// LLVM would otherwise be free to check one copy and load through another,
/// which the verifier refuses as an access outside the packet.
#[inline(always)]
pub(crate) fn pin_register(pointer: *mut u8) -> *mut u8 {
    #[cfg(target_arch = "bpf")]
    {
        let mut pointer = pointer;
        // A move to itself and not a comment: of two lines of source that begin
        // at one instruction the kernel refuses the debug information.
        #[expect(
            clippy::pointers_in_nomem_asm_block,
            reason = "the pointer is moved, and nothing behind it touched"
        )]
        // SAFETY: the instruction leaves the register as it is.
        unsafe {
            core::arch::asm!("{0} = {0}", inout(reg) pointer, options(pure, nomem, nostack));
        }
        pointer
    }
    #[cfg(not(target_arch = "bpf"))]
    pointer
}

/// Keeps a difference a number of its own.
///
/// LLVM would otherwise add the parts of it to a pointer one by one, and the verifier does not
/// see that a pointer is back within the packet after it was moved before its beginning.
#[inline(always)]
pub fn pin(number: usize) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let mut number = number;
        // SAFETY: the instruction leaves the register as it is.
        unsafe {
            core::arch::asm!("{0} = {0}", inout(reg) number, options(pure, nomem, nostack));
        }
        number
    }
    #[cfg(not(target_arch = "bpf"))]
    number
}

/// The number, of which the verifier does not know any more than of `unknown` how it came about.
///
/// The verifier walks the rest of the program anew for every value that it can tell from those
/// before; so what many ways lead to is blurred before they meet.
#[inline(always)]
pub fn blur(number: u32, unknown: u32) -> u32 {
    #[cfg(target_arch = "bpf")]
    {
        let mut wide = u64::from(number);
        // SAFETY: a number that is added and subtracted again leaves the register as it was.
        unsafe {
            core::arch::asm!(
                "{0} += {1}",
                "{0} -= {1}",
                inout(reg) wide,
                in(reg) u64::from(unknown),
                options(pure, nomem, nostack),
            );
        }
        wide as u32
    }
    #[cfg(not(target_arch = "bpf"))]
    {
        let _ = unknown;
        number
    }
}

/// Has the compiler read anew what it read before, as if something had written to all memory.
#[inline(always)]
pub fn reread() {
    #[cfg(target_arch = "bpf")]
    // SAFETY: there is no instruction in it.
    unsafe {
        core::arch::asm!("", options(nostack, preserves_flags));
    }
}
