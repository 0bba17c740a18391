"""Golden models: parameters, number formats, the float64 reference and the bit-true integer model.

Imports neither Amaranth nor any learning framework.
"""
