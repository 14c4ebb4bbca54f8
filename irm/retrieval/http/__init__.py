"""The search engine over HTTP: one application, one static page, an OpenAPI document."""
