mod file;
mod fixture;
mod html;
mod json;
mod markdown;
mod sentence;
mod text;
