//! Faults of a stream as errors.

use vta_sim::{Fault, Kind, QueueState};

use crate::Error;

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        let site = fault.site.as_ref().map(|site| format!("{site}: "));
        let mut message = format!("{}{}", site.unwrap_or_default(), fault.cause);
        // Empty queues have nothing to tell.
        if *fault.queues != QueueState::default() {
            message += &format!("\n{}", fault.queues);
        }
        let error = match fault.cause.kind() {
            Kind::Stream | Kind::Call => Error::input(message),
            Kind::Limit => Error::limit(message),
        };
        error.help(fault.cause.remedy())
    }
}
