"""The llama.cpp side. Runs in a process of its own; imports numpy, llama_cpp and the domain, nothing else of ours."""
