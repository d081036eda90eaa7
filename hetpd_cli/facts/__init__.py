"""Named facts of a deployment: values, origins, and the functions that derive one from others."""
