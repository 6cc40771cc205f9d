"""The schemas, and the code generated from them when the package is built."""
