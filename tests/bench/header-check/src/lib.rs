//! The least that a policy in Envoy could be: it lets pass what reads from DynamoDB.
//!
//! It decodes no body, knows no resource and writes no record.

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Call))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Call;

impl Context for Call {}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let target = self.get_http_request_header("x-amz-target");
        if target.is_some_and(|target| target.starts_with("DynamoDB_20120810.Describe")) {
            return Action::Continue;
        }
        // Pausing is the denial, whether or not the answer could be written.
        hostcalls::send_http_response(403, Vec::new(), Some(b"denied")).ok();
        Action::Pause
    }
}
