"""Threads of numpy and llama.cpp behave in tests as they do in the worker; both read that when they are imported."""

from playground.engine.threads import prepare_threads

prepare_threads()
