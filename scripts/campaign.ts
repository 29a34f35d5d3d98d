/**
 * `npm run campaign`: the fault campaigns of test/campaign, after fetching what they need: the HAProxy lines, and
 * strace for the power cuts where the machine has none.
 */
import { spawnSync } from "node:child_process"
import { join } from "node:path"

const fetched = spawnSync(process.execPath, [join(import.meta.dirname, "haproxy.ts")], { stdio: "inherit" })
if (fetched.status !== 0) process.exit(2)
await import("../test/campaign/main.ts")
