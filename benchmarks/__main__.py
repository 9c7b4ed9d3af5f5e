"""python -m benchmarks: the list of benchmarks, or one of them."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

BENCHMARKS = {
    "time-to-1.88": "Seconds until tiny Shakespeare is learned as well as a plain GPT learns it in 2,000 steps.",
    "time-to-1.4697": "The same for a GPT of 10.7M parameters and the best loss known for it.",
    "throughput": "Training tokens a second, beside a plain PyTorch GPT of the same shape.",
    "ceiling": "The share of what matrix products reach on this machine that a training step reaches.",
    "book": "Bits a byte on a text after some minutes, beside a GPT-2 in the Trainer of transformers.",
    "base": "Bits a byte on short texts begun from the base that comes along, beside training from nothing.",
    "notebook": "Seconds of the teaching notebook's 200 epochs, beside its own code.",
    "writing": "Tokens a second that a model writes, beside generate of transformers.",
    "llama-cpp": "The same beside llama.cpp, on an export of the same model in as many bits.",
    "bandwidth": "The share of the memory's bandwidth that writing reaches.",
    "first-token": "Seconds until `tinylm generate` has its first character, beside the same through transformers.",
    "first-step": "Seconds until a first `tinylm train` after an install has made a step, beside a plain PyTorch GPT.",
    "prefill": "Tokens a second of reading a prompt, beside a forward pass of transformers.",
    "page": "Tokens a second that an exported page writes in Chromium, by WebAssembly and in plain JavaScript.",
    "storage": "Bits a byte that weights of 16 and 8 bits lose on a text.",
    "large-text": "Megabytes of a long text tokenised in a second, and the most memory of a run that trains on it.",
    "explain": "Milliseconds until everything that `tinylm explain` shows of a text is there.",
    "studio": "Milliseconds until the studio has answered what its page shows of the inside of a model.",
    "help": "Milliseconds of `tinylm --help`, beside the help of a command that comes with Python.",
    "plan-rules": "The experiments behind the rules by which tinylm chooses sizes, batches and dropout.",
    "optimizers": "The loss after equally many steps with one setting of the optimiser changed, for several seeds.",
    "forecast": "Time and memory that `tinylm plan` foretells, against what `tinylm train` takes.",
    "checkpoint-cost": "The share of a run's time that goes into saving it.",
    "gradient-sums": "The seconds of a step in which gradients of many simulated cores are zeroed and added up.",
    "versus": "tinylm of this checkout beside that of another one, in turns: what a change costs or gains.",
    "serving": "What serving costs beside the engine, and what it stands: load, slow clients, disconnects.",
}
"""Each with a sentence. Its module has the same name, with underscores; nothing of it is imported to print the list."""


def main(given: Sequence[str]) -> int:
    """Runs one benchmark. Returns the exit code: 1 if a target was missed, 2 if there is no such benchmark."""
    if not given or given[0] in ("-h", "--help"):
        print("usage: python -m benchmarks NAME [options] [-- options of tinylm train]\n")
        print("\n".join(f"  {name:<16} {sentence}" for name, sentence in BENCHMARKS.items()))
        return 0
    name, *options = given
    if name not in BENCHMARKS:
        print(f"There is no benchmark {name!r}. There are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    return _run(name, options)


def _run(name: str, options: list[str]) -> int:
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_').replace('.', '_')}")
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=module.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    options, passed_on = _split(options)
    arguments = parser.parse_intermixed_args(options)
    if passed_on and not hasattr(arguments, "passed_on"):
        parser.error("this benchmark passes nothing on: leave out the -- and what follows")
    arguments.passed_on = passed_on
    code: int = module.run(arguments)
    return code


def _split(options: list[str]) -> tuple[list[str], list[str]]:
    """Our options, and those after a lone -- (argparse would take them for arguments of ours)."""
    if "--" not in options:
        return options, []
    place = options.index("--")
    return options[:place], options[place + 1:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
