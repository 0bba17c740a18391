"""Tables, pictures and pages made from numbers that other packages measured."""
