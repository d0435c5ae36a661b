//! Any bytes, cut in any way, give the same events and the same refusal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ncgate::xml::{Event, Handler, Limits, Tokenizer, XmlError};

/// Events as text; neighbouring text is joined, since its pieces follow the cuts.
#[derive(Default, PartialEq, Debug)]
struct Log(Vec<String>, bool);

impl Handler for Log {
    type Error = XmlError;

    fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        let line = match event {
            Event::Start(start) => {
                let attributes: Vec<_> = start.attributes().collect();
                let declarations: Vec<_> = start.declarations().collect();
                let span = (start.offset(), start.end_offset(), start.self_closing());
                format!("{} {:?} {attributes:?} {declarations:?} {span:?}", start.name(), start.ns())
            }
            Event::End { start, offset } => format!("{start} {offset}"),
            Event::Comment(text) => text.to_owned(),
            Event::Text(text) => {
                assert!(!text.is_empty());
                if std::mem::replace(&mut self.1, true) {
                    let last = self.0.last_mut().expect("text came before");
                    last.push_str(text);
                } else {
                    self.0.push(text.to_owned());
                }
                return Ok(());
            }
        };
        self.1 = false;
        self.0.push(line);
        Ok(())
    }
}

fn read(data: &[u8], step: usize, strict: bool) -> (Log, Result<(), XmlError>) {
    let mut log = Log::default();
    let tokenizer = Tokenizer::new(Limits::default());
    let mut tokenizer = if strict { tokenizer.refuse_instructions() } else { tokenizer.lenient_prefixes() };
    let mut result = Ok(());
    for piece in data.chunks(step) {
        result = result.and_then(|()| tokenizer.push(piece, &mut log));
    }
    result = result.and_then(|()| tokenizer.finish(&mut log));
    (log, result)
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let strict = choice & 1 == 0;
    let whole = read(data, data.len().max(1), strict);
    assert_eq!(whole, read(data, 1, strict));
    assert_eq!(whole, read(data, usize::from(choice >> 1) + 1, strict));
});
