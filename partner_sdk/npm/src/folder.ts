/**
 * The partner's own folder: keys, sealed reports, receipts and messages. Each file is whole on disk before a call
 * depends on it. One process works in a folder at a time.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { FormatError, LocalStateError } from "./errors.js";
import { type Shape, parseExact } from "./shapes.js";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS = 0o077;
const MISSING = new Set(["ENOENT", "ENOTDIR"]);

export class Folder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Make the folder if it is not there; refuse one that others can read. */
  static make(path: string): Folder {
    return guard(path, () => {
      mkdirSync(path, { recursive: true, mode: FOLDER_MODE });
      return Folder.at(path);
    });
  }

  /** Open a folder that is there. */
  static at(path: string): Folder {
    return guard(path, () => {
      const found = lstatSync(path, { throwIfNoEntry: false });
      if (!found?.isDirectory()) throw new LocalStateError("missing", `${path} is not a partner's folder.`);
      if (process.platform !== "win32" && found.mode & OTHERS)
        throw new LocalStateError("readable-by-others", `Others can read ${path}. Run: chmod -R go= ${path}`);
      return new Folder(path);
    });
  }

  find(name: string): Buffer | undefined {
    return guard(name, () => {
      try {
        return readFileSync(join(this.path, name));
      } catch (error) {
        if (MISSING.has((error as NodeJS.ErrnoException).code ?? "")) return undefined;
        throw error;
      }
    });
  }

  get(name: string): Buffer {
    const bytes = this.find(name);
    if (!bytes) throw new LocalStateError("missing", `${join(this.path, name)} is missing.`);
    return bytes;
  }

  /** Read a file of canonical JSON; raises `LocalStateError` (`damaged`) for any other. */
  read<T>(name: string, shape: Shape<T>): T {
    try {
      return parseExact(this.get(name), shape);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new LocalStateError("damaged", `${join(this.path, name)} is damaged, or another program made it.`);
    }
  }

  /** Write a file as a whole: a crash leaves the old one or the new one, and the new one survives a power cut. */
  put(name: string, content: Uint8Array | string): void {
    guard(name, () => {
      const path = join(this.path, name);
      const folder = dirname(path);
      mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
      const written = `${path}.${process.pid}.new`;
      const file = openSync(written, "w", FILE_MODE);
      try {
        const bytes = Buffer.from(content as string);
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      chmodSync(written, FILE_MODE);
      renameSync(written, path);
      if (process.platform !== "win32") syncFolder(folder);
    });
  }

  remove(name: string): void {
    guard(name, () => rmSync(join(this.path, name), { force: true }));
  }

  /** Return the names in a part of the folder that end as asked, sorted, without that ending. */
  list(part: string, ending: string): string[] {
    return guard(part, () => {
      try {
        const names = readdirSync(join(this.path, part)).filter((name) => name.endsWith(ending));
        return names.map((name) => name.slice(0, -ending.length)).sort();
      } catch (error) {
        if (MISSING.has((error as NodeJS.ErrnoException).code ?? "")) return [];
        throw error;
      }
    });
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function guard<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof LocalStateError) throw error;
    throw new LocalStateError(
      "unusable",
      `${name} in the partner's folder cannot be used (${(error as NodeJS.ErrnoException).code ?? "unknown cause"}).`,
    );
  }
}
