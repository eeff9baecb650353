"""Ten agents on datasets that are at hand."""
