/** The container image of a release, built from a copy of the sources by the project's own script. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { cacheFolder } from "../debian/CacheFolder.ts"

/** What became of it: the archive, or why there is none. */
export type Image = { readonly file: string } | { readonly skipped: string }

/** `base`: with base images made of Debian's packages, where no image registry is reachable. */
export const buildImage = async (
  copy: string,
  out: string,
  version: string,
  how: "registry" | "base" | "none"
): Promise<Image> => {
  if (how === "none") return { skipped: "not asked for (--image none)" }
  const script = join(copy, "scripts/image.ts")
  if (!existsSync(script)) return { skipped: "the sources have no scripts/image.ts" }
  const file = join(out, `haproxy-mcp-${version}.image.tar`)
  const args = [
    script,
    "--tag",
    `localhost/haproxy-mcp:${version}`,
    "--save",
    file,
    ...(how === "base" ? ["--base"] : [])
  ]
  const child = spawn(process.execPath, args, {
    cwd: copy,
    stdio: ["ignore", "ignore", "pipe"],
    // What was fetched for earlier ones serves again: the copy has no cache.
    env: { ...process.env, HAPROXY_MCP_CACHE: cacheFolder() }
  })
  let said = ""
  child.stderr.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString("utf8")).slice(-4_000)
  })
  const [code] = await once(child, "close") as [number | null]
  if (code === 0 && existsSync(file)) return { file }
  return { skipped: `scripts/image.ts ended with ${code}: ${said.trim().split("\n").slice(-3).join(" ")}` }
}
