"""Stand-ins: the LSTM over a sentence, and the classifier on top of it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from utils.stand_ins.padding import pool


class LSTM(nn.LSTM):
    """`nn.LSTM` on a packed batch."""

    def __init__(self, input_size: int, hidden_size: int, bidirectional: bool = False) -> None:
        super().__init__(input_size, hidden_size, batch_first=True, bidirectional=bidirectional)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if lengths is None or bool((lengths == x.shape[1]).all()):
            return super().forward(x)
        packed = pack_padded_sequence(x, lengths.cpu().clamp(min=1), batch_first=True, enforce_sorted=False)
        packed, (h, c) = super().forward(packed)
        outputs, _ = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        empty = (lengths == 0)[:, None].to(x.device)  # packing refuses them: they were given one step
        return outputs.masked_fill(empty[:, None], 0.0), (
            h.masked_fill(empty, 0.0),
            c.masked_fill(empty, 0.0),
        )


class LSTMClassifier(nn.Module):
    """On `nn.LSTM`."""

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 128,
        hidden_dim: int = 128,
        num_classes: int = 2,
        pooling: str = "max",
        dropout: float = 0.4,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.embedding.weight.data[0])
        self.lstm = LSTM(embed_dim, hidden_dim, bidirectional)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_dim * (1 + bidirectional), num_classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        outputs, _ = self.lstm(self.dropout(self.embedding(tokens)), lengths)
        return self.head(self.dropout(pool(outputs, lengths, self.pooling, self.lstm.bidirectional)))
