//! Request bodies: read up to a limit, unpacked up to the same limit, with a media type that the resource takes.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;

use super::problem::ApiError;
use crate::api::App;
use crate::error::ErrorCode;

/// What a body is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    Json,
    /// `application/merge-patch+json` (RFC 7396).
    MergePatch,
    Xml,
    /// Set lines.
    Text,
}

impl Media {
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::MergePatch => &["application/merge-patch+json"],
            Self::Xml => &["application/xml", "text/xml"],
            Self::Text => &["text/plain"],
        }
    }
}

/// A whole body, unpacked. Handlers ask for the media types that they take.
#[derive(Debug)]
pub struct Input {
    /// The media type without its parameters, lower case, and the charset.
    content_type: Option<(String, Option<String>)>,
    bytes: Bytes,
}

impl FromRequest<App> for Input {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        Ok(Self {
            bytes: whole(&parts.headers, body, app).await?,
            content_type: content_type(&parts.headers)?,
        })
    }
}

/// A body, read to its end and unpacked.
///
/// # Errors
/// `payload-too-large`, `request-timeout`; `unsupported-media-type` for another packing than gzip.
pub async fn whole(headers: &HeaderMap, body: Body, app: &App) -> Result<Bytes, ApiError> {
    let limit = app.settings.max_body_bytes;
    let packed = packing(headers)?;
    let read = tokio::time::timeout(app.settings.body_timeout, collect(body, limit));
    let bytes = read.await.map_err(|_| late(app.settings.body_timeout))??;
    match packed {
        Packing::Plain => Ok(bytes),
        Packing::Gzip => unpack(&bytes, limit),
    }
}

impl Input {
    /// Whether there is a body at all.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The body as text, if it has one of `taken` media types.
    ///
    /// # Errors
    /// `unsupported-media-type`, also for a charset other than UTF-8; `invalid-argument` for bytes that are no UTF-8.
    pub fn text(&self, taken: &[Media]) -> Result<(Media, &str), ApiError> {
        let media = self.media(taken)?;
        let text = std::str::from_utf8(&self.bytes).map_err(|error| {
            ApiError::invalid("", format!("no UTF-8 from byte {} on", error.valid_up_to()))
        })?;
        Ok((media, text))
    }

    /// A JSON body as text.
    pub fn json(&self) -> Result<&str, ApiError> {
        Ok(self.text(&[Media::Json])?.1)
    }

    /// A JSON body that may be left out; then it is empty.
    pub fn optional_json(&self) -> Result<&str, ApiError> {
        if self.is_empty() { Ok("") } else { self.json() }
    }

    /// For actions without arguments: no body, or an empty object.
    pub fn nothing(&self) -> Result<(), ApiError> {
        if self.is_empty() {
            return Ok(());
        }
        super::json::Object::parse(self.json()?)?.finish()
    }

    fn media(&self, taken: &[Media]) -> Result<Media, ApiError> {
        let names = || {
            taken
                .iter()
                .flat_map(|media| media.names())
                .copied()
                .collect::<Vec<_>>()
                .join(", ")
        };
        let Some((name, charset)) = &self.content_type else {
            return Err(unsupported(format!(
                "the request needs a Content-Type: {}",
                names()
            )));
        };
        if charset
            .as_deref()
            .is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8"))
        {
            return Err(unsupported("only the charset utf-8 is understood".to_owned()));
        }
        taken
            .iter()
            .copied()
            .find(|media| media.names().contains(&name.as_str()))
            .ok_or_else(|| {
                unsupported(format!(
                    "the body has the type {name}, this resource takes {}",
                    names()
                ))
            })
    }
}

enum Packing {
    Plain,
    Gzip,
}

fn packing(headers: &HeaderMap) -> Result<Packing, ApiError> {
    match headers
        .get(header::CONTENT_ENCODING)
        .map(|value| value.to_str().unwrap_or_default().trim())
    {
        None | Some("" | "identity") => Ok(Packing::Plain),
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
            Ok(Packing::Gzip)
        }
        Some(_) => Err(unsupported(
            "the only Content-Encoding understood is gzip".to_owned(),
        )),
    }
}

fn content_type(headers: &HeaderMap) -> Result<Option<(String, Option<String>)>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let value = value
        .to_str()
        .map_err(|_| unsupported("the Content-Type is no text".to_owned()))?;
    let mut parts = value.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.eq_ignore_ascii_case("charset")
            .then(|| value.trim_matches('"').to_owned())
    });
    Ok(Some((name, charset)))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::new(ErrorCode::Cancelled, "the body ended early"))?;
        if let Ok(data) = frame.into_data() {
            if whole.len() + data.len() > limit {
                return Err(too_large(limit));
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}

/// Unpacks at most `limit` bytes: the size that counts is the one that memory holds (H14).
fn unpack(packed: &[u8], limit: usize) -> Result<Bytes, ApiError> {
    let mut whole = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    flate2::read::MultiGzDecoder::new(packed)
        .take(most)
        .read_to_end(&mut whole)
        .map_err(|_| ApiError::invalid("", "the body is no gzip stream"))?;
    if whole.len() > limit {
        return Err(too_large(limit));
    }
    Ok(whole.into())
}

fn unsupported(detail: String) -> ApiError {
    ApiError::new(ErrorCode::UnsupportedMediaType, detail)
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!("a request body may have {limit} bytes, unpacked"),
    )
}

fn late(after: Duration) -> ApiError {
    ApiError::new(
        ErrorCode::RequestTimeout,
        format!(
            "the request body did not arrive within {} seconds",
            after.as_secs()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http::HeaderValue;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).expect("packing into memory");
        packer.finish().expect("packing into memory")
    }

    fn input(content_type: &str, body: &'static [u8]) -> Input {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_str(content_type).expect("a header value"),
        );
        let content_type = super::content_type(&headers).expect("a content type");
        Input {
            content_type,
            bytes: Bytes::from_static(body),
        }
    }

    fn code(result: Result<impl Sized, ApiError>) -> ErrorCode {
        match result {
            Ok(_) => panic!("must be refused"),
            Err(error) => error.error.code(),
        }
    }

    /// H14, quality 3 row 4: a bomb is stopped at the limit, not after it.
    #[test]
    fn limit_counts_unpacked_bytes() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 1_000_000);
        assert_eq!(code(unpack(&bomb, 1_000_000)), ErrorCode::PayloadTooLarge);
        assert_eq!(unpack(&gzip(b"abc"), 3).ok().as_deref(), Some(&b"abc"[..]));
        assert_eq!(code(unpack(&gzip(b"abcd"), 3)), ErrorCode::PayloadTooLarge);
        assert_eq!(code(unpack(b"plain", 10)), ErrorCode::InvalidArgument);
    }

    /// H4
    #[test]
    fn wrong_media_types_and_charsets_are_refused() {
        assert!(input("application/json; charset=UTF-8", b"{}").json().is_ok());
        assert_eq!(
            code(input("application/json; charset=latin1", b"{}").json()),
            ErrorCode::UnsupportedMediaType
        );
        assert_eq!(
            code(input("text/plain", b"{}").json()),
            ErrorCode::UnsupportedMediaType
        );
        assert_eq!(
            code(input("application/json", b"\xff").json()),
            ErrorCode::InvalidArgument
        );
        let xml = input("text/xml", b"<a/>");
        let (media, text) = xml.text(&[Media::Json, Media::Xml]).expect("is taken");
        assert_eq!((media, text), (Media::Xml, "<a/>"));
        let none = Input {
            content_type: None,
            bytes: Bytes::from_static(b"{}"),
        };
        assert_eq!(code(none.json()), ErrorCode::UnsupportedMediaType);
    }

    #[test]
    fn actions_without_arguments_take_nothing_or_an_empty_object() {
        let none = Input {
            content_type: None,
            bytes: Bytes::new(),
        };
        assert!(none.nothing().is_ok());
        assert!(input("application/json", b"{}").nothing().is_ok());
        assert_eq!(
            code(input("application/json", b"{\"a\":1}").nothing()),
            ErrorCode::InvalidArgument
        );
    }

    #[tokio::test]
    async fn reading_stops_at_the_limit() {
        assert_eq!(
            code(collect(Body::from(vec![b'x'; 11]), 10).await),
            ErrorCode::PayloadTooLarge
        );
        assert_eq!(
            collect(Body::from("0123456789"), 10).await.ok().map(|b| b.len()),
            Some(10)
        );
    }
}
