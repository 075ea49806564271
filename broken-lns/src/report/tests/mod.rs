mod fixture;
mod sentence;
mod text;
