"""ONNX: a model as a graph of standard operators, in a folder that transformers.js and ONNX Runtime open."""
