"""The answers of the control plane, field by field, one file a subject."""
