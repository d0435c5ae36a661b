//! `clients rustnetconf|netconf-async PORT` measures that library against the server of `cargo bench --bench gateway`,
//! as it is told on standard input.

#[path = "../../../gateway/side.rs"]
mod side;
#[path = "../../../gateway/stack.rs"]
mod stack;

mod netconf_async_side;
mod rustnetconf_side;

use side::Fault;

const USER: &str = "bench";
const PASSWORD: &str = "bench";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [name, port] = &words[..] else {
        return Err("usage: clients rustnetconf|netconf-async PORT".into());
    };
    let port = port.parse()?;
    match name.as_str() {
        "rustnetconf" => side::obey(&rustnetconf_side::Library { port }).await,
        "netconf-async" => side::obey(&netconf_async_side::Library { port }).await,
        _ => Err(format!("no library is called {name}").into()),
    }
}
