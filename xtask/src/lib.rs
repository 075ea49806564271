//! Development tasks of broken-lns, and the virtual lab that the demo and the tests use.
