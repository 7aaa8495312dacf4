//! Calls that the gateway carries out itself: its own STS, sessions with directory buckets, and minting what works outside. They are
//! decoded, decided and recorded like every other call.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use portcullis_core::access::Permit;
use portcullis_core::call::Call;
use portcullis_core::directory_bucket::SessionRequest;
use portcullis_core::interpret::{Place, Witness, interpret};
use portcullis_core::mint::Order;
use portcullis_core::record::{End, Outcome};
use portcullis_core::refusal::Refusal;
use portcullis_core::sigv4::VerifiedRequest;
use portcullis_core::sts;

use crate::body::ResponseBody;
use crate::clock;
use crate::pipeline::Gateway;
use crate::progress::Progress;
use crate::reply::{Ended, Reply};
use crate::telemetry::Step;
use crate::upstream::Means;

/// What is not sent to AWS as it came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Errand {
    /// A session with a directory bucket.
    DirectorySession(SessionRequest),
    /// Something for use outside the gateway.
    Mint(Order),
    /// A call to STS.
    Sts(sts::Request),
}

impl Errand {
    /// What of a call that was understood the gateway does itself.
    ///
    /// # Errors
    /// Those of [`SessionRequest::of`] and [`sts::Request::of`].
    pub(crate) fn of(call: &Call, order: Option<Order>) -> Result<Option<Self>, Refusal> {
        if let Some(order) = order {
            return Ok(Some(Self::Mint(order)));
        }
        if let Some(request) = SessionRequest::of(call)? {
            return Ok(Some(Self::DirectorySession(request)));
        }
        Ok(sts::Request::of(call)?.map(Self::Sts))
    }
}

impl Gateway {
    /// Reads the call that a verified request is, or the order.
    ///
    /// # Errors
    /// Those of [`interpret`], [`Order::of`] and [`Order::call`].
    pub(crate) fn understand(
        &self,
        verified: &VerifiedRequest,
        place: &Place,
        witness: Witness<'_>,
    ) -> Result<(Call, Option<Order>), Refusal> {
        if let Some(order) = Order::of(verified)? {
            let call = order.call(self.catalog, verified, place)?;
            return Ok((call, Some(order)));
        }
        Ok((interpret(self.catalog, verified, place, witness)?, None))
    }

    /// Carries out what was permitted.
    ///
    /// # Errors
    /// Whatever keeps it from being carried out or recorded.
    pub(crate) async fn run_errand(
        &self,
        permit: Permit,
        errand: &Errand,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        progress.end(Step::Decide, &self.times);
        match errand {
            Errand::DirectorySession(request) => {
                self.sign_in
                    .directory_session(permit, request, progress)
                    .await
            }
            Errand::Mint(order) => self.mint(permit, order, progress).await,
            Errand::Sts(request) => self.sign_in.answer(permit, request, progress).await,
        }
    }

    async fn mint(
        &self,
        permit: Permit,
        order: &Order,
        progress: &mut Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        progress.permitted();
        let recorded = self.audit.intent(&progress.intent()).await?;
        let reply = Reply::new(self.audit.clone(), recorded);
        progress.end(Step::Record, &self.times);
        let now = progress.opened_at;
        let credentials = match self.credentials.mint(&permit, now).await {
            Ok(credentials) => credentials,
            Err(refusal) => return Err(reply.refuse(refusal, progress).await),
        };
        progress.end(Step::Mint, &self.times);
        let means = Means {
            credentials: &credentials,
            now,
            longest: self.mint_longest,
        };
        let minting = self.upstream.mint(permit, reply.recorded(), order, means);
        let minted = match minting.await {
            Ok(minted) => format!("{minted}\n"),
            Err(refusal) => return Err(reply.refuse(refusal, progress).await),
        };
        progress.end(Step::Send, &self.times);
        reply.minted(Bytes::from(minted), progress).await
    }
}

impl Reply {
    /// Records that something was minted and hands it on.
    async fn minted(
        self,
        body: Bytes,
        progress: &Progress,
    ) -> Result<Response<ResponseBody>, Ended> {
        let outcome = Outcome {
            status: Some(200),
            response_bytes: Some(body.len() as u64),
            timings: progress.timings(),
            ..Outcome::new(End::Answered, clock::now())
        };
        self.close(&outcome).await?;
        let mut response = Response::new(ResponseBody::from(body));
        let headers = response.headers_mut();
        let media = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, media);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
