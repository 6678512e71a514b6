// Builds each script of ../static that BUNDLES names, one file for browsers, and beside one with libraries the licences
// of what is in it. One lock gives one result, byte for byte. `node build.mjs FOLDER` builds into another folder.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const BUNDLES = [
  { entry: "worker.js", name: "sealing", hasLibraries: true },
  { entry: "page.js", name: "phone" },
  { entry: "returning.js", name: "returning" }, // for those who come back alone: a first report waits for none of it
];

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = process.argv[2] ?? here("../static");

// The list of words is in the order of the alphabet: each as the letters that it shares with the one before, and the rest.
function shortenWords(text) {
  let before = "";
  const shorten = (word) => {
    let shared = 0;
    while (shared < 9 && shared < word.length && word[shared] === before[shared]) shared += 1;
    before = word;
    return `${shared}${word.slice(shared)}`;
  };
  return text.trim().split(/\s+/).map(shorten).join("");
}

const wordList = {
  name: "word-list",
  setup: ({ onLoad }) =>
    onLoad({ filter: /return_words\.txt$/ }, ({ path }) => ({
      contents: shortenWords(readFileSync(path, "utf8")),
      loader: "text",
    })),
};

async function buildBundle({ entry, name, hasLibraries }) {
  const banner = hasLibraries ? `/*! Licences of the libraries in this file: ${name}.licences.txt */` : "";
  const built = await build({
    absWorkingDir: here("."),
    banner: { js: banner },
    bundle: true,
    entryPoints: { [name]: entry },
    external: ["crypto"], // Node's: the libraries ask for it only where there is no WebCrypto, and no browser has it
    format: "esm",
    legalComments: "none", // they stand in the file of licences, whole
    logLevel: "error",
    metafile: true,
    minify: true,
    outdir: target,
    plugins: [wordList],
    target: "es2022", // older than any browser with Ed25519; below it each private field costs a WeakMap
  });
  // Only files that give bytes to the bundle count: what was shaken out is not distributed.
  const [{ inputs }] = Object.values(built.metafile.outputs);
  return Object.keys(inputs).filter((path) => inputs[path].bytesInOutput > 0);
}

// What the sources themselves say of the work that they are based on: the licence of their package does not name it.
function readOrigins(used, folder) {
  const texts = used.filter((path) => path.startsWith(`${folder}/`)).map((path) => readFileSync(here(path), "utf8"));
  const lines = texts.flatMap((text) => text.match(/^ \* .*(?:licen[cs]e|\bis based on\b).*$/gim) ?? []);
  return [...new Set(lines.map((line) => line.slice(3)))].sort();
}

function writeNotice(used, folder) {
  const { name, version, license } = JSON.parse(readFileSync(here(`${folder}/package.json`), "utf8"));
  const paragraphs = [
    `${name} ${version} (${license})`,
    readOrigins(used, folder).join("\n"),
    readFileSync(here(`${folder}/LICENSE`), "utf8").trim(),
  ];
  return `${paragraphs.filter(Boolean).join("\n\n")}\n`;
}

const RULE = `\n${"-".repeat(80)}\n\n`;
for (const bundle of BUNDLES) {
  const used = await buildBundle(bundle);
  const found = used.map((path) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean);
  const notices = [...new Set(found)].sort().map((folder) => writeNotice(used, folder));
  if (Boolean(bundle.hasLibraries) !== notices.length > 0)
    throw new Error(`${bundle.name}: libraries without a banner`);
  const text = `In ${bundle.name}.js:\n${RULE}${notices.join(RULE)}`;
  if (bundle.hasLibraries) writeFileSync(`${target}/${bundle.name}.licences.txt`, text);
}
