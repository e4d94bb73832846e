"""How good pictures are, as numbers: pure functions of features, probabilities and labels.

Features are (N, D), probabilities (N, classes), both by a `Classifier`.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEIGHBOURS = 3  # of the k-NN manifolds, as in Kynkäänniemi et al. 2019
CHUNK = 1000


def frechet_distance(features: Tensor, reference: Tensor) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets of features (Heusel et al. 2017).

    `|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½)`, in float64; of two samples of one distribution it is
    above 0, and falls with their size.

    Raises:
        ValueError: fewer than two rows.
    """
    if min(len(features), len(reference)) < 2:
        raise ValueError("a covariance takes two rows or more")
    a, b = features.double(), reference.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors * values.clamp(min=0).sqrt() @ vectors.T
    # (Σ₁Σ₂)^½ has the eigenvalues of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    mean_term = (a.mean(0) - b.mean(0)).square().sum()
    return float(mean_term + cov_a.trace() + cov_b.trace() - 2 * cross)


def neighbour_radii(features: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Return the distance of each row to its k-th nearest other row: (N,)."""
    radii = [
        torch.cdist(part, features).topk(k + 1, dim=1, largest=False).values[:, -1]
        for part in torch.split(features, CHUNK)
    ]
    return torch.cat(radii)


def covered_share(points: Tensor, support: Tensor, radii: Tensor) -> float:
    """Return the share of `points` within the radius of any row of `support`, 0…1."""
    inside = [(torch.cdist(part, support) <= radii).any(1) for part in torch.split(points, CHUNK)]
    return float(torch.cat(inside).float().mean())


def precision_recall(
    features: Tensor, reference: Tensor, reference_radii: Tensor | None = None
) -> tuple[float, float]:
    """Return improved precision and recall (Kynkäänniemi et al. 2019, k = 3).

    Precision is the share of the features on the reference's manifold; recall is the other way round.

    Args:
        features: (N, F).
        reference: (M, F).
        reference_radii: (M,), the `neighbour_radii` of the reference if they are known already.
    """
    radii = neighbour_radii(reference) if reference_radii is None else reference_radii
    precision = covered_share(features, reference, radii)
    recall = covered_share(reference, features, neighbour_radii(features))
    return precision, recall


def class_shares(classes: Tensor, num_classes: int) -> Tensor:
    """Return the share of each class: (num_classes,) float64."""
    return torch.bincount(classes, minlength=num_classes).double() / max(len(classes), 1)


def total_variation(shares: Tensor, reference: Tensor) -> float:
    """Return half the sum of the absolute differences of two distributions: 0…1."""
    return float((shares - reference).abs().sum() / 2)


def nearest_distances(images: Tensor, reference: Tensor) -> Tensor:
    """Return the root mean square distance (grey values, 0…255) of each image to the nearest reference.

    Args:
        images, reference: uint8 of one shape but for their number.
    """
    targets = reference.flatten(1).float()
    distances_of_parts = [
        torch.cdist(part.flatten(1).float(), targets).amin(1) for part in torch.split(images, 256)
    ]
    distances: Tensor = torch.cat(distances_of_parts) / images[0].numel() ** 0.5
    return distances
