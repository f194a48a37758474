//! ZIP archives whose checksums and lengths are right again after a change of what is stored in them.

use flate2::Crc;

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";

/// The archive with the checksums of its stored members as they have to be; as it came where there is no making sense
/// of it.
pub(crate) fn repaired(file: &[u8]) -> Vec<u8> {
    let mut repaired = file.to_vec();
    for at in starts(file, CENTRAL) {
        if let Some(checksum) = checksum_of(file, at) {
            repaired[at + 16..at + 20].copy_from_slice(&checksum);
            let local = u32_at(file, at + 42).unwrap_or_default();
            if let Some(place) = repaired.get_mut(local + 14..local + 18) {
                place.copy_from_slice(&checksum);
            }
        }
    }
    repaired
}

fn starts(file: &[u8], mark: &'static [u8; 4]) -> impl Iterator<Item = usize> {
    file.windows(4).enumerate().filter(move |(_, window)| window == mark).map(|(at, _)| at)
}

/// The checksum of a stored member, of which the entry in the directory stands there.
fn checksum_of(file: &[u8], entry: usize) -> Option<[u8; 4]> {
    let (method, size, local) = (u16_at(file, entry + 10)?, u32_at(file, entry + 20)?, u32_at(file, entry + 42)?);
    if method != 0 || file.get(local..local.checked_add(4)?)? != LOCAL {
        return None;
    }
    let start = local + 30 + u16_at(file, local + 26)? + u16_at(file, local + 28)?;
    let mut checksum = Crc::new();
    checksum.update(file.get(start..start.checked_add(size)?)?);
    file.get(entry..entry + 46)?;
    Some(checksum.sum().to_le_bytes())
}

fn u16_at(file: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(file.get(at..at.checked_add(2)?)?.try_into().ok()?).into())
}

fn u32_at(file: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(file.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}
