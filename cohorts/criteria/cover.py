"""Boxes around points of the unit cube: the region from which twins that meet criteria are drawn.

The points are uniform on a region of unknown shape. Boxes that lie apart cover them closely; a uniform draw from the
boxes that falls into the region is then a uniform draw from the region, whatever its shape, as far as it is covered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A box reaches beyond its outermost points by MARGIN / n of their spread on each side: n uniform points leave more
# than that uncovered with probability exp(-MARGIN), so a box loses about 2 exp(-MARGIN) / n of itself a dimension.
MARGIN = 8.0
WIDE = 30.0  # the same while the region is only roughly known
SMALLEST = 200  # points a box
CUTS = 24  # places tried along a coordinate: more cost time, and hardly move the best one
WORTH = 0.97  # a split must leave less than this share of the volume


@dataclass(frozen=True)
class Cover:
    """Disjoint boxes: `low` and `high`, each (box, coordinate)."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def whole(cls, coordinates: int) -> Cover:
        """The whole cube."""
        return cls(np.zeros((1, coordinates)), np.ones((1, coordinates)))

    @classmethod
    def around(cls, points: np.ndarray, margin: float = MARGIN) -> Cover:
        """Boxes around points (point, coordinate), split where that leaves less volume."""
        boxes: list[tuple[np.ndarray, np.ndarray]] = []
        size = points.shape[1]
        open_cells = [(points, np.zeros(size), np.ones(size))]
        while open_cells:
            inside, low, high = open_cells.pop()
            low, high = _bounds(inside.min(axis=0), inside.max(axis=0), len(inside) / margin, low, high)
            cut = _best_cut(inside, low, high, margin)
            if cut is None:
                boxes.append((low, high))
                continue
            dimension, at = cut
            is_left = inside[:, dimension] <= at
            left_high, right_low = high.copy(), low.copy()
            left_high[dimension] = right_low[dimension] = at
            open_cells += [(inside[is_left], low, left_high), (inside[~is_left], right_low, high)]
        return cls(np.array([low for low, _ in boxes]), np.array([high for _, high in boxes]))

    @property
    def volumes(self) -> np.ndarray:
        """Volume of each box, (box,)."""
        return np.asarray(np.prod(self.high - self.low, axis=1))

    def place(self, box: np.ndarray, within: np.ndarray) -> np.ndarray:
        """Points uniform on the cover.

        `box` (point,) picks the box and `within` (point, coordinate) the place in it, both uniform in (0, 1).
        """
        edges = np.cumsum(self.volumes)
        chosen = np.minimum(np.searchsorted(edges / edges[-1], box, side="right"), edges.size - 1)
        return np.asarray(self.low[chosen] + (self.high[chosen] - self.low[chosen]) * within)

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Whether each point (point, coordinate) lies in a box."""
        found = np.zeros(len(points), dtype=bool)
        for low, high in zip(self.low, self.high, strict=True):
            found |= ((points >= low) & (points <= high)).all(axis=1)
        return found


def _bounds(
    least: np.ndarray, most: np.ndarray, count: np.ndarray | float, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the points and 1 / `count` of their spread beyond, held to the cell that they lie in."""
    beyond = (most - least) / np.asarray(count)[..., None]
    return np.maximum(low, least - beyond), np.minimum(high, most + beyond)


def _best_cut(points: np.ndarray, low: np.ndarray, high: np.ndarray, margin: float) -> tuple[int, float] | None:
    """Coordinate and place of the cut that leaves the least volume, if it is worth one."""
    count = len(points)
    if count < 2 * SMALLEST:
        return None
    least_volume, best = WORTH * float(np.prod(high - low)), None
    left = np.unique(np.linspace(SMALLEST, count - SMALLEST, CUTS).astype(int))  # points left of the cut
    for dimension in range(points.shape[1]):
        ordered = points[np.argsort(points[:, dimension], kind="stable")]
        along = ordered[:, dimension]
        at = (along[left - 1] + along[left]) / 2
        tight = []
        for part, sizes in ((ordered, left), (ordered[::-1], count - left)):
            least, most = np.minimum.accumulate(part)[sizes - 1], np.maximum.accumulate(part)[sizes - 1]
            cell_low, cell_high = np.tile(low, (left.size, 1)), np.tile(high, (left.size, 1))
            (cell_high if part is ordered else cell_low)[:, dimension] = at
            bounds = _bounds(least, most, sizes / margin, cell_low, cell_high)
            tight.append(np.prod(bounds[1] - bounds[0], axis=1))
        volume = tight[0] + tight[1]
        volume[along[left - 1] == along[left]] = np.inf  # a cut through equal values separates nothing
        if volume.min() < least_volume:
            k = int(volume.argmin())
            least_volume, best = float(volume[k]), (dimension, float(at[k]))
    return best
