//! Whether an interface is still there, asked again and again.

use super::link::Connection;
use super::{Interface, InterfaceError};

/// Asks for one interface, by the same socket as long as that works: there may be times at which
/// no other one can be opened.
pub struct Presence {
    index: u32,
    name: String,
    connection: Option<Connection>,
}

impl Presence {
    /// That of an interface in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::Query`], if the system has no socket for it.
    pub fn of(interface: &Interface) -> Result<Self, InterfaceError> {
        let mut presence = Self {
            index: interface.index,
            name: interface.name.clone(),
            connection: None,
        };
        presence.is_there()?;
        Ok(presence)
    }

    /// Whether the interface still exists in this namespace.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::Query`], if the kernel does not tell.
    pub fn is_there(&mut self) -> Result<bool, InterfaceError> {
        let query_error = |source| InterfaceError::Query {
            name: self.name.clone(),
            source,
        };
        // An answer that was not read would be taken for that to the next question, so that what
        // failed once is not asked again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open().map_err(query_error)?,
        };
        let link = connection.by_index(self.index).map_err(query_error)?;
        self.connection = Some(connection);
        Ok(link.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_goes_by_the_index() {
        let lo = Interface::by_name("lo").expect("every network namespace has one");
        let is_there = |interface: &Interface| {
            let mut presence = Presence::of(interface).expect("netlink answers anybody");
            let answers: [_; 3] = std::array::from_fn(|_| presence.is_there());
            answers.map(|answer| answer.expect("netlink answers anybody"))
        };
        assert_eq!(is_there(&lo), [true; 3]);
        let nobody = Interface {
            index: 0x7fff_fff0,
            ..lo
        };
        assert_eq!(is_there(&nobody), [false; 3]);
    }
}
