#!/usr/bin/env python3
"""Fixes the size of the pictures that an ONNX file takes, which lets runtimes plan:  fix_size.py IN.onnx WIDTHxHEIGHT OUT.onnx

Only the named dimensions of the graph's input and output change; runtimes fold what follows from them. (Tracing the network
anew for each size takes minutes and the memory of a run.)
"""
import os
import sys

# Field numbers from a ModelProto down to the dimensions: graph, input or output, type, tensor_type, shape, dim, dim_param.
PATH = ({7}, {11, 12}, {2}, {1}, {2}, {1}, {2})
DIM_VALUE = 1
VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}        # bytes of the other wire types


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def rewrite(message, sizes, depth=0):
    """The message with every dim_param below it that `sizes` names turned into a dim_value."""
    out, at = [], 0
    while at < len(message):
        start = at
        tag, at = read_varint(message, at)
        field, wire = tag >> 3, tag & 7
        if wire == VARINT:
            _, at = read_varint(message, at)
        elif wire in FIXED:
            at += FIXED[wire]
        elif wire == BYTES:
            length, at = read_varint(message, at)
            body, at = message[at:at + length], at + length
            if field in PATH[depth]:
                if depth + 1 < len(PATH):
                    inner = rewrite(body, sizes, depth + 1)
                    out.append(varint(tag) + varint(len(inner)) + inner)
                    continue
                if bytes(body) in sizes:
                    out.append(varint(DIM_VALUE << 3 | VARINT) + varint(sizes[bytes(body)]))
                    continue
        else:
            raise ValueError(f"wire type {wire}")
        out.append(bytes(message[start:at]))
    return b"".join(out)


def main():
    source, size, target = sys.argv[1:]
    width, height = map(int, size.split("x"))
    with open(source, "rb") as file:
        model = memoryview(file.read())
    with open(target + ".part", "wb") as file:
        file.write(rewrite(model, {b"width": width, b"height": height}))
    os.replace(target + ".part", target)


if __name__ == "__main__":
    main()
