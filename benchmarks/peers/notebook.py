"""The teaching notebook's training, as it does it: PyTorch's encoder layer under a causal mask, four sentences in one
padded batch whose padding counts, Adam at 1e-3, 200 epochs.

    python -m benchmarks.peers.notebook
"""

from __future__ import annotations

import json
import time

import torch
from torch import Tensor, nn

from benchmarks import STARTED

SENTENCES = ("hello , how are you ?", "hello , how is your day ?", "how are you ?", "how is your day ?")
PAD, BOS, EOS = 0, 1, 2
WIDTH, LAYERS, HEADS, HIDDEN = 32, 2, 2, 64
EPOCHS, TOLD_EVERY = 200, 20


def make_batch() -> tuple[Tensor, Tensor, int]:
    """Inputs, targets, and the number of entries of the vocabulary. Words are numbered as they appear."""
    words = list(dict.fromkeys(word for sentence in SENTENCES for word in sentence.split()))
    numbers = {word: i for i, word in enumerate(words, EOS + 1)}
    rows = [[BOS, *(numbers[word] for word in sentence.split()), EOS] for sentence in SENTENCES]
    width = max(map(len, rows))
    inputs, targets = ([row[part] + [PAD] * (width - len(row)) for row in rows]
                       for part in (slice(None, -1), slice(1, None)))
    return torch.tensor(inputs), torch.tensor(targets), len(words) + EOS + 1


class NotebookModel(nn.Module):
    """Nothing tells it where a word stands, but for the mask."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, WIDTH)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True)
                                    for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        future = torch.triu(torch.full((length, length), float("-inf")), diagonal=1)
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x, src_mask=future)
        return self.head(self.norm(x))


def train(model: NotebookModel, optimizer: torch.optim.Adam, inputs: Tensor, targets: Tensor,
          epochs: int = EPOCHS) -> float:
    """Returns the loss of the last epoch."""
    criterion, loss = nn.CrossEntropyLoss(), torch.zeros(())
    for epoch in range(1, epochs + 1):
        model.train()
        optimizer.zero_grad()
        loss = criterion(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        if epoch % TOLD_EVERY == 0:
            print(f"epoch {epoch}: loss {loss.item():.4f}")
    return loss.item()


def main() -> None:
    inputs, targets, vocab_size = make_batch()
    model = NotebookModel(vocab_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    began = time.perf_counter()
    loss = train(model, optimizer, inputs, targets)
    print(json.dumps({"value": round(time.perf_counter() - began, 4), "loss": loss, "steps": EPOCHS,
                      "ready_seconds": round(began - STARTED, 3)}))


if __name__ == "__main__":
    main()
