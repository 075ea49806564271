//! The flags about live control: of the responder, and of the commands that talk to it.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args};

use crate::codes::{ErrorCodeChoice, ResultCode};
use crate::control::client::Whom;
use crate::control::protocol;
use crate::scenario::Prefix;

/// The value of `run --control`: where the socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlChoice {
    /// There.
    At(PathBuf),
    /// Nowhere.
    Nowhere,
}

impl FromStr for ControlChoice {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "none" => Self::Nowhere,
            path => Self::At(path.into()),
        })
    }
}

/// Which responder is meant.
#[derive(Debug, Args)]
pub struct Which {
    /// The responder on this interface [default: the only one that runs].
    #[arg(short, long, value_name = "NAME", conflicts_with = "control")]
    pub interface: Option<String>,

    /// The responder that was started with this --control.
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
}

/// Which responder is meant, and how its response is shown.
#[derive(Debug, Args)]
pub struct Target {
    /// Which responder.
    #[command(flatten)]
    pub which: Which,

    /// Print the response as a line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// The flags of `broken-lns set`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct Set {
    /// Result code of the StopCCN: a number from 0 to 65535 or a name of `broken-lns codes`.
    #[arg(long, value_name = "CODE", group = "change")]
    pub result_code: Option<ResultCode>,

    /// Error code of the StopCCN: a number from 0 to 65535, a name of `broken-lns codes`, or
    /// `none` to leave error code and message out.
    #[arg(long, value_name = "CODE|none", group = "change")]
    pub error_code: Option<ErrorCodeChoice>,

    /// Error message of the StopCCN, up to 1013 octets; an empty one is left out.
    #[arg(long, value_name = "TEXT", group = "change")]
    pub error_message: Option<String>,

    /// LNS addresses that it is for: an address or a prefix [default: all without a rule].
    #[arg(long, value_name = "PREFIX")]
    pub lns: Option<Prefix>,

    /// Which responder.
    #[command(flatten)]
    pub target: Target,
}

/// The flags of `broken-lns load`.
#[derive(Debug, Args)]
pub struct Load {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Which responder.
    #[command(flatten)]
    pub target: Target,
}

impl Which {
    /// The responder that is meant.
    pub fn whom(&self) -> Whom {
        match (&self.interface, &self.control) {
            (_, Some(path)) => Whom::Socket(path.clone()),
            (Some(name), None) => Whom::Interface(name.clone()),
            (None, None) => Whom::Only,
        }
    }
}

impl Set {
    /// What is to be different.
    pub fn change(&self) -> protocol::Set {
        protocol::Set {
            result_code: self.result_code,
            error_code: self.error_code,
            error_message: self.error_message.clone(),
            lns: self.lns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::codes::ErrorCode;

    fn read(arguments: &[&str]) -> Result<Command, clap::Error> {
        let arguments = ["broken-lns"].iter().chain(arguments);
        Cli::from_arguments(arguments).map(|cli| cli.command)
    }

    fn target(arguments: &[&str]) -> Target {
        match read(&[&["status"], arguments].concat()) {
            Ok(Command::Status(target)) => target,
            other => unreachable!("the arguments say status: {other:?}"),
        }
    }

    #[test]
    fn a_responder_is_meant_by_its_interface_or_its_socket() {
        assert_eq!(target(&[]).which.whom(), Whom::Only);
        for flag in ["-i", "--interface"] {
            let whom = target(&[flag, "eth1"]).which.whom();
            assert_eq!(whom, Whom::Interface("eth1".to_owned()));
        }
        let by_socket = target(&["--control", "/tmp/lns.sock", "--json"]);
        assert_eq!(by_socket.which.whom(), Whom::Socket("/tmp/lns.sock".into()));
        assert!(by_socket.json);
    }

    #[test]
    fn a_change_is_what_its_flags_say() {
        let all = read(&[
            "set",
            "--result-code",
            "general-error",
            "--error-code",
            "6",
            "--error-message",
            "Oh, no!",
            "--lns",
            "192.0.2.0/24",
        ]);
        let Ok(Command::Set(all)) = all else {
            unreachable!("the arguments say set: {all:?}");
        };
        assert_eq!(
            all.change(),
            protocol::Set {
                result_code: Some(ResultCode(2)),
                error_code: Some(ErrorCodeChoice(Some(ErrorCode(6)))),
                error_message: Some("Oh, no!".to_owned()),
                lns: Some("192.0.2.0/24".parse().expect("a prefix")),
            }
        );
    }

    #[test]
    fn where_the_socket_is_can_be_chosen() {
        let choice = |flags: &[&str]| match read(&[&["run"], flags].concat()) {
            Ok(Command::Run(run)) => run.control,
            other => unreachable!("the arguments say run: {other:?}"),
        };
        assert_eq!(choice(&[]), None);
        assert_eq!(choice(&["--control", "none"]), Some(ControlChoice::Nowhere));
        assert_eq!(
            choice(&["--control", "./none"]),
            Some(ControlChoice::At("./none".into()))
        );
    }

    #[test]
    fn wrong_usage_says_what_is_wrong() {
        for (arguments, message) in [
            (
                &["set"][..],
                "<--result-code <CODE>|--error-code <CODE|none>|--error-message <TEXT>>",
            ),
            (
                &["set", "--lns", "192.0.2.1"],
                "<--result-code <CODE>|--error-code <CODE|none>|--error-message <TEXT>>",
            ),
            (
                &["set", "--result-code", "2", "--lns", "192.0.2.7/24"],
                "192.0.2.7/24 has bits beyond its length",
            ),
            (&["load"], "<FILE>"),
            (
                &["stop", "-i", "eth1", "--control", "x"],
                "cannot be used with",
            ),
        ] {
            let error = read(arguments).expect_err("this is wrong usage");
            assert!(
                error.to_string().contains(message),
                "{arguments:?}: {error}"
            );
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
    }
}
