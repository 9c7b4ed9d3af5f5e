"""Models behind HTTP, as OpenAI's clients ask for them. Nothing else here imports starlette and uvicorn."""
