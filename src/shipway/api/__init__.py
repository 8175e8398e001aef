"""The hub's face over HTTP: one file per group of routes, and the OpenAPI document made from them."""
