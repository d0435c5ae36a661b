//! The query string, read strictly: every option is known and stands once, or the request is refused (H1). `?terse`
//! and `?terse=` are told apart, because an RPC argument without a value is an empty element (H15).

use std::str::FromStr;

use super::negotiate::Answer;
use super::problem::ApiError;
use crate::service::request::{Format, OutputOptions, Partial};

/// More pairs than this are refused.
const MAX_PAIRS: usize = 256;

/// The pairs that nobody has taken yet, in order.
#[derive(Debug, Default)]
pub struct Query(Vec<(String, Option<String>)>);

impl Query {
    /// Takes a raw query string apart.
    ///
    /// # Errors
    /// Percent escapes that are none or that are no UTF-8, and too many pairs.
    pub fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut pairs = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PAIRS {
                return Err(ApiError::invalid(
                    "?",
                    format!("more than {MAX_PAIRS} query options"),
                ));
            }
            let (name, value) = match pair.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (pair, None),
            };
            let name = decode(name).map_err(|detail| ApiError::invalid("?", detail))?;
            let value = value
                .map(decode)
                .transpose()
                .map_err(|detail| ApiError::invalid(format!("?{name}"), detail))?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Takes an option that has a value and stands at most once.
    pub fn value(&mut self, name: &str) -> Result<Option<String>, ApiError> {
        match self.take(name)? {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(ApiError::invalid(format!("?{name}"), "needs a value")),
        }
    }

    /// Takes a switch: `?name`, `?name=true` or `?name=false`.
    pub fn switch(&mut self, name: &str) -> Result<Option<bool>, ApiError> {
        match self
            .take(name)?
            .map(|value| value.unwrap_or_else(|| "true".to_owned()))
            .as_deref()
        {
            None => Ok(None),
            Some("true" | "") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid(format!("?{name}"), "must be true or false")),
        }
    }

    /// Takes a number.
    pub fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, ApiError> {
        let Some(value) = self.value(name)? else {
            return Ok(None);
        };
        // `+5` parses as a number in Rust and is none here.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if digits => Ok(Some(number)),
            _ => Err(ApiError::invalid(
                format!("?{name}"),
                "must be a whole number in range",
            )),
        }
    }

    /// Takes every option of this name; each value is `key=value`.
    pub fn pairs(&mut self, name: &str) -> Result<Vec<(String, String)>, ApiError> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(found, _)| found == name);
        self.0 = left;
        taken
            .into_iter()
            .map(|(_, value)| {
                let pair = value.as_deref().and_then(|value| value.split_once('='));
                let (key, value) =
                    pair.ok_or_else(|| ApiError::invalid(format!("?{name}"), "must be name=value"))?;
                Ok((key.to_owned(), value.to_owned()))
            })
            .collect()
    }

    /// The names of what nobody took yet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Takes the further attributes of `<rpc>`, each written `attr.<name>=<value>`.
    pub fn attributes(&mut self) -> Result<Vec<(String, String)>, ApiError> {
        let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(name, _)| name.starts_with("attr."));
        self.0 = left;
        taken
            .into_iter()
            .map(|(name, value)| match (name.strip_prefix("attr."), value) {
                (Some(bare), Some(value)) => Ok((bare.to_owned(), value)),
                (_, _) => Err(ApiError::invalid(format!("?{name}"), "needs a value")),
            })
            .collect()
    }

    /// What nobody took, for RPC arguments. An argument whose name is taken by an option is written `arg.name`.
    pub fn arguments(self) -> Vec<(String, Option<String>)> {
        self.0
            .into_iter()
            .map(|(name, value)| match name.strip_prefix("arg.") {
                Some(bare) => (bare.to_owned(), value),
                None => (name, value),
            })
            .collect()
    }

    /// Refuses what nobody took.
    pub fn finish(self) -> Result<(), ApiError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(ApiError::invalid(
                format!("?{name}"),
                "is no query option of this resource",
            )),
        }
    }

    /// Takes the options that say how a reply is returned (design section 4). For an answer in XML it is whole.
    pub fn output(&mut self, answer: Answer) -> Result<OutputOptions, ApiError> {
        self.output_or(answer, Format::default())
    }

    /// As [`Self::output`], where another format is the usual one.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub fn output_or(&mut self, answer: Answer, format: Format) -> Result<OutputOptions, ApiError> {
        let mut output = OutputOptions {
            format,
            whole_reply: answer == Answer::Xml,
            ..OutputOptions::default()
        };
        if let Some(format) = self.value("format")? {
            output.format = parse_format("?format", &format)?;
        }
        output.mapping = self.value("mapping")?;
        output.arrays = self.value("arrays")?;
        output.text = self.value("text")?;
        output.ns = self.value("ns")?;
        output.hints = self.value("hints")?;
        if let Some(partial) = self.value("partial")? {
            output.partial = Some(parse_partial("?partial", &partial)?);
        }
        Ok(output)
    }

    fn take(&mut self, name: &str) -> Result<Option<Option<String>>, ApiError> {
        let Some(at) = self.0.iter().position(|(found, _)| found == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.remove(at);
        if self.0.iter().any(|(found, _)| found == name) {
            return Err(ApiError::invalid(format!("?{name}"), "stands more than once"));
        }
        Ok(Some(value))
    }
}

/// `format` as a caller writes it.
pub fn parse_format(pointer: &str, text: &str) -> Result<Format, ApiError> {
    Format::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
        ApiError::invalid(pointer, format!("must be one of {}", known.join(", ")))
    })
}

/// `partial` as a caller writes it.
pub fn parse_partial(pointer: &str, text: &str) -> Result<Partial, ApiError> {
    match text {
        "keep" => Ok(Partial::Keep),
        "discard" => Ok(Partial::Discard),
        _ => Err(ApiError::invalid(pointer, "must be keep or discard")),
    }
}

/// Percent-decodes; `+` is a space.
fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut input = text.bytes();
    while let Some(byte) = input.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                match (digit(input.next()), digit(input.next())) {
                    // Two hexadecimal digits make at most 255.
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Err("holds a percent sign that begins no escape".to_owned()),
                }
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| "is no UTF-8 once decoded".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(raw: &str) -> Query {
        Query::parse(raw).expect("the query is well-formed")
    }

    fn pointer(result: Result<impl std::fmt::Debug, ApiError>) -> String {
        result.expect_err("is refused").error.fields()[0].pointer.clone()
    }

    /// H15: a name without a value is an empty element, and option names are free with `arg.`.
    #[test]
    fn what_no_option_takes_is_an_argument() {
        let mut query =
            query("interface-name=ge-0%2F0%2F0&terse&format=xml&arg.format=ascii&empty=&a+b=c%20d");
        let output = query.output(Answer::Json).expect("the options are known");
        assert_eq!(output.format, Format::Xml);
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            query.arguments(),
            [
                pair("interface-name", Some("ge-0/0/0")),
                pair("terse", None),
                pair("format", Some("ascii")),
                pair("empty", Some("")),
                pair("a b", Some("c d")),
            ]
        );
    }

    /// H1
    #[test]
    fn unknown_and_repeated_options_are_refused_with_their_name() {
        assert_eq!(pointer(query("page_sise=3").finish()), "?page_sise");
        assert_eq!(pointer(query("from=a&from=b").value("from")), "?from");
        assert_eq!(pointer(query("format=yaml").output(Answer::Json)), "?format");
        assert_eq!(pointer(query("partial=some").output(Answer::Json)), "?partial");
        assert_eq!(pointer(query("from").value("from")), "?from");
        for bad in ["-1", "1.5", "+1", "", "99999999999", "x"] {
            assert_eq!(
                pointer(query(&format!("n={}", bad.replace('+', "%2B"))).number::<u32>("n")),
                "?n",
                "{bad}"
            );
        }
        assert_eq!(pointer(query("s=yes").switch("s")), "?s");
        assert_eq!(pointer(Query::parse("n=%f")), "?n");
        assert_eq!(pointer(Query::parse("n=%FF")), "?n");
        assert!(Query::parse(&"a&".repeat(300)).is_err());
    }

    /// S8: attributes where no body can hold them.
    #[test]
    fn attributes_have_a_prefix() {
        let mut query = query("terse&attr.mark=a%26b&arg.attr.x=1");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(query.attributes().ok(), Some(vec![pair("mark", "a&b")]));
        assert_eq!(
            query.arguments(),
            [
                ("terse".to_owned(), None),
                ("attr.x".to_owned(), Some("1".to_owned()))
            ]
        );
        assert_eq!(
            pointer(Query::parse("attr.a").expect("well-formed").attributes()),
            "?attr.a"
        );
    }

    #[test]
    fn options_are_read_by_their_type() {
        let mut query = query("n=12&s&t=false&label=site=fra&label=role%3Dp%3De&x=1");
        assert_eq!(query.number::<u32>("n").expect("a number"), Some(12));
        assert_eq!(query.switch("s").expect("a switch"), Some(true));
        assert_eq!(query.switch("t").expect("a switch"), Some(false));
        assert_eq!(query.switch("u").expect("a switch"), None);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            query.pairs("label").ok(),
            Some(vec![pair("site", "fra"), pair("role", "p=e")])
        );
        assert_eq!(pointer(query.pairs("x")), "?x");
    }
}
