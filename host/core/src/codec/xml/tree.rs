//! The plain subset of XML that AWS clients send, as a tree. Anything else in XML's toolbox is
//! refused rather than interpreted; depth, attributes and elements are bounded.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::super::text::quote;
use crate::refusal::Refusal;

const MAX_ATTRIBUTES: usize = 8;
const MAX_DEPTH: usize = 40;
const MAX_ELEMENTS: usize = 200_000;

/// The one namespace prefix AWS uses in requests, for `xsi:type`.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// One element; namespace declarations are checked and dropped.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    children: Vec<Self>,
    text: String,
    returns: bool,
}

impl Element {
    /// The elements below, of an element without text of its own.
    pub(super) fn children(&self) -> Result<&[Self], Refusal> {
        if self.text.chars().all(is_space) {
            return Ok(&self.children);
        }
        Err(invalid(
            &self.name,
            "holds text where elements are expected",
        ))
    }

    /// The same element, if it has no attributes.
    pub(super) fn container(&self) -> Result<&Self, Refusal> {
        if self.attributes.is_empty() {
            return Ok(self);
        }
        Err(invalid(&self.name, "has an attribute that is not modelled"))
    }

    /// The children of that name.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of an element that holds nothing else. A carriage return is refused: XML parsers
    /// differ in whether they turn it into a line feed.
    pub(super) fn text(&self) -> Result<String, Refusal> {
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
}

/// Reads a document.
///
/// # Errors
/// [`Refusal::Malformed`] or [`Refusal::Ambiguous`].
pub(super) fn parse(bytes: &[u8]) -> Result<Element, Refusal> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Refusal::Malformed("the XML body is not UTF-8".to_owned()))?;
    if text.starts_with('\u{feff}') {
        return Err(not_plain("a byte order mark"));
    }
    let mut reader = Reader::from_str(text);
    let mut parser = Parser::default();
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

#[derive(Default)]
struct Parser {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    events: usize,
}

impl Parser {
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
            Event::CData(_) => return Err(not_plain("a CDATA section")),
            Event::Comment(_) => return Err(not_plain("a comment")),
            Event::DocType(_) => return Err(not_plain("a document type")),
            Event::PI(_) => return Err(not_plain("a processing instruction")),
        }
        Ok(Progress::More)
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Refusal> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS || self.open.len() >= MAX_DEPTH {
            return Err(Refusal::InvalidInput(
                "the XML body has too many or too deep elements".to_owned(),
            ));
        }
        if self.root.is_some() {
            return Err(malformed("the XML body has two root elements"));
        }
        let name = start.name().0.to_owned();
        if name.contains(':') {
            return Err(not_plain("a namespace prefix"));
        }
        let attributes = attributes(start)?;
        self.open.push(Element {
            name,
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
        if let Some(element) = self.open.last_mut() {
            element.returns |= text.contains('\r');
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
        if self.events > 1 || !version || !encoding {
            return Err(not_plain("a declaration other than XML 1.0 in UTF-8"));
        }
        Ok(())
    }
}

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, Refusal> {
    let mut attributes = Vec::new();
    for (count, attribute) in start.attributes().enumerate() {
        let attribute = attribute
            .map_err(|error| Refusal::Malformed(format!("the body is not valid XML: {error}")))?;
        if count >= MAX_ATTRIBUTES {
            return Err(not_plain("an element with many attributes"));
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| Refusal::Malformed(format!("the body is not valid XML: {error}")))?;
        match attribute.key.0 {
            "xmlns" => {}
            "xmlns:xsi" if value == XSI => {}
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
