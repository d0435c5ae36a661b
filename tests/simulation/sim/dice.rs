//! Chance from a seed: what happens in a run, and everything that the operating system would be asked for.
//!
//! Tokio decides by chance which ready branch of a `select!` comes first, and in which order those who watch something are
//! woken; maps of the standard library are in an order of their own. All of them have their randomness from `getrandom`,
//! of which the standard library says that it may be replaced. So it is replaced here, in the process of one run.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

/// Not zero once a run has begun in this process.
static SEED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// From now on the operating system's randomness follows from this seed, in threads that have not asked for any.
pub fn fix_randomness(seed: u64) {
    SEED.store(mix(seed) | 1, Ordering::SeqCst);
}

unsafe extern "C" {
    fn syscall(number: i64, ...) -> i64;
}

/// The number of `getrandom` among the system calls of this machine.
const GETRANDOM: i64 = if cfg!(target_arch = "x86_64") { 318 } else { 278 };

/// Takes the place of the C library's function.
///
/// # Safety
/// `buffer` has room for `length` bytes, as with the original.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: u32) -> isize {
    let seed = SEED.load(Ordering::SeqCst);
    if seed == 0 {
        // SAFETY: the arguments are passed on as they came.
        let got = unsafe { syscall(GETRANDOM, buffer, length, flags) };
        return got as isize;
    }
    for place in 0..length {
        let drawn = DRAWN.get();
        DRAWN.set(drawn + 1);
        // SAFETY: `place` is below `length`, for which there is room.
        unsafe { buffer.cast::<u8>().add(place).write(mix(seed ^ mix(drawn)) as u8) };
    }
    length as isize
}

/// SplitMix64: well-spread bits from any number.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Chance of one part of a run: parts do not disturb each other.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64, part: &str) -> Self {
        let part = part.bytes().fold(0u64, |sum, byte| mix(sum ^ u64::from(byte)));
        Self(mix(seed) ^ part)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From `least` to `most`, both included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// So often out of a hundred times.
    pub fn percent(&mut self, often: u64) -> bool {
        self.between(0, 99) < often
    }

    pub fn of<T: Clone>(&mut self, some: &[T]) -> T {
        let index = self.next() % some.len() as u64;
        some[usize::try_from(index).expect("less than the length")].clone()
    }
}
