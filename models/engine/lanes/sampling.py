"""Write the samples that fall into an accepted step, as many lanes at once as have one."""

from __future__ import annotations

from llvmlite import ir

from .block import Block
from .step import Taken
from .values import BOOL, DOUBLE, INT64, Number, Truth


def write_samples(block: Block, taken: Taken, t: Number, h: Number, end: Number, accepted: Truth) -> None:
    """Samples before `end` of the lanes where the step is accepted; samples at `end` itself belong to the next step.

    All lanes compute the state at their next sample together; those that have one then store it in their own row of the
    output and go on to their next.
    """
    writer = block.writer
    builder = writer.builder

    def due() -> ir.Value:
        return (accepted & (block.get("sample") < end)).bits()

    loop, lane, after = (builder.append_basic_block(name) for name in ("sample", "sample_lane", "sampled"))
    first = due()
    with builder.if_then(builder.icmp_unsigned("!=", first, INT64(0)), likely=False):
        taken.prepare()
        before = builder.block
        builder.branch(loop)
        builder.position_at_end(loop)
        waiting = builder.phi(INT64)
        waiting.add_incoming(first, before)
        block.put_states(taken.inside((block.get("sample") - t) / h), "out")
        inside = builder.block
        builder.branch(lane)

        builder.position_at_end(lane)
        left = builder.phi(INT64)
        left.add_incoming(waiting, inside)
        number = builder.cttz(left, BOOL(1))
        _store_lane(block, number)
        rest = builder.and_(left, builder.sub(left, INT64(1)))
        left.add_incoming(rest, builder.block)
        stored = builder.append_basic_block("stored")
        builder.cbranch(builder.icmp_unsigned("!=", rest, INT64(0)), lane, stored)

        builder.position_at_end(stored)
        again = due()
        waiting.add_incoming(again, builder.block)
        builder.cbranch(builder.icmp_unsigned("!=", again, INT64(0)), loop, after)
        builder.position_at_end(after)


def _store_lane(block: Block, lane: ir.Value) -> None:
    """Copy the lane's state to its row of the output, and turn to its next sample."""
    builder, lanes = block.writer.builder, block.writer.lanes

    def cell(name: str, kind: ir.Type = DOUBLE, index: int = 0) -> ir.Value:
        pointer = builder.gep(block.place(name, index), [lane])
        return builder.bitcast(pointer, kind.as_pointer())

    out = builder.load(cell("out_at", INT64))
    target = builder.inttoptr(out, DOUBLE.as_pointer())
    source = cell("out")
    for i in range(block.layout.states):
        value = builder.load(builder.gep(source, [INT64(i * lanes)]))
        builder.store(value, builder.gep(target, [INT64(i)]))
    builder.store(builder.add(out, INT64(8 * block.layout.states)), cell("out_at", INT64))
    at = builder.add(builder.load(cell("sample_at", INT64)), INT64(8))
    builder.store(at, cell("sample_at", INT64))
    builder.store(builder.load(builder.inttoptr(at, DOUBLE.as_pointer())), cell("sample"))
