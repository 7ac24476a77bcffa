"""HTTP without any domain: access control, API keys, server limits, problems, OpenAPI."""
