//! From a verified request to the AWS call it is, by the service's own model and in one reading
//! only.
