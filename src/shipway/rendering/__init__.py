"""A project as Kubernetes objects in files, for those who deploy by GitOps: without a hub, and without a cluster.

``world`` says what a hub would know (images, references of models), ``bundles`` makes of objects what a cluster is
given, ``manifests`` the Kubernetes objects, ``kustomize`` and ``chart`` files of those; only ``lookup`` and ``folder``
do I/O. (``rights`` are those that a hub needs in a cluster.)
"""
