"""Trained models over HTTP: `sightline serve`. Needs FastAPI and uvicorn, `pip install 'sightline[serve]'`."""
