"""One model in PyTorch."""

import torch

from experiments.throughput.workers import protocol

LAYERS = {"elman": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


class Classifier(torch.nn.Module):
    """A recurrent layer, and a dense layer of its last output."""

    def __init__(self, task: protocol.Task):
        super().__init__()
        self.recurrent = LAYERS[task.cell](1, task.features, batch_first=True)
        self.dense = torch.nn.Linear(task.features, protocol.CLASSES)

    def forward(self, xs):
        """Logits of a batch of sequences."""
        ys, _ = self.recurrent(xs)
        return self.dense(ys[:, -1])


def main() -> None:
    """Serve times of the loop."""
    task = protocol.task()
    torch.set_num_threads(task.cores)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    xs, labels = (torch.tensor(part, device=device) for part in protocol.data(task))
    model = Classifier(task).to(device)
    optimizer = torch.optim.Adam(model.parameters(), protocol.LEARNING_RATE)

    def take(count):
        for _ in range(count):
            indices = torch.randint(len(xs), (task.batch_size,), device=device)
            optimizer.zero_grad()
            logits = model(xs[indices])
            torch.nn.functional.cross_entropy(logits, labels[indices]).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), protocol.CLIP_NORM)
            optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    protocol.serve(take, task.seconds)
