mod fixture;
mod sentence;
