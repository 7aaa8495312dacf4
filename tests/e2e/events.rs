//! Streams of signed events: both sides talk at once, every event is verified and signed anew, and
//! what breaks off is never ended for AWS.

mod clients;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::fixture::gateway::{Gateway, Setting};
use crate::fixture::sign::{Call, Payload, Session};
use crate::fixture::speaker::{self, End, Speaker, enveloped, said, text};
use crate::fixture::{child, idp, issuer, wire};

const EVENTS: &str = "STREAMING-AWS4-HMAC-SHA256-EVENTS";
const ROLE: &str = "arn:aws:iam::300000000001:role/agent";
const SCOPE: [&str; 2] = ["us-east-1", "lex"];

const POLICIES: &str = r#"
@id("talk")
permit (principal in Group::"agents", action in [Action::"service/lex", Action::"transcribe:StartStreamTranscription"], resource);

@id("english-only") @reason("Only English may be transcribed.")
forbid (principal, action == Action::"transcribe:StartStreamTranscription", resource)
unless { context.params.LanguageCode == "en-US" };

@id("not-there") @reason("That bot is for people only.")
forbid (principal, action == Action::"lex:StartConversation", resource)
when { context.params.sessionId like "forbidden*" };
"#;

struct Ground {
    speaker: Speaker,
    gateway: Gateway,
    session: Session,
}

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        let speaker = Speaker::start("speaker");
        let connection = json!({
            "name": "spoken",
            "account": "300000000001",
            "credentials": "environment",
            "endpoint": speaker.url(),
            "endpoint_ca": speaker.ca(),
            "roles": [{"name": "agent", "groups": ["agents"]}],
        });
        let gateway = Gateway::start(Setting {
            name: "events",
            connections: vec![connection],
            issuers: vec![issuer(idp().certified())],
            policies: vec![("talk.cedar", POLICIES.to_owned())],
            environment: [
                ("AWS_ACCESS_KEY_ID", speaker::KEY),
                ("AWS_SECRET_ACCESS_KEY", speaker::SECRET),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            ..Setting::default()
        });
        let session = gateway.session(ROLE, &idp().token("agent-ci"));
        Ground {
            speaker,
            gateway,
            session,
        }
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let limited = async { tokio::time::timeout(Duration::from_secs(120), work).await };
    runtime.unwrap().block_on(limited).unwrap()
}

/// An agent in the middle of a stream.
struct Talk {
    last: String,
    up: SendStream<Bytes>,
    answer: Option<ResponseFuture>,
    down: Option<RecvStream>,
    buffer: BytesMut,
    _driver: JoinHandle<()>,
}

impl Talk {
    async fn begin(word: &str) -> Self {
        Self::begin_with(lex(word)).await
    }

    async fn begin_with(call: Call) -> Self {
        let ground = ground();
        let signed = call.sign(&ground.session).without("host");
        let (client, driver) = connect().await;
        let mut request = Request::builder()
            .method(Method::from_bytes(signed.method.as_bytes()).unwrap())
            .uri(format!(
                "https://{}{}",
                ground.gateway.host(),
                signed.target
            ));
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        let mut client = client.ready().await.unwrap();
        let request = request.body(()).unwrap();
        let (answer, up) = client.send_request(request, false).unwrap();
        let mut headers = signed.headers.iter();
        let (_, authorization) = headers.find(|(name, _)| name == "authorization").unwrap();
        let (_, signature) = authorization.rsplit_once('=').unwrap();
        Self {
            last: signature.to_owned(),
            up,
            answer: Some(answer),
            down: None,
            buffer: BytesMut::new(),
            _driver: driver,
        }
    }

    /// Wraps an event, or the end.
    fn sealed(&mut self, event: Option<&Message>) -> Vec<u8> {
        let session = &ground().session;
        let (message, last) = enveloped(session, event, &self.last, SystemTime::now(), SCOPE);
        self.last = last;
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.up.send_data(bytes.into(), false).unwrap();
    }

    fn say(&mut self, text: &str) {
        let bytes = self.sealed(Some(&spoken(text)));
        self.send(bytes);
    }

    fn end(&mut self) {
        let bytes = self.sealed(None);
        self.up.send_data(bytes.into(), true).unwrap();
    }

    /// The answer's head.
    async fn head(&mut self) -> Response<()> {
        let (head, down) = self.answer.take().unwrap().await.unwrap().into_parts();
        self.down = Some(down);
        Response::from_parts(head, ())
    }

    /// The next event; none at the end of the answer, an error where it breaks off.
    async fn hear(&mut self) -> Result<Option<Message>, h2::Error> {
        if self.answer.is_some() {
            assert_eq!(self.head().await.status(), 200);
        }
        loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.buffer.len() >= length {
                    let bytes = self.buffer.split_to(length).freeze();
                    return Ok(Some(read_message_from(&mut bytes.clone()).unwrap()));
                }
            }
            match self.next().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, h2::Error> {
        let down = self.down.as_mut().unwrap();
        let Some(bytes) = down.data().await.transpose()? else {
            return Ok(None);
        };
        down.flow_control().release_capacity(bytes.len())?;
        Ok(Some(bytes))
    }

    /// The whole of an answer that is no stream.
    async fn text(&mut self) -> (u16, String) {
        let head = self.head().await;
        let mut text = Vec::new();
        while let Some(bytes) = self.next().await.unwrap() {
            text.extend_from_slice(&bytes);
        }
        (head.status().as_u16(), String::from_utf8(text).unwrap())
    }

    /// What ends the answer, once the events before it are heard.
    async fn reason(&mut self) -> (String, String) {
        loop {
            let heard = self
                .hear()
                .await
                .unwrap()
                .expect("the answer ends without a reason");
            if text(&heard, ":message-type") == "error" {
                assert_eq!(self.hear().await.unwrap(), None);
                return (text(&heard, ":error-code"), text(&heard, ":error-message"));
            }
        }
    }
}

async fn connect() -> (SendRequest<Bytes>, JoinHandle<()>) {
    let gateway = &ground().gateway;
    let mut trust = wire::trust(&gateway.ca());
    trust.alpn_protocols = vec![b"h2".to_vec()];
    let socket = TcpStream::connect(gateway.address()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let tls = TlsConnector::from(Arc::new(trust));
    let stream = tls.connect(name, socket).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(async { connection.await.unwrap_or_default() });
    (client, driver)
}

fn path(word: &str) -> String {
    format!("/bots/BOT/botAliases/ALIAS/botLocales/en_US/sessions/{word}/conversation")
}

/// The head of a conversation; `word` names it, and asks the speaker for what it should do.
fn lex(word: &str) -> Call {
    Call {
        method: "POST",
        target: path(word),
        service: "lex",
        headers: Vec::new(),
        body: Vec::new(),
        payload: Payload::SignedChunks(EVENTS),
        ..Call::dynamodb(&ground().gateway.host(), "", "")
    }
    .with("content-type", "application/vnd.amazon.eventstream")
    .with("x-amz-content-sha256", EVENTS)
}

fn spoken(text: &str) -> Message {
    said(
        "TextInputEvent",
        json!({"text": text}).to_string().as_bytes(),
    )
}

/// The record of the one call to that session, once it says how it ended.
fn record(word: &str) -> Value {
    child::until("the record to be closed", Duration::from_secs(30), || {
        let audit = ground().gateway.audit();
        let mut own = audit
            .into_iter()
            .filter(|record| record["params"]["sessionId"] == word);
        let record = own.next().filter(|record| record["outcome"].is_string())?;
        assert!(own.next().is_none());
        Some(record)
    })
}

#[test]
fn both_sides_talk_before_either_ends() {
    let word = "both";
    let heard = block_on(async {
        let mut talk = Talk::begin(word).await;
        let head = talk.head().await;
        assert_eq!(head.status(), 200);
        let mut heard = Vec::new();
        for text in ["one", "two", "three"] {
            talk.say(text);
            // The agent goes on only when AWS has answered.
            heard.push(talk.hear().await.unwrap().unwrap());
        }
        talk.end();
        assert_eq!(
            text(&talk.hear().await.unwrap().unwrap(), ":event-type"),
            "Bye"
        );
        assert_eq!(talk.hear().await.unwrap(), None);
        heard
    });
    assert_eq!(heard, ["one", "two", "three"].map(spoken));
    let upstream = ground().speaker.ended(word);
    assert_eq!(upstream.end, End::Complete);
    assert_eq!(upstream.events.len(), 3);
    let record = record(word);
    assert_eq!(record["outcome"], "answered");
    assert_eq!(record["operation"], "StartConversation");
    assert_eq!(record["actions"], json!(["lex:StartConversation"]));
    assert_eq!(record["aws_request_id"], "SPOKEN-1");
    assert_eq!(record["error_code"], Value::Null);
}

#[test]
fn events_in_pieces_and_many_at_once_arrive_alike() {
    let word = "pieces";
    block_on(async {
        let mut talk = Talk::begin(word).await;
        let mut bytes = Vec::new();
        for text in 0..40 {
            bytes.extend(talk.sealed(Some(&spoken(&text.to_string()))));
        }
        for piece in bytes.chunks(97) {
            talk.send(piece.to_vec());
        }
        talk.end();
        while talk.hear().await.unwrap().is_some() {}
    });
    let upstream = ground().speaker.ended(word);
    assert_eq!(upstream.end, End::Complete);
    let expected = (0..40).map(|text| spoken(&text.to_string()));
    let expected: Vec<_> = expected.map(|event| event.payload().clone()).collect();
    let seen: Vec<_> = upstream
        .events
        .into_iter()
        .map(|(_, bytes)| bytes)
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_conversation_that_policy_forbids_is_refused_on_its_head() {
    let word = "forbidden-1";
    let (status, text) = block_on(async {
        let mut talk = Talk::begin(word).await;
        // Not even the first event is waited for.
        talk.text().await
    });
    assert_eq!(status, 403);
    assert!(text.contains("AccessDeniedException"), "{text}");
    assert!(text.contains("people only"), "{text}");
    assert!(ground().speaker.heard(word).is_empty());
    assert_eq!(record(word)["decision"], "deny");
}

/// What an agent sends wrong in the middle, and the code that it is answered with.
fn broken(word: &str, send: impl FnOnce(&mut Talk), code: &str) -> String {
    let (seen, message) = block_on(async {
        let mut talk = Talk::begin(word).await;
        talk.say("right");
        assert_eq!(talk.hear().await.unwrap(), Some(spoken("right")));
        send(&mut talk);
        talk.reason().await
    });
    assert_eq!(seen, code, "{word}: {message}");
    let upstream = ground().speaker.ended(word);
    assert!(
        matches!(upstream.end, End::Broken(_)),
        "{word}: {upstream:?}"
    );
    assert_eq!(upstream.events.len(), 1, "{word}: {upstream:?}");
    let record = record(word);
    assert_eq!(record["outcome"], "interrupted", "{word}: {record}");
    assert_eq!(record["error_code"], code, "{word}: {record}");
    assert_eq!(record["error_class"], "downstream", "{word}: {record}");
    message
}

#[test]
fn a_tampered_event_breaks_the_conversation_off() {
    let flip = |talk: &mut Talk, at: usize| {
        let signed = talk.sealed(Some(&spoken("tampered")));
        let mut envelope = read_message_from(&mut &signed[..]).unwrap();
        let mut inside = envelope.payload().to_vec();
        inside[at] ^= 1;
        envelope = envelope
            .headers()
            .iter()
            .fold(Message::new(Bytes::from(inside)), |message, header| {
                message.add_header(header.clone())
            });
        let mut bytes = Vec::new();
        write_message_to(&envelope, &mut bytes).unwrap();
        talk.send(bytes);
    };
    // The envelope is whole, but not what was signed.
    let inner = |talk: &mut Talk| flip(talk, 60);
    broken("tampered-inside", inner, "ValidationException");
    let forged = |talk: &mut Talk| {
        let last = "0".repeat(64);
        let right = std::mem::replace(&mut talk.last, last);
        talk.say("forged");
        talk.last = right;
    };
    broken("tampered-chain", forged, "InvalidSignatureException");
    let twice = |talk: &mut Talk| {
        let bytes = talk.sealed(Some(&spoken("twice")));
        let mut both = bytes.clone();
        both.extend(bytes);
        // Neither of them may be there twice; the first is right.
        talk.send(both[both.len() / 2 + 1..].to_vec());
    };
    broken("tampered-cut", twice, "ValidationException");
}

#[test]
fn an_event_that_the_model_does_not_have_breaks_the_conversation_off() {
    let unknown = |talk: &mut Talk| {
        let bytes = talk.sealed(Some(&said("ShellEvent", b"{}")));
        talk.send(bytes);
    };
    let message = broken("unknown", unknown, "ValidationException");
    assert!(message.contains("no event of that name"), "{message}");
    let misspelt = |talk: &mut Talk| {
        let bytes = talk.sealed(Some(&said("TextInputEvent", br#"{"Text":"a"}"#)));
        talk.send(bytes);
    };
    broken("misspelt", misspelt, "ValidationException");
}

#[test]
fn a_stream_without_its_end_is_never_ended_for_aws() {
    let early = |talk: &mut Talk| talk.up.send_data(Bytes::new(), true).unwrap();
    let message = broken("early", early, "ValidationException");
    assert!(
        message.contains("without its signed empty message"),
        "{message}"
    );
    let half = |talk: &mut Talk| {
        let mut bytes = talk.sealed(None);
        bytes.pop();
        talk.up.send_data(bytes.into(), true).unwrap();
    };
    broken("half", half, "ValidationException");
    let behind = |talk: &mut Talk| {
        let mut bytes = talk.sealed(None);
        bytes.extend(talk.sealed(Some(&spoken("behind"))));
        talk.up.send_data(bytes.into(), true).unwrap();
    };
    let message = broken("behind", behind, "ValidationException");
    assert!(message.contains("behind its end"), "{message}");
}

#[test]
fn what_breaks_off_before_an_answer_is_refused_natively() {
    let word = "slow-tampered";
    let (status, text) = block_on(async {
        let mut talk = Talk::begin(word).await;
        talk.last = "0".repeat(64);
        talk.say("forged");
        talk.text().await
    });
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("InvalidSignatureException"), "{text}");
    let upstream = ground().speaker.ended(word);
    assert!(matches!(upstream.end, End::Broken(_)), "{upstream:?}");
    assert!(upstream.events.is_empty());
    assert_eq!(record(word)["error_code"], "InvalidSignatureException");
}

#[test]
fn an_agent_that_vanishes_leaves_a_broken_stream() {
    let word = "vanished";
    block_on(async {
        let mut talk = Talk::begin(word).await;
        talk.say("here");
        assert_eq!(talk.hear().await.unwrap(), Some(spoken("here")));
    });
    let upstream = ground().speaker.ended(word);
    assert!(matches!(upstream.end, End::Broken(_)), "{upstream:?}");
    assert_eq!(record(word)["outcome"], "interrupted");
}

#[test]
fn an_exception_of_aws_in_mid_stream_reaches_the_agent() {
    let word = "failing";
    let heard = block_on(async {
        let mut talk = Talk::begin(word).await;
        talk.say("one");
        let heard = talk.hear().await.unwrap().unwrap();
        assert_eq!(talk.hear().await.unwrap(), None);
        heard
    });
    assert_eq!(text(&heard, ":exception-type"), "ThrottlingException");
    let record = record(word);
    assert_eq!(record["outcome"], "answered");
    assert_eq!(record["error_code"], "ThrottlingException");
}

#[test]
fn events_that_are_not_signed_or_not_wanted_are_refused() {
    let refused = |call: Call| {
        let (status, text) = block_on(async {
            let mut talk = Talk::begin_with(call).await;
            talk.up.send_data(Bytes::new(), true).unwrap();
            talk.text().await
        });
        assert!(matches!(status, 400 | 403), "{text}");
        text
    };
    let unsigned = Call {
        payload: Payload::Digest,
        headers: vec![(
            "content-type".to_owned(),
            "application/vnd.amazon.eventstream".to_owned(),
        )],
        ..lex("refused-unsigned")
    };
    assert!(refused(unsigned).contains("must be signed"));
    let elsewhere = Call {
        target: "/bots/BOT/botAliases/ALIAS/botLocales/en_US/sessions/refused-elsewhere/text"
            .to_owned(),
        ..lex("")
    };
    assert!(refused(elsewhere).contains("only taken by operations"));
    let other = lex("refused-other").with("content-encoding", "gzip");
    refused(other);
    let framed = lex("refused-framed").with("content-encoding", "aws-chunked");
    refused(framed);
    let json = Call {
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("x-amz-content-sha256".to_owned(), EVENTS.to_owned()),
        ],
        ..lex("refused-json")
    };
    refused(json);
    assert!(ground().speaker.heard("refused").is_empty());
}

/// Four times what the gateway may grow by.
#[test]
fn a_long_conversation_needs_no_memory() {
    let word = "silent-long";
    let peak = || {
        let id = ground().gateway.process().lock().unwrap().id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let long = "a".repeat(40_000);
    block_on(async {
        let mut talk = Talk::begin(word).await;
        talk.head().await;
        talk.say(&long);
        let before = peak();
        for _ in 0..400 {
            let bytes = talk.sealed(Some(&spoken(&long)));
            flow(&mut talk.up, bytes).await;
        }
        talk.end();
        while talk.hear().await.unwrap().is_some() {}
        let grown = peak().saturating_sub(before);
        assert!(grown < 4 * 1024, "{grown} KiB more for 16 MB");
    });
    let upstream = ground().speaker.ended(word);
    assert_eq!((upstream.end, upstream.events.len()), (End::Complete, 401));
}

/// Sends no more than the other side takes.
async fn flow(up: &mut SendStream<Bytes>, bytes: Vec<u8>) {
    let mut bytes = Bytes::from(bytes);
    while !bytes.is_empty() {
        up.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|context| up.poll_capacity(context)).await;
        let piece = bytes.split_to(room.unwrap().unwrap().min(bytes.len()));
        up.send_data(piece, false).unwrap();
    }
}
