"""The loop of all lanes: step, judge, sample, until a lane needs the driver."""

from __future__ import annotations

from llvmlite import ir

from . import control
from .block import LINE, Block, Layout
from .choice import leaves_explicit, leaves_stiff
from .equations import Equations, Program
from .events import happen, locate, searching
from .landing import land
from .sampling import write_samples
from .step import Method, Step
from .values import DOUBLE, INT64, Number, Truth, Writer, floor, maximum, select

# Values of models.model.Status.
STEP_LIMIT, STEP_TOO_SMALL, NON_FINITE, ROOT_NOT_FOUND = 2.0, 3.0, 4.0, 6.0
HANDED_OVER = -1.0  # no failure: the twin is to go on with the other kind of method


def write_advance(name: str, program: Program, layout: Layout, method: Method, lanes: int) -> str:
    """LLVM text of `i64 name(double* block, double* settings)`.

    It takes steps until the driver must see at least one lane (at its stop, failed, handed over, or after an event or
    action) and gives the bits of these lanes. `settings` are the relative and the absolute tolerance and the limit of
    steps.
    """
    module = ir.Module()
    pointer = DOUBLE.as_pointer()
    function = ir.Function(module, ir.FunctionType(INT64, [pointer, pointer]), name)
    function.attributes.add("nounwind")
    function.attributes.alignstack = LINE  # as the block: half of what a step reads and writes are values put aside
    for argument in function.args:
        argument.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    writer = Writer(module, builder, lanes)
    block = Block(writer, layout, function.args[0])
    rtol, atol, limit = (_everywhere(writer, function.args[1], i) for i in range(3))
    top = builder.append_basic_block("step")
    builder.branch(top)
    builder.position_at_end(top)

    equations = Equations(writer, block, program)
    fresh = block.get("fresh") > 0.0
    with builder.if_then(fresh.any()):
        if program.events or program.actions:
            seen = happen(block, fresh, equations)
            with builder.if_then(seen.any(), likely=False):
                builder.ret(seen.bits())
        _begin(block, fresh, equations, method, (rtol, atol))

    t, stop, wanted = block.get("time"), block.get("stop"), block.get("wanted")
    active = block.get("active") > 0.0
    h, last = control.step_length(wanted, stop - t)
    if program.events:
        h = select(searching(block) & ~last, wanted, h)
    step = Step(writer, block, t, h, block.states(), rtol, atol, equations.rhs, equations.observe, equations.linearised)
    taken = method.take(step)
    verdict = control.judge(taken.error, h, wanted, last, block.get("error"), method.order)
    accepted, wanted, kept = verdict.accepted & active, verdict.wanted, dict(taken.kept)
    landed = lost = writer.truth(False)
    if program.kinks:
        free = ~searching(block) if program.events else writer.truth(True)
        landing = land(step, equations, taken, accepted & free, wanted, method.first_stage)
        accepted, wanted = accepted & ~landing.again, landing.wanted
        kept |= landing.kept
    if program.events:
        found = locate(block, equations, taken.y, t, h, accepted, wanted, rtol)
        accepted, wanted, landed, lost = accepted & ~found.again, found.wanted, found.landed, found.lost
        kept |= found.kept
    end = select(last, stop, t + h)
    write_samples(block, taken, t, h, end, accepted)

    taken_steps = block.get("steps") + 1.0
    ended = accepted & last & ~landed
    status = _failures(step, verdict, (taken_steps >= limit) & ~ended, active, method.first_stage)
    if method.watches:
        going = accepted & ~last & ~landed
        goes = leaves_explicit(block, taken, h, going) if method.first_stage else leaves_stiff(block, h, going)
        status = select(goes & status.equals(0.0), HANDED_OVER, status)
    if program.events:
        status = select(lost & status.equals(0.0), ROOT_NOT_FOUND, status)
    if program.events:
        block.put(select(landed, 1.0, 0.0), "fresh")
    block.put(select(accepted, end, t), "time")
    block.put(wanted, "wanted")
    block.put(select(accepted, verdict.error, block.get("error")), "error")
    block.put(taken_steps, "steps")
    block.put(status, "status")
    for row, values in {"y": taken.y, **kept}.items():
        for i, value in enumerate(values):
            block.put(select(accepted, value, block.get(row, i)), row, i)
    attention = ((ended | ~status.equals(0.0)) & active).bits()
    ready = builder.append_basic_block("ready")
    builder.cbranch(builder.icmp_unsigned("==", attention, INT64(0)), top, ready)
    builder.position_at_end(ready)
    builder.ret(attention)
    return str(module)


def _everywhere(writer: Writer, pointer: ir.Value, index: int) -> Number:
    """One number of the settings in all lanes."""
    builder = writer.builder
    value = builder.load(builder.gep(pointer, [INT64(index)]))
    if writer.lanes == 1:
        return Number(writer, value)
    kind = writer.type_of(DOUBLE)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), writer.lanes), [0] * writer.lanes)
    return Number(writer, builder.shuffle_vector(one, one, mask))


def _begin(block: Block, fresh: Truth, equations: Equations, method: Method, tolerance: tuple[Number, Number]) -> None:
    """First stage, and first step where none is wanted, of the lanes whose state or inputs have changed."""
    t, y, wanted = block.get("time"), block.states(), block.get("wanted")
    now = equations.observe_as_is(t, y)
    if equations.program.kinks:
        wholes = [floor(x) for x in now.arguments]
        for row, values in (("switch", now.differences), ("argument", now.arguments), ("floor", wholes)):
            for i, value in enumerate(values):
                block.put(select(fresh, value, block.get(row, i)), row, i)
        block.put(select(fresh, 0.0, block.get("landings")), "landings")
    if method.first_stage:
        old = block.states(method.first_stage)
        block.put_states([select(fresh, a, b) for a, b in zip(now.dy, old, strict=True)], method.first_stage)
    unknown = fresh & (wanted <= 0.0)
    first = block.writer.where_any(
        unknown, lambda: control.first_step(y, now.dy, block.get("stop") - t, tolerance), wanted
    )
    block.put(first, "wanted")
    block.put(select(unknown, control.MEMORY, block.get("error")), "error")
    block.put(block.writer.number(0.0), "fresh")


def _failures(step: Step, verdict: control.Verdict, beyond: Truth, active: Truth, first_stage: str) -> Number:
    """Status of each lane: 0 while nothing is wrong. `beyond` marks lanes at their limit of steps."""
    writer, block = step.writer, step.block
    small = ~verdict.accepted & (verdict.wanted <= control.TINY * maximum(abs(step.t), 1e-3))
    status = select(small, STEP_TOO_SMALL, select(beyond, STEP_LIMIT, 0.0))

    def judged() -> Number:
        sound = writer.truth(True)
        slopes = block.states(first_stage) if first_stage else step.rhs(step.t, step.y)
        for value in (*step.y, *slopes):
            sound = sound & (abs(value) < control.HUGE)
        return select(sound, status, NON_FINITE)

    return writer.where_any(verdict.broken & active, judged, status)
