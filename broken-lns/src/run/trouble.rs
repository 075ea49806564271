//! Troubles that pass: they are told of once, and what they kept from being done is tried again.

use crate::responder::ResponderError;

/// What kept the loop from looking at the interfaces the last time, if anything did.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<String>);

impl Trouble {
    /// Everything went well: what comes next is told of again.
    pub(super) fn is_over(&mut self) {
        self.0 = None;
    }

    /// What to say about an error, which is nothing where it was said the last time.
    ///
    /// # Errors
    ///
    /// The same, where it is no trouble that passes.
    pub(super) fn came(&mut self, error: ResponderError) -> Result<Option<String>, ResponderError> {
        if !error.is_passing() {
            return Err(error);
        }
        let line = format!(
            "warning: {:#}; it is tried again each second",
            anyhow::Error::from(error)
        );
        let is_known = self.0.as_ref() == Some(&line);
        Ok((!is_known).then(|| self.0.insert(line).clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn counters(number: i32) -> ResponderError {
        ResponderError::Counters {
            interface: "eth1".to_owned(),
            cause: io::Error::from_raw_os_error(number),
        }
    }

    #[test]
    fn what_passes_is_told_of_once() {
        let mut trouble = Trouble::default();
        let mut told = |number| trouble.came(counters(number)).expect("it passes");
        let line = told(libc::EMFILE).expect("it is new");
        assert_eq!(
            line,
            "warning: eth1: cannot read the counters: Too many open files (os error 24); \
             it is tried again each second"
        );
        assert_eq!(told(libc::EMFILE), None);
        assert!(told(libc::ENOMEM).is_some(), "another one is new");
        assert_eq!(told(libc::ENOMEM), None);
        trouble.is_over();
        let again = trouble.came(counters(libc::ENOMEM)).expect("it passes");
        assert!(again.is_some(), "it was over");
    }

    #[test]
    fn what_does_not_pass_ends_the_run() {
        let mut trouble = Trouble::default();
        for error in [
            counters(libc::EPERM),
            ResponderError::Gone("eth1".to_owned()),
            ResponderError::WorkerEnded {
                interface: "eth1".to_owned(),
                queue: 0,
                cause: io::Error::from_raw_os_error(libc::ENOMEM),
            },
        ] {
            trouble.came(error).expect_err("it stays");
        }
    }
}
