"""A project as Kubernetes objects in files, for those who deploy by GitOps."""
