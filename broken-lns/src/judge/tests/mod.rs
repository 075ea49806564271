mod enter;
mod fixture;
mod measure;
