"""The HTTP side: the only package that knows FastAPI, Starlette and uvicorn."""
