//! The plain subset of XML that AWS clients send, as a tree. Anything else in XML's toolbox is
//! refused rather than interpreted, but in answers comments, prefixes and the like are taken as
//! every XML parser takes them; depth, attributes and elements are bounded.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use crate::codec::Reading;
use crate::codec::text::quote;
use crate::refusal::Refusal;

const MAX_ATTRIBUTES: usize = 8;
const MAX_ANSWERED_ATTRIBUTES: usize = 64;
const MAX_DEPTH: usize = 40;
const MAX_ELEMENTS: usize = 200_000;
/// EC2 lists ten thousand things of fifty elements each in an answer.
const MAX_ANSWERED_ELEMENTS: usize = 1_000_000;

/// The one namespace prefix AWS uses in requests, for `xsi:type`.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// One element; namespace declarations are checked and dropped.
#[derive(Debug, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    children: Vec<Self>,
    text: String,
    returns: bool,
}

impl Element {
    /// The elements below, of an element without text of its own.
    pub(crate) fn children(&self) -> Result<&[Self], Refusal> {
        if self.text.chars().all(is_space) {
            return Ok(&self.children);
        }
        Err(invalid(
            &self.name,
            "holds text where elements are expected",
        ))
    }

    /// Whether no elements are inside.
    pub(crate) fn is_leaf(&self) -> bool {
        self.children.is_empty()
    }

    /// The same element, if it has no attributes.
    pub(crate) fn container(&self) -> Result<&Self, Refusal> {
        if self.attributes.is_empty() {
            return Ok(self);
        }
        Err(invalid(&self.name, "has an attribute that is not modelled"))
    }

    /// The children of that name.
    pub(crate) fn named(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of an element that holds nothing else. A carriage return is refused: XML parsers
    /// differ in whether they turn it into a line feed.
    pub(crate) fn text(&self) -> Result<String, Refusal> {
        if !self.children.is_empty() || !self.attributes.is_empty() {
            return Err(invalid(&self.name, "must hold text only"));
        }
        if self.returns {
            return Err(Refusal::Ambiguous(
                "a carriage return in an XML text: write `&#13;`".to_owned(),
            ));
        }
        Ok(self.text.clone())
    }

    /// The text of an answer's element, whatever attributes it has.
    pub(crate) fn loose_text(&self) -> Result<&str, Refusal> {
        if !self.children.is_empty() {
            return Err(invalid(&self.name, "must hold text only"));
        }
        Ok(&self.text)
    }

    /// The child of that name, of which there must not be a second one.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&Self>, Refusal> {
        let mut found = self.named(name);
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(super::duplicate(name)),
        }
    }

    /// The child of that name, if there is only one.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        let mut found = self.named(name);
        found.next().filter(|_| found.next().is_none())
    }
}

/// Reads a document. S3 keeps a connection alive with white space before an answer.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::Ambiguous`].
pub(crate) fn parse(bytes: &[u8], reading: Reading) -> Result<Element, Refusal> {
    let mut text = std::str::from_utf8(bytes)
        .map_err(|_| Refusal::Malformed("the XML body is not UTF-8".to_owned()))?;
    match reading {
        Reading::Exact | Reading::ExactButNewer if text.starts_with('\u{feff}') => {
            return Err(not_plain("a byte order mark"));
        }
        Reading::Exact | Reading::ExactButNewer => {}
        Reading::Tolerant => text = text.trim_start_matches('\u{feff}').trim_start(),
    }
    let mut reader = Reader::from_str(text);
    let mut parser = Parser::new(reading);
    loop {
        let event = reader
            .read_event()
            .map_err(|error| Refusal::Malformed(format!("the body is not valid XML: {error}")))?;
        if parser.take(event)? == Progress::Done {
            return parser
                .root
                .ok_or_else(|| malformed("the XML body is empty"));
        }
    }
}

#[derive(Eq, PartialEq)]
enum Progress {
    Done,
    More,
}

struct Parser {
    reading: Reading,
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    events: usize,
}

impl Parser {
    fn new(reading: Reading) -> Self {
        Self {
            reading,
            open: Vec::new(),
            root: None,
            elements: 0,
            events: 0,
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<Progress, Refusal> {
        self.events += 1;
        match event {
            Event::Start(start) => self.start(&start)?,
            Event::Empty(start) => {
                self.start(&start)?;
                self.end()?;
            }
            Event::End(_) => self.end()?,
            Event::Text(text) => self.text(&text)?,
            Event::GeneralRef(reference) => self.reference(&reference)?,
            Event::Decl(declaration) => self.declaration(&declaration)?,
            Event::Eof if self.open.is_empty() => return Ok(Progress::Done),
            Event::Eof => return Err(malformed("the XML body ends inside an element")),
            Event::DocType(_) => return Err(not_plain("a document type")),
            Event::CData(data) if self.reading == Reading::Tolerant => self.text(&data)?,
            Event::Comment(_) | Event::PI(_) if self.reading == Reading::Tolerant => {}
            Event::CData(_) => return Err(not_plain("a CDATA section")),
            Event::Comment(_) => return Err(not_plain("a comment")),
            Event::PI(_) => return Err(not_plain("a processing instruction")),
        }
        Ok(Progress::More)
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Refusal> {
        self.elements += 1;
        let most = match self.reading {
            Reading::Exact | Reading::ExactButNewer => MAX_ELEMENTS,
            Reading::Tolerant => MAX_ANSWERED_ELEMENTS,
        };
        if self.elements > most || self.open.len() >= MAX_DEPTH {
            return Err(Refusal::InvalidInput(
                "the XML body has too many or too deep elements".to_owned(),
            ));
        }
        if self.root.is_some() {
            return Err(malformed("the XML body has two root elements"));
        }
        let name = start.name().0;
        let name = match (name.rsplit_once(':'), self.reading) {
            (None, _) => name,
            (Some((_, local)), Reading::Tolerant) => local,
            (Some(_), Reading::Exact | Reading::ExactButNewer) => {
                return Err(not_plain("a namespace prefix"));
            }
        };
        // One namespace for the whole request: a reader that knows namespaces would skip elements of
        // another one, and this one would not.
        if self.reading == Reading::Exact && !self.open.is_empty() && names_namespace(start) {
            return Err(not_plain("a namespace below its root"));
        }
        let attributes = attributes(start, self.reading)?;
        self.open.push(Element {
            name: name.to_owned(),
            attributes,
            ..Element::default()
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Refusal> {
        let element = self
            .open
            .pop()
            .ok_or_else(|| malformed("a stray end tag"))?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Refusal> {
        if !text.contains('\r') {
            return self.push(text);
        }
        if self.reading == Reading::Tolerant {
            // XML 1.0 §2.11.
            return self.push(&text.replace("\r\n", "\n").replace('\r', "\n"));
        }
        if let Some(element) = self.open.last_mut() {
            element.returns = true;
        }
        self.push(text)
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Refusal> {
        let known = match &**reference {
            "amp" => Some('&'),
            "apos" => Some('\''),
            "gt" => Some('>'),
            "lt" => Some('<'),
            "quot" => Some('"'),
            _ => reference.resolve_char_ref().ok().flatten(),
        };
        let character = known.ok_or_else(|| not_plain("an entity"))?;
        self.push(character.encode_utf8(&mut [0; 4]))
    }

    fn push(&mut self, text: &str) -> Result<(), Refusal> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.chars().all(is_space) => {}
            None => return Err(malformed("text outside the root element")),
        }
        Ok(())
    }

    fn declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), Refusal> {
        let version = declaration.version().is_ok_and(|version| version == "1.0");
        let encoding = match declaration.encoding() {
            None => true,
            Some(encoding) => encoding.is_ok_and(|name| name.eq_ignore_ascii_case("utf-8")),
        };
        if (self.events > 1 && self.reading != Reading::Tolerant) || !version || !encoding {
            return Err(not_plain("a declaration other than XML 1.0 in UTF-8"));
        }
        Ok(())
    }
}

fn names_namespace(start: &BytesStart<'_>) -> bool {
    start
        .attributes()
        .flatten()
        .any(|attribute| attribute.key.0 == "xmlns")
}

fn attributes(start: &BytesStart<'_>, reading: Reading) -> Result<Vec<(String, String)>, Refusal> {
    let most = match reading {
        Reading::Exact | Reading::ExactButNewer => MAX_ATTRIBUTES,
        Reading::Tolerant => MAX_ANSWERED_ATTRIBUTES,
    };
    let mut attributes = Vec::new();
    for (count, attribute) in start.attributes().enumerate() {
        let attribute = attribute
            .map_err(|error| Refusal::Malformed(format!("the body is not valid XML: {error}")))?;
        if count >= most {
            return Err(not_plain("an element with many attributes"));
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| Refusal::Malformed(format!("the body is not valid XML: {error}")))?;
        match attribute.key.0 {
            "xmlns" => {}
            "xmlns:xsi" if value == XSI => {}
            name if name.starts_with("xmlns") && reading == Reading::Tolerant => {}
            name if name.starts_with("xmlns") => return Err(not_plain("a namespace")),
            name => attributes.push((name.to_owned(), value.into_owned())),
        }
    }
    Ok(attributes)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn malformed(text: &str) -> Refusal {
    Refusal::Malformed(text.to_owned())
}

fn not_plain(what: &str) -> Refusal {
    Refusal::Ambiguous(format!("the XML body has {what}"))
}

fn invalid(name: &str, what: &str) -> Refusal {
    Refusal::InvalidInput(format!("element `{}` {what}", quote(name)))
}
