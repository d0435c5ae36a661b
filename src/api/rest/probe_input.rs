//! The probe of a commit that has to be confirmed: what the OpenAPI document says of it, and how it is read.

use utoipa::ToSchema;

use super::json::Object;
use super::problem::ApiError;
use crate::service::edit::request::{Expect, ProbeRequest};
use crate::service::request::{Content, RpcBody};

/// An RPC that only reads, repeated over a new session each time until its reply is as expected, and the commit is
/// confirmed, or until the time is over, and it is cancelled. A device that cannot be reached then is left to its own
/// timer.
#[derive(ToSchema)]
#[schema(example = json!({
    "rpc": {"get-interface-information": {"interface-name": "ge-0/0/0", "terse": null}},
    "expect": [{"pointer": "/interface-information/physical-interface/0/oper-status", "equals": "up"}],
    "give_up_seconds": 40,
}))]
pub struct ProbeInput {
    /// As `POST …/rpc` takes it.
    #[schema(value_type = Object)]
    pub rpc: serde_json::Value,
    /// All of these have to hold. Default: it is enough that the device answers without an error.
    #[schema(max_items = 16)]
    pub expect: Option<Vec<ExpectInput>>,
    /// From the commit to the first attempt. Default: 5.
    #[schema(maximum = 86400)]
    pub delay_seconds: Option<u64>,
    /// From the end of an attempt to the next one. Default: 5.
    #[schema(minimum = 1, maximum = 86400)]
    pub interval_seconds: Option<u64>,
    /// From the first attempt to the last. Default: 30.
    #[schema(minimum = 1, maximum = 86400)]
    pub give_up_seconds: Option<u64>,
}

/// What a place of the reply has to hold.
#[derive(ToSchema)]
pub struct ExpectInput {
    /// A JSON pointer (RFC 6901) into `data` as `POST …/rpc` answers with it.
    #[schema(max_length = 1024)]
    pub pointer: String,
    /// What a device says is a string or null.
    pub equals: serde_json::Value,
}

/// Takes the member `probe`.
///
/// # Errors
/// What is missing, unknown or of the wrong type, with its pointer.
pub fn read_probe(body: &mut Object<'_>) -> Result<Option<ProbeRequest>, ApiError> {
    let Some(mut probe) = body.object("probe")? else {
        return Ok(None);
    };
    let at = probe.pointer("rpc");
    let rpc = probe.object_text("rpc")?.map(str::to_owned);
    let expect = probe.objects("expect")?.unwrap_or_default();
    let request = ProbeRequest {
        expect: expect.into_iter().map(read_expect).collect::<Result<_, _>>()?,
        delay_seconds: probe.number("delay_seconds")?,
        interval_seconds: probe.number("interval_seconds")?,
        give_up_seconds: probe.number("give_up_seconds")?,
        rpc: {
            probe.nothing_left()?;
            let text = rpc.ok_or_else(|| ApiError::invalid(at, "is required"))?;
            RpcBody::Whole(Content::Json(text))
        },
    };
    Ok(Some(request))
}

fn read_expect(mut item: Object<'_>) -> Result<Expect, ApiError> {
    let at = item.pointer("equals");
    let equals = item.raw("equals").map(str::to_owned);
    let pointer = item.required_string("pointer")?;
    item.finish()?;
    Ok(Expect {
        pointer,
        equals: equals.ok_or_else(|| ApiError::invalid(at, "is required"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<ProbeRequest>, String> {
        let mut body = Object::parse(text).unwrap_or_else(|_| panic!("no object: {text}"));
        read_probe(&mut body).map_err(|error| error.error.fields()[0].pointer.clone())
    }

    /// W1: the RPC stays as it was written, and so does what is expected.
    #[test]
    fn probes_are_read_in_full() {
        let text = r#"{"probe": {"rpc": {"b": {"z": 1.0}}, "expect": [{"pointer": "/b/0", "equals": null}],
            "delay_seconds": 0, "interval_seconds": 2, "give_up_seconds": 3}}"#;
        let expected = ProbeRequest {
            rpc: RpcBody::Whole(Content::Json(r#"{"b": {"z": 1.0}}"#.to_owned())),
            expect: vec![Expect {
                pointer: "/b/0".to_owned(),
                equals: "null".to_owned(),
            }],
            delay_seconds: Some(0),
            interval_seconds: Some(2),
            give_up_seconds: Some(3),
        };
        assert_eq!(read(text), Ok(Some(expected)));
        assert_eq!(read("{}"), Ok(None));
    }

    /// H1
    #[test]
    fn faults_are_pointed_at() {
        let wrong = |text: &str| read(text).err();
        assert_eq!(wrong(r#"{"probe": {}}"#).as_deref(), Some("/probe/rpc"));
        assert_eq!(
            wrong(r#"{"probe": {"rpc": "get"}}"#).as_deref(),
            Some("/probe/rpc")
        );
        assert_eq!(
            wrong(r#"{"probe": {"rcp": {"a": 1}}}"#).as_deref(),
            Some("/probe/rcp")
        );
        assert_eq!(
            wrong(r#"{"probe": {"rpc": {"a": 1}, "expect": [{"pointer": "/a"}]}}"#).as_deref(),
            Some("/probe/expect/0/equals")
        );
        assert_eq!(
            wrong(r#"{"probe": {"rpc": {"a": 1}, "expect": [{"equals": 1}]}}"#).as_deref(),
            Some("/probe/expect/0/pointer")
        );
        assert_eq!(
            wrong(r#"{"probe": {"rpc": {"a": 1}, "give_up_seconds": -1}}"#).as_deref(),
            Some("/probe/give_up_seconds")
        );
    }
}
