//! The few files that management clients look at, and the shell command that they ask for.

use super::{Request, Show};
use crate::emulator::device_error::DeviceError;
use crate::emulator::markup::Tag;

pub(super) const SHOW: Show = Show {
    name: "file-show",
    arguments: &["filename", "encoding"],
    run: show,
    text,
};

pub(super) const LIST: Show = Show {
    name: "file-list",
    arguments: &["path", "detail"],
    run: list,
    text,
};

pub(super) const SHELL: Show = Show {
    name: "request-shell-execute",
    arguments: &["command"],
    run: shell,
    text,
};

/// How the routing engines call themselves on the routing instance between them.
const HOSTS: &str = "\
# Names of the routing engines and boards on the internal routing instances
128.0.0.1        master
128.0.0.4        re0
128.0.0.5        re1
128.0.0.6        backup
";

/// Contents of a file, by its path.
const FILES: &[(&str, &str)] = &[("/etc/hosts.junos", HOSTS)];

fn show(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let path = request
        .argument("filename")
        .ok_or_else(|| DeviceError::new("missing argument").element("filename"))?;
    let Some((_, content)) = FILES.iter().find(|(known, _)| *known == path) else {
        return Err(DeviceError::new(format!("could not resolve file: {path}")));
    };
    let tag = Tag::leaf("file-content", format!("\n{content}"))
        .with("filename", path)
        .with("junos:seconds", request.device.booted().to_string())
        .with("filesize", content.len().to_string())
        .with("encoding", "text");
    Ok(vec![tag])
}

fn list(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    let home = format!("/var/home/{}/", request.caller.user);
    let path = request.argument("path").unwrap_or_else(|| "~".to_owned());
    let root = if path.starts_with('~') { home } else { path };
    let directory = Tag::parent(
        "directory",
        vec![
            Tag::leaf("directory-name", root.clone()),
            Tag::leaf("total-files", "0"),
        ],
    )
    .with("name", root.clone());
    let list = Tag::parent("directory-list", vec![directory])
        .with("root-path", root)
        .with("junos:seconds", request.device.now().to_string())
        .with("junos:style", "brief");
    Ok(vec![list])
}

fn shell(request: &Request<'_>) -> Result<Vec<Tag>, DeviceError> {
    match request.argument("command").as_deref() {
        Some("sysctl -n hw.re.vmhost_mode") => Ok(vec![Tag::leaf("output", "\n0\n")]),
        Some(_) | None => Err(DeviceError::new("permission denied").element("request-shell-execute")),
    }
}

fn text(tags: &[Tag]) -> String {
    let texts = tags.iter().map(|tag| match tag.local() {
        "directory-list" => {
            let names = tag
                .tags()
                .iter()
                .map(|directory| directory.child_text("directory-name"));
            names.map(|name| format!("\n{name}:\ntotal files: 0\n")).collect()
        }
        _ => format!("{}\n", tag.text()),
    });
    texts.collect()
}
