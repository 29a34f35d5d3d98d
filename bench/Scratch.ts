/**
 * The folder that a run writes in. It must lie on a disk: on a memory file system fsync costs nothing, and every
 * floor would be wrong. Everything that asks for a temporary folder afterwards (TMPDIR) gets one inside it.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { fileSystemOf } from "./Machine.ts"

const inMemory = new Set(["tmpfs", "ramfs", "devtmpfs"])

/** Paths of unix sockets are short (108 bytes), and a site adds some 30 of its own. */
const longest = 60

/** Makes the folder; `remove` takes it away with all it holds. */
export const makeScratch = (): { readonly folder: string; readonly remove: () => void } => {
  const own = fileURLToPath(new URL("../.cache", import.meta.url))
  const places = [tmpdir(), "/var/tmp", own]
  const usable = places.filter((place) => place.length < longest && !inMemory.has(fileSystemOf(place)))
  for (const place of usable) {
    try {
      if (place === own) mkdirSync(own, { recursive: true })
      const folder = mkdtempSync(`${place}/bench-`)
      process.env["TMPDIR"] = folder
      return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }) }
    } catch {
      // Not writable: the next one.
    }
  }
  throw new Error(`no folder on a disk to work in: ${places.join(", ")} are in memory, too long or not writable`)
}
