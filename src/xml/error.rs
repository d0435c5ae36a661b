//! What the reader refuses, and the limits it works under.

/// Bounds on what a document may hold (N11, X3). Text is not among them: a run of text may be as long as the
/// document, because it is handed out in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open elements at one time; the root counts as 1.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Bytes of one element or attribute name, prefix included.
    pub name_bytes: usize,
    /// Bytes of one tag or comment, brackets included. (CDATA is text, and comes in pieces.)
    pub token_bytes: usize,
    /// Different namespace names in one document.
    pub namespaces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 100,
            attributes: 256,
            name_bytes: 1024,
            token_bytes: 16 << 20,
            namespaces: 4096,
        }
    }
}

/// Why a document was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct XmlError {
    /// What is wrong.
    pub kind: XmlErrorKind,
    /// Bytes from the start of the document, a byte order mark included.
    pub offset: u64,
}

impl XmlError {
    pub(crate) fn new(kind: XmlErrorKind, offset: u64) -> Self {
        XmlError { kind, offset }
    }
}

/// The well-formedness rules and limits that a document can break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlErrorKind {
    /// The input stops inside a tag, a comment, a reference or a CDATA section.
    #[error("unexpected end of input")]
    UnexpectedEnd,
    /// The input stops with elements open; the innermost is named.
    #[error("element <{0}> is not closed at the end of input")]
    Unclosed(String),
    /// There is no element at all.
    #[error("no root element")]
    NoRoot,
    /// A second root element.
    #[error("more than one root element")]
    SecondRoot,
    /// Something other than blanks before or after the root.
    #[error("text outside the root element")]
    TextOutsideRoot,
    /// An end tag that does not close the innermost open element.
    #[error("end tag </{found}> where </{expected}> was expected")]
    MismatchedEnd {
        /// The element that is open.
        expected: String,
        /// The name in the end tag.
        found: String,
    },
    /// An end tag with nothing open.
    #[error("end tag </{0}> without a start tag")]
    UnopenedEnd(String),
    /// A name that is no QName.
    #[error("not an XML name")]
    BadName,
    /// A tag that breaks the grammar of tags.
    #[error("malformed tag")]
    BadTag,
    /// The same attribute twice, by its name as written or by namespace and local name.
    #[error("duplicate attribute {0}")]
    DuplicateAttribute(String),
    /// A prefix that no declaration in scope binds.
    #[error("undeclared namespace prefix {0}")]
    UndeclaredPrefix(String),
    /// A declaration that the namespace recommendation forbids.
    #[error("illegal namespace declaration")]
    BadDeclaration,
    /// Neither one of the five predefined entities nor a reference to a character that XML allows.
    #[error("unknown entity or illegal character reference")]
    BadReference,
    /// DOCTYPE is never accepted, so no entity can be declared.
    #[error("DOCTYPE is not allowed")]
    Doctype,
    /// A processing instruction, or an XML declaration that is not at the very start.
    #[error("processing instruction is not allowed")]
    ProcessingInstruction,
    /// A declaration of another version of XML, or of another encoding, than is read.
    #[error("the XML declaration says something else than XML 1.0 in UTF-8")]
    OtherXml,
    /// `]]>` in text.
    #[error("\"]]>\" in text")]
    CdataEndInText,
    /// `--` inside a comment, or a `<!` that opens nothing known.
    #[error("malformed comment or markup declaration")]
    BadComment,
    /// A character that XML 1.0 cannot hold.
    #[error("character not allowed in XML")]
    BadCharacter,
    /// Bytes that are not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// The NETCONF end-of-message marker where only XML is expected (X2).
    #[error("\"]]>]]>\" is not allowed")]
    EndOfMessageMarker,
    /// Deeper than [`Limits::depth`].
    #[error("elements nested deeper than {0}")]
    TooDeep(usize),
    /// More than [`Limits::attributes`].
    #[error("more than {0} attributes on one element")]
    TooManyAttributes(usize),
    /// Longer than [`Limits::name_bytes`].
    #[error("name longer than {0} bytes")]
    NameTooLong(usize),
    /// Longer than [`Limits::token_bytes`].
    #[error("tag or comment longer than {0} bytes")]
    TokenTooLong(usize),
    /// More than [`Limits::namespaces`].
    #[error("more than {0} namespaces")]
    TooManyNamespaces(usize),
    /// The stored document could not be read back.
    #[error("cannot read the stored document: {0}")]
    Unreadable(std::io::ErrorKind),
}
