"""Places that run workloads: implementations of the Cluster port."""
