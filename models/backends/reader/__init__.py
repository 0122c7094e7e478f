"""The embedded reader: it answers with sentences of the passages it is given."""
