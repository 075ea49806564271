mod any;
mod enter;
pub(crate) mod fixture;
mod measure;
