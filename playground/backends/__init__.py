"""Where tokens come from: one async contract, one file for each kind of source."""
