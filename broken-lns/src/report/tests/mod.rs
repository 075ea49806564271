mod file;
mod fixture;
mod json;
mod markdown;
mod sentence;
mod text;
