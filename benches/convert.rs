//! How fast a large reply becomes JSON, beside the bare scan of `quick-xml` over the same bytes.
//!
//! `cargo bench --no-default-features --bench convert -- [megabytes] [file.xml]` prints, for each step, the best of
//! several rounds and its ratio to the buffered scan. All steps take turns in one run, so that a busy machine slows
//! all alike. The reply is written to the file, if one is named, for others to be measured with.
//! Marks: the second pass at least 0.45, both passes at least 0.25, peak heap a small constant.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::io::BufReader;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ncgate::json::{Converter, Index, Indexer, Mapping, Options, Selection};
use ncgate::xml::{Event, Handler, Limits, Source, XmlError, parse_source};

/// Counts what is allocated, to tell the peak of a step.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROUNDS: usize = 7;

fn main() {
    // Cargo adds arguments of its own, such as `--bench`.
    let megabytes = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(20);
    let reply = reply(megabytes << 20);
    if let Some(path) = std::env::args().find(|argument| argument.ends_with(".xml"))
        && let Err(error) = std::fs::write(&path, &reply)
    {
        panic!("{path}: {error}");
    }
    let source = Source::Memory(Bytes::from(reply));
    let index = index(&source);
    let steps: [(&str, &dyn Fn()); 7] = [
        ("quick-xml, buffered scan", &|| scan_buffered(&source)),
        ("quick-xml, scan in place", &|| scan_in_place(&source)),
        ("tokenizer, no handler", &|| tokenize(&source)),
        ("first pass", &|| drop(black_box(crate::index(&source)))),
        ("second pass", &|| {
            convert(&source, &index, Options::api_default())
        }),
        ("second pass, device's form", &|| {
            convert(
                &source,
                &index,
                Options {
                    mapping: Mapping::Junos,
                    ..Options::api_default()
                },
            )
        }),
        ("both passes", &|| {
            convert(&source, &crate::index(&source), Options::api_default())
        }),
    ];
    let mut best = [Duration::MAX; 7];
    let mut peak = [0; 7];
    for _ in 0..ROUNDS {
        for (number, (_, step)) in steps.iter().enumerate() {
            let before = LIVE.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let start = Instant::now();
            step();
            best[number] = best[number].min(start.elapsed());
            peak[number] = PEAK.load(Ordering::Relaxed) - before;
        }
    }
    let size = source.len() as f64 / 1e6;
    println!("{size:.1} MB of interface-information, best of {ROUNDS} rounds");
    println!("{:<28} {:>8} {:>7} {:>12}", "step", "MB/s", "ratio", "peak KiB");
    for (number, (name, _)) in steps.iter().enumerate() {
        let ratio = best[0].as_secs_f64() / best[number].as_secs_f64();
        let speed = size / best[number].as_secs_f64();
        println!(
            "{name:<28} {speed:>8.0} {ratio:>7.2} {:>12.0}",
            peak[number] as f64 / 1024.0
        );
    }
}

fn scan_buffered(source: &Source) {
    let bytes = source.as_memory().map(|bytes| &bytes[..]).unwrap_or_default();
    let mut reader = quick_xml::Reader::from_reader(BufReader::new(bytes));
    let mut buffer = Vec::new();
    let mut events = 0u64;
    loop {
        match reader.read_event_into(&mut buffer) {
            Ok(quick_xml::events::Event::Eof) => break,
            Ok(event) => drop(black_box(event)),
            Err(error) => panic!("{error}"),
        }
        events += 1;
        buffer.clear();
    }
    black_box(events);
}

fn scan_in_place(source: &Source) {
    let bytes = source.as_memory().map(|bytes| &bytes[..]).unwrap_or_default();
    let mut reader = quick_xml::Reader::from_reader(bytes);
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => break,
            Ok(event) => drop(black_box(event)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn tokenize(source: &Source) {
    struct Nothing;
    impl Handler for Nothing {
        type Error = XmlError;
        fn event(&mut self, event: Event<'_>) -> Result<(), XmlError> {
            black_box(event);
            Ok(())
        }
    }
    if let Err(error) = parse_source(source, Limits::default(), &mut Nothing) {
        panic!("{error}");
    }
}

fn index(source: &Source) -> Index {
    let mut indexer = Indexer::new(Selection::ReplyPayload);
    if let Err(error) = parse_source(source, Limits::default(), &mut indexer) {
        panic!("{error}");
    }
    indexer.finish()
}

fn convert(source: &Source, index: &Index, options: Options) {
    let mut converter = Converter::new(source.clone(), index.clone(), options);
    let mut slice = Vec::new();
    loop {
        match converter.fill(&mut slice) {
            Ok(true) => {
                black_box(&slice);
                slice.clear();
            }
            Ok(false) => break,
            Err(error) => panic!("{error}"),
        }
    }
}

/// A reply like that to `get-interface-information`, of about this many bytes.
fn reply(bytes: usize) -> Vec<u8> {
    let mut out = String::with_capacity(bytes + 4096);
    out.push_str(
        "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" \
         xmlns:junos=\"http://xml.juniper.net/junos/24.4R1/junos\" message-id=\"1\">\n\
         <interface-information xmlns=\"http://xml.juniper.net/junos/24.4R1/junos-interface\" \
         junos:style=\"normal\">\n",
    );
    let mut number = 0;
    while out.len() < bytes {
        interface(number, &mut out);
        number += 1;
    }
    out.push_str("</interface-information>\n</rpc-reply>\n");
    out.into_bytes()
}

fn interface(number: usize, out: &mut String) {
    let name = format!("xe-{}/{}/{}", number / 400, number / 40 % 10, number % 40);
    out.push_str("<physical-interface>\n");
    let mut leaf = |name: &str, attribute: &str, text: &str| {
        out.push_str(&format!("<{name}{attribute}>{text}</{name}>\n"));
    };
    leaf("name", "", &format!("\n{name}\n"));
    leaf("admin-status", " junos:format=\"Enabled\"", "\nup\n");
    leaf("oper-status", "", "\nup\n");
    leaf("local-index", "", &number.to_string());
    leaf("snmp-index", "", &(500 + number).to_string());
    leaf("description", "", "uplink to core &amp; edge, bundle member");
    for (name, text) in [
        ("link-level-type", "Ethernet"),
        ("mtu", "1514"),
        ("sonet-mode", "LAN-PHY"),
        ("speed", "10Gbps"),
        ("bpdu-error", "none"),
        ("loopback", "disabled"),
        ("source-filtering", "disabled"),
        ("if-flow-control", "enabled"),
        ("pad-to-minimum-frame-size", "Disabled"),
    ] {
        leaf(name, "", text);
    }
    out.push_str("<if-device-flags>\n<ifdf-present/>\n<ifdf-running/>\n</if-device-flags>\n");
    out.push_str(
        "<if-config-flags>\n<iff-snmp-traps/>\n<internal-flags>0x4000</internal-flags>\n</if-config-flags>\n",
    );
    out.push_str(&format!(
        "<current-physical-address>00:05:86:71:{:02x}:{:02x}</current-physical-address>\n",
        number / 256 % 256,
        number % 256
    ));
    out.push_str("<interface-flapped junos:seconds=\"5102\">2026-01-02 09:31:02 UTC (01:25:02 ago)</interface-flapped>\n");
    out.push_str(&format!(
        "<traffic-statistics junos:style=\"brief\">\n<input-bps>{}</input-bps>\n<input-pps>0</input-pps>\n\
         <output-bps>{}</output-bps>\n<output-pps>0</output-pps>\n</traffic-statistics>\n",
        number * 1000,
        number * 77
    ));
    for unit in 0..2 {
        out.push_str(&format!(
            "<logical-interface>\n<name>{name}.{unit}</name>\n<local-index>{number}</local-index>\n\
             <if-config-flags>\n<iff-up/>\n<iff-snmp-traps/>\n</if-config-flags>\n<encapsulation>ENET2</encapsulation>\n\
             <address-family>\n<address-family-name>inet</address-family-name>\n<mtu>1500</mtu>\n\
             <interface-address>\n<ifa-flags>\n<ifaf-current-preferred/>\n</ifa-flags>\n\
             <ifa-local>10.{}.{}.{unit}</ifa-local>\n</interface-address>\n</address-family>\n</logical-interface>\n",
            number / 256 % 256,
            number % 256
        ));
    }
    out.push_str("</physical-interface>\n");
}
