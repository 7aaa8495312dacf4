//! Gateway credentials: an access key, a secret and a sealed session token that any gateway with
//! the key ring can open, and that are worth nothing anywhere else.
