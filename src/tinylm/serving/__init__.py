"""Models behind HTTP, as OpenAI's clients ask for them. The part that knows no models is tinylm.http."""
