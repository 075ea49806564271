mod fixture;
mod json;
mod sentence;
mod text;
