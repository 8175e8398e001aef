"""How a layer is made, and remembered; and what those hold that are no packages."""
