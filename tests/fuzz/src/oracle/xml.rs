//! roxmltree, another XML parser: every text and attribute of the document is in the call.

use portcullis_core::call::Value;
use roxmltree::{Document, Node};

/// Every text of the body was decoded.
pub(crate) fn contained(body: &[u8], params: &Value) {
    if body.is_empty() || super::verbatim(body, params) {
        return;
    }
    let text = std::str::from_utf8(body).expect("accepted, but not text");
    // A character that XML does not have, or a name it does not allow, is for AWS to refuse: no
    // reader reads it as something else.
    let Ok(document) = Document::parse(text) else {
        return;
    };
    let mut texts = Vec::new();
    collect(document.root_element(), &mut texts);
    super::assert_all_read(texts, params);
    let comments = document
        .descendants()
        .any(|node| node.is_comment() || node.is_pi());
    assert!(
        !comments,
        "a comment or processing instruction was accepted"
    );
}

/// Another root, a document type, a comment that splits the document, children of another namespace.
pub(crate) fn second_readings(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut bent = vec![
        ("a second root", [body, b"<a/>"].concat()),
        ("a comment", [body, b"<!-- -->"].concat()),
        ("a document type", [b"<!DOCTYPE a>", body].concat()),
    ];
    let text = std::str::from_utf8(body).expect("accepted, but not text");
    let Ok(document) = Document::parse(text) else {
        return bent;
    };
    let child = document.root_element().first_element_child();
    if let Some(name) = child.map(|child| child.range().start + 1 + child.tag_name().name().len()) {
        let foreign = [&body[..name], b" xmlns=\"urn:other\"", &body[name..]].concat();
        bent.push(("a child of another namespace", foreign));
    }
    bent
}

fn collect(node: Node<'_, '_>, texts: &mut Vec<String>) {
    texts.extend(
        node.attributes()
            .map(|attribute| attribute.value().to_owned()),
    );
    if node.children().any(|child| child.is_element()) {
        node.children().for_each(|child| collect(child, texts));
        return;
    }
    let text = node.text().unwrap_or_default();
    if node.is_element() && !text.trim().is_empty() {
        texts.push(text.to_owned());
    }
}
