"""Duplicates: the same file, or nearly the same picture."""

from collections import defaultdict
from collections.abc import Sequence
from math import floor

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.fft import dctn
from scipy.spatial import cKDTree

from fastitpn.diagnosis.findings import Finding
from fastitpn.diagnosis.pixels import THUMBNAIL_PX, Look, paths_of

_LOW_FREQUENCIES = 3
"""Rows and columns of a thumbnail's cosine transform that the search goes by."""
_CHUNK = 1024
_NAMED = 3


def find_duplicates(looks: Sequence[Look], similar: float | None) -> list[Finding]:
    """Groups of images that are the same, the gravest first: those in several parts, then in several classes.

    Args:
        looks: All images that can be read.
        similar: Cosine of two thumbnails from which they are nearly the same; None looks for copies of files alone.
    """
    by_content: dict[bytes, list[Look]] = defaultdict(list)
    for look in looks:
        by_content[look.content].append(look)
    findings = [_describe(group) for group in by_content.values() if len(group) > 1]
    if similar is not None:
        first = [group[0] for group in by_content.values() if not group[0].is_blank]
        for places, similarity in _nearly_same(np.array([look.thumbnail for look in first]), similar):
            group = [look for place in places for look in by_content[first[place].content]]
            findings.append(_describe(group, similarity))
    return sorted(findings, key=lambda finding: _ORDER.index(finding.kind))


_ORDER = (
    "same image in several parts",
    "nearly same image in several parts",
    "same image in several classes",
    "same image twice",
    "nearly same image in several classes",
    "nearly same image twice",
)


def _describe(group: Sequence[Look], similarity: float | None = None) -> Finding:
    exact = similarity is None
    parts = sorted({look.entry.part for look in group})
    labels = sorted({look.entry.label for look in group if look.entry.label is not None})
    where = "in several parts" if len(parts) > 1 else "in several classes" if len(labels) > 1 else "twice"
    names = ", ".join(look.entry.path.name for look in group[:_NAMED])
    more = f" and {len(group) - _NAMED} more" if len(group) > _NAMED else ""
    alike = "copies" if similarity is None else f"images of similarity {floor(1000 * similarity) / 1000:.3f} or more"
    what = f"{len(group)} {alike}: {names}{more}"
    if len(parts) > 1:
        what += f", in {' and '.join(parts)}"
    if len(labels) > 1:
        what += f", as {' and '.join(labels[:_NAMED])}"
    return Finding(
        kind=f"{'same' if exact else 'nearly same'} image {where}",
        what=what,
        files=paths_of(group),
        part=" and ".join(parts),
        similarity=similarity,
        problem=exact or len(parts) > 1,  # pictures of one scene are no mistake, unless a part is to test the other
    )


def _nearly_same(thumbnails: NDArray[np.uint8], similar: float) -> list[tuple[list[int], float]]:
    """Groups of places of thumbnails that are nearly the same, and the smallest cosine that joins each group.

    Each has another one in its group whose cosine, less their own mean, is at least `similar`.

    A few low frequencies are part of an orthonormal transform, so two thumbnails are never nearer than in these: a
    search tree over them misses nothing, and what it finds is then compared in full.
    """
    if len(thumbnails) < 2:
        return []
    values = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    values -= values.mean(1, keepdims=True)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    maps = values.reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX, 3)
    low = dctn(maps, axes=(1, 2), norm="ortho")[:, :_LOW_FREQUENCIES, :_LOW_FREQUENCIES].reshape(len(maps), -1)
    tree, radius = cKDTree(low), float(np.sqrt(2 - 2 * similar)) + 1e-4
    groups = DisjointSet(range(len(values)))
    links: list[tuple[int, float]] = []
    for start in range(0, len(values), _CHUNK):
        for place, near in enumerate(tree.query_ball_point(low[start : start + _CHUNK], radius), start=start):
            others = np.array([other for other in near if other > place], dtype=np.int64)
            cosines = values[others] @ values[place]
            for other, cosine in zip(others.tolist(), cosines.tolist(), strict=True):
                if cosine >= similar:
                    groups.merge(place, other)
                    links.append((place, cosine))
    least: dict[int, float] = {}
    for place, cosine in links:
        root = groups[place]
        least[root] = min(cosine, least.get(root, 1.0))
    return [(sorted(groups.subset(root)), cosine) for root, cosine in least.items()]
