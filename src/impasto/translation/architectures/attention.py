"""Self-attention of maps: every position looks at every other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class SelfAttention(nn.Module):
    """Zhang et al. (2019), SAGAN, eq. 1–3: x + γ·v·softmax(qᵀk), with γ = 0 at first.

    1×1 convolutions under spectral norm, queries and keys of C/8 channels. It sees the whole picture: what it gives
    for a tile is not what it would give within the whole.
    """

    sees_everything = True

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(1, channels // 8)
        self.query, self.key, self.value = (
            spectral_norm(nn.Conv1d(channels, out, 1, bias=False)) for out in (narrow, narrow, channels)
        )
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """(B, C, h, w) → the same."""
        flat = x.flatten(2)
        # one head, with an axis of its own: ONNX knows no other attention
        query, key, value = (part(flat).transpose(1, 2)[:, None] for part in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]  # the paper's has no 1/√d
        return x + self.gamma * seen.transpose(1, 2).reshape(x.shape)
