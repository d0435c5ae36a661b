//! A server's hello, behind anything: the same outcome however the stream is cut, and nothing panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncgate::netconf::hello::{HelloError, HelloReader, ServerHello, client_hello};

/// What becomes of `stream`, read in pieces of `step` bytes.
fn read(stream: &[u8], step: usize, terminal: bool) -> Result<ServerHello, HelloError> {
    let mut reader = match client_hello() {
        Ok(ours) if terminal => HelloReader::with_echo(&ours),
        _ => HelloReader::new(),
    };
    for mut piece in stream.chunks(step) {
        if let Some(hello) = reader.push(&mut piece)? {
            assert!((1..=u64::from(u32::MAX)).contains(&hello.session_id));
            return Ok(hello);
        }
        assert!(piece.is_empty());
    }
    Err(reader.finish())
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, stream)) = data.split_first() else { return };
    let terminal = choice & 1 != 0;
    let whole = read(stream, stream.len().max(1), terminal);
    let pieces = read(stream, usize::from(choice >> 1) + 1, terminal);
    assert_eq!(whole.is_ok(), pieces.is_ok());
    if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces);
    }
    if let Ok(text) = std::str::from_utf8(stream) {
        let _ = ServerHello::parse(text);
    }
});
