// SPDX-License-Identifier: MIT
// Copyright (c) 2026 The Cairn authors
// heavy.js: what reaches malloc under node: buffers off the JavaScript heap, zlib, crypto, files, worker threads and
// child processes, beside ordinary objects. One checksum line per part.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const zlib = require('zlib');
const { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');

let state = 12345;
function random(n) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 1;
  return (state >>> 8) % n;
}
const md5 = (data) => crypto.createHash('md5').update(data).digest('hex');

function buffers(rounds) {
  const kept = [];
  let sum = 0;
  for (let i = 0; i < rounds; i++) {
    const buffer = Buffer.allocUnsafeSlow(1 + random(9000)).fill(i & 255);
    kept.push(buffer);
    if (kept.length > 300) sum += kept.splice(random(kept.length), 1)[0].length;
  }
  return `${sum} ${md5(Buffer.concat(kept))}`;
}

function objects() {
  const map = new Map();
  for (let i = 0; i < 200000; i++) {
    map.set(`key${random(20000)}`, { index: i, list: new Array(random(10)).fill(i) });
    if (i % 5 === 0) map.delete(`key${random(20000)}`);
  }
  return md5(JSON.stringify([...map].sort((a, b) => (a[0] < b[0] ? -1 : 1))));
}

function compression() {
  const text = Buffer.from(Array.from({ length: 60000 }, () => `word${random(500)}`).join(' '));
  const sums = [];
  for (let level = 1; level <= 9; level += 2) sums.push(zlib.gunzipSync(zlib.gzipSync(text, { level })).equals(text));
  for (let i = 0; i < 100; i++) zlib.deflateSync(text.subarray(0, 2000));
  sums.push(zlib.brotliDecompressSync(zlib.brotliCompressSync(text.subarray(0, 50000))).length);
  return sums.join(' ');
}

function files() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'heavy-'));
  for (let i = 0; i < 200; i++) fs.writeFileSync(path.join(folder, `f${i}`), 'x'.repeat(i * 10));
  let sum = 0;
  for (const name of fs.readdirSync(folder)) sum += fs.readFileSync(path.join(folder, name)).length;
  fs.rmSync(folder, { recursive: true });
  return sum;
}

async function workers() {
  const done = [];
  for (let seed = 1; seed <= 6; seed++)
    done.push(new Promise((resolve, reject) => {
      const worker = new Worker(__filename, { workerData: seed });
      worker.once('message', resolve);
      worker.once('error', reject);
    }));
  return (await Promise.all(done)).map((bytes) => md5(bytes)).join(' ');
}

async function main() {
  console.log('buffers', buffers(20000));
  console.log('objects', objects());
  console.log('compression', compression());
  console.log('files', files());
  console.log('workers', await workers());
  console.log('scrypt', crypto.scryptSync('password', 'salt', 32, { N: 4096 }).toString('hex'));
  console.log('child', execFileSync('/bin/echo', ['from a child']).toString().trim());
}

if (isMainThread) main();
else {
  state = workerData * 7919;
  parentPort.postMessage(new TextEncoder().encode(buffers(3000)));
}
