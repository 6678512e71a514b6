// A receipt in the public log, and checkpoints that follow each other or do not (WIRE.md §6.8).
import assert from "node:assert/strict";
import { test } from "node:test";

import { LogError } from "report-abuse-partner";

import { LogTree, parseCheckpoint } from "../dist/public_log.js";
import { bytes, readVectors, testCases } from "./vectors.mjs";

const file = readVectors("public-log");
const known = { origin: file.origin, keys: [file.public_key] };
const read = async (path) => bytes(file.files[path]);
const receipt = bytes(file.receipt);
const receivedAt = new Date(file.received_at * 1000).toISOString().replace(".000", "");
const now = new Date(file.received_at * 1000 + 30_000);
const before = parseCheckpoint(bytes(file.seen).toString(), known);
const newest = parseCheckpoint(bytes(file.cases[0].checkpoint).toString(), known);
const tree = new LogTree(newest, read);
const refuses = (reason, work) => assert.rejects(work, (error) => error instanceof LogError && error.reason === reason);

testCases("public-log", 9, async ({ checkpoint }) => {
  await new LogTree(parseCheckpoint(bytes(checkpoint).toString(), known), read).checkFollows(before);
});

test("a receipt is found at its place, and its place is proven", async () => {
  assert.deepEqual(await tree.find(receipt, { receivedAt, now, before }), { state: "in-log", index: file.index });
});

test("a receipt that is not there is waited for, and then missed", async () => {
  const other = Buffer.from("another receipt");
  const newer = new Date(file.received_at * 1000 + 121_000);
  await refuses("missing", tree.find(other, { receivedAt, now: newer, before }));
  const last = new Date(now.getTime() + 3_600_000).toISOString().replace(".000", "");
  assert.deepEqual(await tree.find(other, { receivedAt: last, now: new Date(now.getTime() + 3_600_000), before }), {
    state: "waits",
  });
  assert.deepEqual(await tree.find(other, { receivedAt: "2020-01-01T00:00:00Z", now, before }), { state: "pre-log" });
  await refuses("ahead", tree.find(receipt, { receivedAt: "2030-01-01T00:00:00Z", now, before }));
});

test("an entry that the signed root does not hold is no proof, and neither is a tile of another length", async () => {
  const changing = (change) => new LogTree(newest, async (path) => change(path, Buffer.from(await read(path))));
  const altered = changing((path, tile) => (path === "tile/0/001.p/48" ? Buffer.from(tile).fill(7, 0, 1) : tile));
  await refuses("forked", altered.find(receipt, { receivedAt, now, before }));
  await refuses("forked", altered.checkFollows(before));
  const moved = changing((path, tile) => {
    // The entry of the receipt under a later time.
    if (path === "tile/entries/001.p/48")
      tile.writeBigUInt64BE(BigInt(file.received_at + 59), (file.index - 256) * 42 + 2);
    return tile;
  });
  await refuses("forked", moved.find(receipt, { receivedAt, now, before }));
  await refuses("malformed", changing((path, tile) => tile.subarray(1)).find(receipt, { receivedAt, now, before }));
});
