"""What lies beside an image and speaks of it: the bill of materials, and the record of its build."""
