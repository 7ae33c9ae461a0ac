//! A web client that sends exactly the bytes it is told to.
