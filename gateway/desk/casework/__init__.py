"""What is done with a case: read, assessed, closed, and the people in it kept safe."""
