// Builds ../static/sealing.js, one file for browsers, and beside it the licences of what is in it. One lock gives one
// result, byte for byte. `node build.mjs FOLDER` builds into another folder.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = process.argv[2] ?? here("../static");

const built = await build({
  absWorkingDir: here("."),
  banner: { js: "/*! Licences of the libraries in this file: sealing.licences.txt */" },
  bundle: true,
  entryPoints: ["sealing.js"],
  external: ["crypto"], // Node's: the libraries ask for it only where there is no WebCrypto, and no browser has it
  format: "esm",
  legalComments: "none", // they stand in the file of licences, whole
  logLevel: "error",
  metafile: true,
  minify: true,
  outdir: target,
  target: "es2022", // older than any browser with Ed25519; below it each private field costs a WeakMap
});

// Only files that give bytes to the bundle count: what was shaken out is not distributed.
const [{ inputs }] = Object.values(built.metafile.outputs);
const used = Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0);
const folders = new Set(used.map((path) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
// What the sources themselves say of the work that they are based on: the licence of their package does not name it.
const readOrigins = (folder) => {
  const texts = used.filter((path) => path.startsWith(`${folder}/`)).map((path) => readFileSync(here(path), "utf8"));
  const lines = texts.flatMap((text) => text.match(/^ \* .*(?:licen[cs]e|\bis based on\b).*$/gim) ?? []);
  return [...new Set(lines.map((line) => line.slice(3)))].sort();
};
const notices = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(here(`${folder}/package.json`), "utf8"));
  const paragraphs = [
    `${name} ${version} (${license})`,
    readOrigins(folder).join("\n"),
    readFileSync(here(`${folder}/LICENSE`), "utf8").trim(),
  ];
  return `${paragraphs.filter(Boolean).join("\n\n")}\n`;
});
const rule = `\n${"-".repeat(80)}\n\n`;
writeFileSync(`${target}/sealing.licences.txt`, `In sealing.js:\n${rule}${notices.join(rule)}`);
