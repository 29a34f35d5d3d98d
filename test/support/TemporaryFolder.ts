import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A folder that goes with the scope. */
export const temporaryFolder = (name: string, within = tmpdir()) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(within, `haproxy-mcp-${name}-`))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  )
