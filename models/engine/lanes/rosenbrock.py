"""One step of a Rosenbrock-Wanner method for stiff systems: derivatives, one elimination, eight solutions.

Source: Steinebach 2023, Construction of Rosenbrock-Wanner method Rodas5P and numerical benchmarks within the Julia
Differential Equations package, BIT Numerical Mathematics 63:27 (doi 10.1007/s10543-023-00967-x).
"""

from __future__ import annotations

from dataclasses import dataclass

from .control import Order, root_mean_square, scales
from .explicit import combined
from .sparse import Factors, eliminate, factorise
from .step import Observed, Step, Taken
from .values import Number, fma, maximum, select

GAMMA = 0.21193756319429014
A = (
    (),
    (3.0,),
    (2.849394379747939, 0.45842242204463923),
    (-6.954028509809101, 2.489845061869568, -10.358996098473584),
    (2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641),
    (-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946),
)
C = (
    (),
    (-14.155112264123755,),
    (-17.97296035885952, -2.859693295451294),
    (147.12150275711716, -1.41221402718213, 71.68940251302358),
    (165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306),
    (24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471),
    (
        30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623,
        -28.087943162872662,
    ),
    (
        37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002,
        -54.66780262877968, -9.48861652309627,
    ),
)  # fmt: skip
NODES = (0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0)
IN_TIME = (
    0.21193756319429014, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734, 2.325825639765069, 0.0, 0.0,
    0.0,
)  # fmt: skip
DENSE = (
    (
        25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204, 0.524948541321073,
        1.1241088310450404, 0.4272876194431874, -0.17202221070155493,
    ),
    (
        -9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796, 20.176138334709044,
        15.98066361424651, -6.789040303419874, -6.710236069923372,
    ),
    (
        11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643, -52.072871366152654,
        -59.78993625266729, -0.15582684282751913, 4.883087185713722,
    ),
)  # fmt: skip
ORDER = Order(0.7 / 5.0, 0.4 / 5.0, 0.2)
# A multiplier above this says that a pivot has lost its digits; a shorter step makes the diagonal dominant again.
LARGEST_MULTIPLIER = 1e6
SUSPECT = 0.25  # error at the end of a step below which its inside is looked at
REFUSED = 1e3  # error given to such a step: it is shortened to about a quarter


@dataclass(frozen=True)
class Rosenbrock:
    """Rodas5P: order 5, stiffly accurate, with interpolation of order 4."""

    name: str = "rodas5p"
    order: Order = ORDER
    first_stage: str = ""
    watches: bool = False

    def further_rows(self, states: int) -> tuple[tuple[str, int], ...]:
        return ()

    def take(self, step: Step) -> Taken:
        h, y = step.h, step.y
        every = range(len(y))
        dy, entries, in_time = step.linearised(step.t, y)
        inverse = 1.0 / select(h > 0.0, h, 1.0)  # a lane without a twin stands still
        factors = _factors(entries, inverse * (1.0 / GAMMA), len(y))
        u: list[list[Number]] = []
        z = y
        for s in range(8):
            if s:
                weights = A[s] if s < 6 else (*A[5], *[1.0] * (s - 5))
                z = [y[i] + combined(weights, u, i) for i in every]
                dy = step.rhs(fma(h, NODES[s], step.t), z)
            right = [fma(inverse, combined(C[s], u, i), dy[i]) for i in every] if s else list(dy)
            if IN_TIME[s]:
                for i, slope in in_time.items():
                    right[i] = fma(h * IN_TIME[s], slope, right[i])
            u.append(factors.solve(right))
        new = [z[i] + u[7][i] for i in every]
        scale = scales([maximum(abs(new[i]), abs(y[i])) for i in every], step.rtol, step.atol)
        error = root_mean_square([u[7][i] / scale[i] for i in every])
        error = select(factors.multiplier > LARGEST_MULTIPLIER, REFUSED, error)

        def bends() -> list[list[Number]]:
            return [[combined(row, u, i) for row in DENSE] for i in every]

        def in_the_middle() -> Number:
            """Error of the interpolation at half the step: what its slope lacks, with the stiff part filtered out."""
            q = bends()
            middle = [
                fma(q[i][2], 0.0625, fma(q[i][1], 0.125, fma(q[i][0], 0.25, 0.5 * (y[i] + new[i])))) for i in every
            ]
            slopes = [fma(q[i][1] + q[i][2], 0.25, new[i] - y[i]) for i in every]
            dy = step.rhs(fma(h, 0.5, step.t), middle)
            lacking = factors.solve([fma(-inverse, slopes[i], dy[i]) for i in every])
            return maximum(error, root_mean_square([lacking[i] / scale[i] for i in every]))

        # A long step of a stiff system may be right at its end, far inside the tolerance, and not before: it matters
        # where a sample is read.
        read = (step.block.get("sample") < step.t + h) & (error < SUSPECT)
        error = step.writer.where_any(read, in_the_middle, error)

        def inside(theta: Number) -> list[Number]:
            rest, q = 1.0 - theta, bends()
            bend = [fma(theta, fma(theta, q[i][2], q[i][1]), q[i][0]) for i in every]
            return [fma(theta, fma(rest, bend[i], new[i]), rest * y[i]) for i in every]

        def within() -> tuple[float, Observed]:
            return 0.5, step.observe(fma(h, 0.5, step.t), inside(step.writer.number(0.5)))

        return Taken(new, error, lambda: None, inside, within, lambda: step.observe(step.t + h, new))


def _factors(jacobian: dict[tuple[int, int], Number], diagonal: Number, size: int) -> Factors:
    """Factors of diagonal - J."""
    matrix = {entry: -value for entry, value in jacobian.items()}
    for i in range(size):
        matrix[i, i] = diagonal - jacobian[i, i] if (i, i) in jacobian else diagonal
    return factorise(eliminate(jacobian, size), matrix)
