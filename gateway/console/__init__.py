"""The operator's window: health page and metrics over HTTP."""
