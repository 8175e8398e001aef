"""A project's workloads to images: joins the project, its lock, the layout and registries. Needs no hub."""
