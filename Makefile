# Each target is one of make.py, which does the same without make: python make.py demo. Python 3.11 or newer is enough.
PYTHON ?= python3
TARGETS := demo test test-full test-arm lint docs bench clean

.PHONY: $(TARGETS)
$(TARGETS):
	@$(PYTHON) make.py $@
