"""Records of verifiers, one module each; `verifiers.table` gathers them."""
