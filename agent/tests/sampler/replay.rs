//! A libvirtd that answers from a recording.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CHEAP: &[u8] = include_bytes!("../data/cheap.xdr");
const DEAR: &[u8] = include_bytes!("../data/dear.xdr");
/// The dear groups' bit for disks.
const BLOCK: u8 = 32;

/// Serves `socket` as long as the test lives; returns the count of connections so far.
pub(crate) fn serve(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    connections
}

/// Answers calls until the client goes.
fn answer(mut stream: UnixStream) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut call = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut call).ok()?;
        let result: &[u8] = match u32::from_be_bytes(*call[8..].first_chunk().unwrap()) {
            // One way of authentication: none.
            66 => &[0, 0, 0, 1, 0, 0, 0, 0],
            // Versions, as eight bytes.
            4 | 157 => &[0, 0, 0, 0, 0, 0x89, 0x54, 0x40],
            // The groups stand before the flags.
            344 if call[call.len() - 5] & BLOCK != 0 => DEAR,
            344 => CHEAP,
            _ => &[],
        };
        let mut reply = u32::try_from(28 + result.len()).unwrap().to_be_bytes().to_vec();
        reply.extend_from_slice(&call[..24]);
        // The type of a reply.
        reply[4 + 15] = 1;
        reply.extend_from_slice(result);
        stream.write_all(&reply).ok()?;
    }
}
