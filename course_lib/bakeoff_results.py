"""Empty until the first full run."""

RESULTS = "{}"
