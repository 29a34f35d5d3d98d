/** Where everything fetched lies: `HAPROXY_MCP_CACHE`, else `.cache` of this repository. Safe to delete at any time. */
import { isAbsolute, join, resolve } from "node:path"

const repository = resolve(import.meta.dirname, "../..")

export const cacheFolder = (): string => {
  const override = process.env["HAPROXY_MCP_CACHE"] ?? ""
  if (override === "") return join(repository, ".cache")
  return isAbsolute(override) ? override : resolve(override)
}
