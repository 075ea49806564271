//! The flag about metrics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reads the value of `run --metrics`: `ADDR:PORT`, or a port alone, which is one of 127.0.0.1.
pub(super) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit()) {
        return match port.parse() {
            Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
            Err(_) => Err("a port is a number from 0 to 65535".to_owned()),
        };
    }
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    Err(match bare.unwrap_or(text).parse() {
        Ok(IpAddr::V4(address)) => format!("has no port; give one, such as {address}:9100"),
        Ok(IpAddr::V6(address)) => format!("has no port; give one, such as [{address}]:9100"),
        Err(_) => {
            "not an address and a port; give them as 127.0.0.1:9100 or [::1]:9100, or a port \
             alone for 127.0.0.1"
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};

    fn address(value: &str) -> Result<Option<SocketAddr>, clap::Error> {
        match Cli::from_arguments(["broken-lns", "run", "--metrics", value])?.command {
            Command::Run(run) => Ok(run.metrics),
            _ => unreachable!("the arguments say run"),
        }
    }

    #[test]
    fn a_port_alone_is_of_loopback() {
        for (value, expected) in [
            ("9100", "127.0.0.1:9100"),
            (":9100", "127.0.0.1:9100"),
            ("0", "127.0.0.1:0"),
            ("192.0.2.7:9100", "192.0.2.7:9100"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::1]:9100", "[::1]:9100"),
            ("[::]:9100", "[::]:9100"),
        ] {
            let expected = expected.parse().expect(expected);
            assert_eq!(address(value).expect(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn metrics_are_off_unless_asked_for() {
        let cli = Cli::from_arguments(["broken-lns", "run"]).expect("every flag has a default");
        let Command::Run(run) = cli.command else {
            unreachable!("the arguments say run");
        };
        assert_eq!(run.metrics, None);
    }

    #[test]
    fn wrong_usage_says_what_is_wrong() {
        for (value, message) in [
            ("65536", "a port is a number from 0 to 65535"),
            (":65536", "a port is a number from 0 to 65535"),
            ("127.0.0.1", "has no port; give one, such as 127.0.0.1:9100"),
            ("::1", "has no port; give one, such as [::1]:9100"),
            ("[::1]", "has no port; give one, such as [::1]:9100"),
            ("localhost:9100", "not an address and a port"),
            (":", "not an address and a port"),
            ("", "not an address and a port"),
            ("127.0.0.1:65536", "not an address and a port"),
        ] {
            let error = address(value).expect_err(value);
            assert!(error.to_string().contains(message), "{value}: {error}");
            assert_eq!(error.exit_code(), 2, "{value}");
        }
    }
}
