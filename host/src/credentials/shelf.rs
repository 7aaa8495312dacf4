//! Credentials on the shelf: fetched once however many calls wait for them, renewed before they
//! end, and never handed out for another key.

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::error::CredentialsError;
use moka::future::Cache;
use time::OffsetDateTime;

/// A credential without an end, e.g. of a file, is read again after this.
const RECHECK: Duration = Duration::from_secs(60);
/// A credential this close to its end is not used any more.
const MARGIN: Duration = Duration::from_secs(60);
/// No credential outlives this, and no key is remembered longer.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);

/// Credentials by everything that went into them.
pub(super) struct Shelf<K> {
    cache: Cache<K, Arc<Kept>>,
}

struct Kept {
    credentials: AwsCredentials,
    /// From then on somebody renews it.
    due: SystemTime,
    /// From then on it is not used; absent for credentials without an end.
    end: Option<SystemTime>,
    /// Somebody renews it already.
    renewing: AtomicBool,
}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Shelf<K> {
    pub(super) fn new(size: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(size)
            .time_to_live(LONGEST)
            .build();
        Self { cache }
    }

    /// The credential for `key`, from `fetch` unless a good one is at hand. A failed fetch is
    /// remembered by nobody, and does no harm while the old credential lasts.
    pub(super) async fn get<F, Fut>(
        &self,
        key: K,
        now: OffsetDateTime,
        fetch: F,
    ) -> Result<AwsCredentials, Arc<CredentialsError>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<AwsCredentials, CredentialsError>>,
    {
        let now = system_time(now);
        let fetch = || async { fetch().await.map(|found| Kept::new(found, now)) };
        if let Some(kept) = self.cache.get(&key).await {
            if kept.is_over(now) {
                self.cache.invalidate(&key).await;
            } else if now < kept.due || kept.renewing.swap(true, Ordering::AcqRel) {
                return Ok(kept.credentials.clone());
            } else {
                return Ok(self.renew(key, &kept, fetch()).await);
            }
        }
        let kept = self.cache.try_get_with(key, fetch()).await?;
        Ok(kept.credentials.clone())
    }

    async fn renew(
        &self,
        key: K,
        kept: &Kept,
        fetch: impl Future<Output = Result<Arc<Kept>, CredentialsError>>,
    ) -> AwsCredentials {
        let claim = Claim(&kept.renewing);
        let renewed = fetch.await;
        drop(claim);
        match renewed {
            Ok(fresh) => {
                let credentials = fresh.credentials.clone();
                self.cache.insert(key, fresh).await;
                credentials
            }
            Err(error) => {
                let cause = aws_sdk_sts::error::DisplayErrorContext(&error);
                tracing::warn!(%cause, "a credential could not be renewed yet");
                kept.credentials.clone()
            }
        }
    }
}

/// Lets the next one renew when this one's call went away.
struct Claim<'a>(&'a AtomicBool);

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Kept {
    fn new(credentials: AwsCredentials, now: SystemTime) -> Arc<Self> {
        let end = credentials.expiry();
        let life = end.map_or(Duration::ZERO, |end| {
            end.duration_since(now).unwrap_or_default()
        });
        let wait = if end.is_some() {
            // Two thirds, less up to a tenth, so that a fleet does not renew at one moment.
            life * 2 / 3 - life / 1000 * jitter()
        } else {
            RECHECK
        };
        Arc::new(Self {
            credentials,
            due: now + wait,
            end,
            renewing: AtomicBool::new(false),
        })
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.end.is_some_and(|end| now + MARGIN >= end)
    }
}

/// 0 to 99, different each time; nothing secret depends on it.
fn jitter() -> u32 {
    u32::try_from(RandomState::new().hash_one(0_u8) % 100).unwrap_or(0)
}

fn system_time(now: OffsetDateTime) -> SystemTime {
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

impl<K> fmt::Debug for Shelf<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap()
    }

    fn lasting(seconds: i64) -> AwsCredentials {
        let end = system_time(at(seconds));
        AwsCredentials::new("AKID", "secret", None, Some(end), "test")
    }

    fn failing() -> Result<AwsCredentials, CredentialsError> {
        Err(CredentialsError::not_loaded("down"))
    }

    #[tokio::test]
    async fn many_calls_at_once_fetch_once() {
        let shelf = Shelf::new(10);
        let fetched = AtomicUsize::new(0);
        let fetch = || async {
            fetched.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(lasting(3600))
        };
        let one = || shelf.get("key", at(0), fetch);
        let (a, b, c) = tokio::join!(one(), one(), one());
        assert!(a.is_ok() && b.is_ok() && c.is_ok());
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_credential_is_renewed_before_its_end_and_outlives_a_failed_renewal() {
        let shelf = Shelf::new(10);
        let good = || async { Ok(lasting(3600)) };
        let down = || async { failing() };
        assert!(shelf.get("key", at(0), good).await.is_ok());
        assert!(shelf.get("key", at(2000), down).await.is_ok());
        // Due for renewal, and still good although that fails.
        assert!(shelf.get("key", at(3000), down).await.is_ok());
        assert!(shelf.get("key", at(3550), down).await.is_err());
        assert!(
            shelf
                .get("key", at(3550), || async { Ok(lasting(9000)) })
                .await
                .is_ok()
        );
        let kept = shelf.get("key", at(3600), down).await.unwrap();
        assert_eq!(kept.expiry(), lasting(9000).expiry());
    }

    #[tokio::test]
    async fn failures_are_not_remembered() {
        let shelf = Shelf::new(10);
        assert!(
            shelf
                .get("key", at(0), || async { failing() })
                .await
                .is_err()
        );
        assert!(
            shelf
                .get("key", at(0), || async { Ok(lasting(3600)) })
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_key_never_gets_the_credential_of_another() {
        let shelf = Shelf::new(10);
        for name in ["a", "b", "c", "a"] {
            let fetch = || async { Ok(AwsCredentials::new(name, "s", None, None, "test")) };
            let found = shelf.get(name, at(0), fetch).await.unwrap();
            assert_eq!(found.access_key_id(), name);
        }
    }
}
