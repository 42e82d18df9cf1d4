"""A verifier that measures next to nothing and takes as long as it is told: for trying the queue, never a claim."""
