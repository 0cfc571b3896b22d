"""The control plane and the face of the hot routes: ordinary FastAPI, one file per subject."""
