#!/usr/bin/env node
// ONNX Runtime as a peer of the benchmark:  onnx.js MODEL.onnx INPUT.ppm OUTPUT.pfm [THREADS]
//
// Loads, then obeys lines on stdin: `run` restores the picture and answers with the seconds it took; `save` writes the
// last result and answers with the peak memory in bytes; the end of stdin ends the program. Prints `ready NAME` first.
'use strict';
const fs = require('fs');
const path = require('path');
const readline = require('readline');

const [modelPath, inputPath, outputPath, threads = '2'] = process.argv.slice(2);
const packages = process.env.BENCH_PEERS || path.join(__dirname, '..', '..', 'build', 'peers');
const runtimePath = path.join(packages, 'node_modules', 'onnxruntime-node');
const ort = require(runtimePath);

/** A binary PPM of 8 bits as planar floats 0..1. */
function readPpm(file) {
  const bytes = fs.readFileSync(file);
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString('latin1', 0, 64));
  const [width, height] = [Number(header[1]), Number(header[2])];
  const planes = new Float32Array(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) planes[c * width * height + i] = bytes[header[0].length + 3 * i + c] / 255;
  }
  return {width, height, planes};
}

/** PFM: interleaved little-endian floats, the bottom row first. */
function writePfm(file, width, height, planes) {
  const header = Buffer.from(`PF\n${width} ${height}\n-1.0\n`);
  const samples = new Float32Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++) samples[3 * ((height - 1 - y) * width + x) + c] = planes[(c * height + y) * width + x];
    }
  }
  fs.writeFileSync(file, Buffer.concat([header, Buffer.from(samples.buffer)]));
}

/** Peak resident memory of this process in bytes. */
function peakMemory() {
  return 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(fs.readFileSync('/proc/self/status', 'latin1'))[1]);
}

async function main() {
  const version = require(path.join(runtimePath, 'package.json')).version;
  const session = await ort.InferenceSession.create(modelPath, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: Number(threads),
    interOpNumThreads: 1,
    enableMemPattern: false, // as fast, and half the memory for pictures of one size
  });
  const {width, height, planes} = readPpm(inputPath);
  const feeds = {input: new ort.Tensor('float32', planes, [1, 3, height, width])};
  let result = null;
  console.log(`ready ONNX Runtime ${version}`);
  for await (const line of readline.createInterface({input: process.stdin})) {
    if (line === 'run') {
      const started = process.hrtime.bigint();
      result = (await session.run(feeds)).output;
      console.log(Number(process.hrtime.bigint() - started) / 1e9);
    } else if (line === 'save') {
      const peak = peakMemory();
      writePfm(outputPath, width, height, result.data);
      console.log(peak);
    }
  }
}

main().catch((error) => {
  console.error(`onnx.js: ${error.message}`);
  process.exitCode = 1;
});
