//! The gateway with two emulated devices, to try it out and for tests: nothing is kept.

use std::net::SocketAddr;

use super::{AppError, Running, finish, wait_for_signal};
use crate::cli::stdio;
use crate::config::Config;
use crate::emulator::{self, RunningEmulator};
use crate::service::call::{CallContext, Principal};

/// The login of the emulated devices.
const DEMO_USER: &str = "admin";
const DEMO_PASSWORD: &str = "admin123";

/// Runs the gateway with two emulated devices until SIGTERM or SIGINT.
///
/// # Errors
/// [`AppError`].
pub async fn run(config: &Config) -> Result<(), AppError> {
    let demo = Demo::start(config).await?;
    // Without the commands to paste there is nothing to try out.
    let told = stdio::print(welcome(demo.running.address()).as_bytes()).map_err(AppError::Output);
    if told.is_ok() {
        wait_for_signal().await?;
    }
    let Demo { running, devices } = demo;
    finish(running).await?;
    for device in devices {
        device.stop().await;
    }
    told
}

/// A gateway and the emulated devices in its inventory.
pub struct Demo {
    pub running: Running,
    pub devices: Vec<RunningEmulator>,
}

impl Demo {
    /// Starts the devices and a gateway that knows them.
    ///
    /// # Errors
    /// [`AppError`].
    pub async fn start(config: &Config) -> Result<Self, AppError> {
        let running = Running::start(config).await?;
        let mut devices = Vec::new();
        let ctx = CallContext {
            principal: Principal::anonymous_admin(),
            request_id: "demo".to_owned(),
            deadline: None,
            traceparent: None,
            ticket: crate::service::operations::Ticket::default(),
        };
        for (name, builder) in ["mx1", "mx2"].into_iter().zip(emulator::demo_devices()) {
            let device = builder
                .system_time()
                .user(DEMO_USER)
                .password(DEMO_PASSWORD)
                .listen("127.0.0.1:0")
                .await?;
            let body = serde_json::json!({
                "name": name,
                "address": "127.0.0.1",
                "port": device.addr().port(),
                "username": DEMO_USER,
                "auth": {"password": DEMO_PASSWORD},
                "host_key": {"policy": "pinned", "keys": [device.host_key_fingerprint()]},
                "labels": {"demo": "true"},
            });
            running.gateway().create_device(&ctx, &body.to_string()).await?;
            devices.push(device);
        }
        Ok(Self { running, devices })
    }
}

/// What `ncgate demo` prints: commands to paste.
pub fn welcome(address: SocketAddr) -> String {
    format!(
        "ncgate serves two emulated routers, mx1 and mx2, on http://{address}\n\
         \n\
         Paste into another terminal:\n\
         \n\
         curl -s http://{address}/v1/devices/mx1/rpc/get-software-information\n\
         curl -s 'http://{address}/v1/devices/mx1/rpc/get-interface-information?interface-name=ge-0/0/0&terse'\n\
         curl -s 'http://{address}/v1/devices/mx1/config?path=system/services'\n\
         curl -s http://{address}/v1/devices/mx2/cli -H 'Content-Type: application/json' -d '{{\"command\": \"show version\", \"format\": \"text\"}}'\n\
         curl -s http://{address}/v1/devices/mx1/rpc/get-no-such-thing\n\
         \n\
         The API is described at http://{address}/docs. Ctrl-C ends the demo.\n"
    )
}
