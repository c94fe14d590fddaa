"""What every floor speaks: tokens, sampling, messages, events, transcript, errors. Stdlib and msgspec only."""
