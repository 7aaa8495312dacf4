//! Paths and queries have one spelling each.

use super::*;

#[test]
fn paths_have_one_spelling() {
    let parse = |sample: Sample, path: &str| {
        let (mut head, _) = sample.sign();
        head.path = path.to_owned();
        SignedRequest::parse(head).map(|request| request.head.path)
    };
    for path in [
        "/b/a%20b/%C3%BC%2B~%252F%26%3D%3F.txt",
        "/b/..//x",
        "/b/a//b/./c/../d",
        "/b/%2E%2E".replace("%2E", ".").as_str(),
        "/b/%2A%21%27%28%29%40%3A%2C%3B%24%5B%5D%7B%7D%7C%5E%60%3C%3E%5C%22%23",
    ] {
        assert_eq!(parse(Sample::s3_get(), path).as_deref(), Ok(path));
    }
    for path in [
        "/b/a+b",
        "/b/a%2fb",
        "/b/%41",
        "/b/%7E",
        "/b/a b",
        "/b/ü",
        "/b/!",
        "/b/%",
        "/b/%2",
        "/b/%GG",
        "/b/%C0%AF",
        "/b/%FF",
        "/b/%00",
        "/b/\u{1}",
        "b/k",
        "",
    ] {
        assert!(parse(Sample::s3_get(), path).is_err(), "{path}");
    }
    for (path, signed) in [
        ("/a/../b", "/b"),
        ("//a//", "/a/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/../..", "/"),
        ("/.well-known", "/.well-known"),
        ("/a%2Fb:c@d%3a", "/a%2Fb:c@d%3a"),
    ] {
        assert_eq!(parse(Sample::lambda(), path).as_deref(), Ok(signed));
    }
    for path in [
        "/a/%2E%2E/b",
        "/a/%2e",
        "/a/.%2E",
        "/%00",
        "/%C0%AF",
        "/%zz",
        "a",
    ] {
        assert!(parse(Sample::lambda(), path).is_err(), "{path}");
    }
}

#[test]
fn queries_have_one_canonical_form() {
    for (query, expected) in [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&a=1&A=3", "A=3&a=1&a=2"),
        ("a-b=1&a=2&a%2Fb=3", "a=2&a%2Fb=3&a-b=1"),
        ("prefix=a/b:c", "prefix=a%2Fb%3Ac"),
        ("k=a=b", "k=a%3Db"),
        ("k=%C3%BC~%252F", "k=%C3%BC~%252F"),
    ] {
        assert_eq!(canonical::query(query).as_deref(), Ok(expected), "{query}");
    }
    for query in [
        "a+b", "a=b+c", "a=%2f", "a=%41", "a=%", "a=%2", "a=%zz", "a=%00", "a=%FF", "&", "a&",
        "=v", "a=\n",
    ] {
        assert!(canonical::query(query).is_err(), "{query}");
    }
}
