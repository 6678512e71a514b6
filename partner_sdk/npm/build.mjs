// Builds dist/: the types of reports and messages from their schemas, then everything by TypeScript, which finds them
// beside its own output (`rootDirs`).
// src/schema/*.json are what a gateway serves under /v1/schema; `python -m tests.contract.npm_package` renews them.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { compile } from "json-schema-to-typescript";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
// An object of either schema never has another field; limits of lists are checked when a report is sealed.
const OPTIONS = { additionalProperties: false, bannerComment: "", ignoreMinAndMaxItems: true };
const TITLES = { report: "Report", mailbox: "MailboxBodies" };

rmSync(here("dist"), { recursive: true, force: true });
mkdirSync(here("dist/schema"), { recursive: true });
for (const file of readdirSync(here("src/schema"))) {
  const name = file.replace(".json", "");
  const { $ref, ...schema } = JSON.parse(readFileSync(here(`src/schema/${file}`), "utf8"));
  const root = $ref ? { ...schema, ...schema.$defs[$ref.replace("#/$defs/", "")] } : schema;
  writeFileSync(
    here(`dist/${name}.types.d.ts`),
    await compile({ ...root, title: TITLES[name] }, TITLES[name], OPTIONS),
  );
  copyFileSync(here(`src/schema/${file}`), here(`dist/schema/${file}`));
}
copyFileSync(here("../examples/report.json"), here("dist/schema/example.json"));
execFileSync(process.execPath, [here("node_modules/typescript/bin/tsc"), "--project", here("tsconfig.json")], {
  stdio: "inherit",
});
