/**
 * What a fake starts from: map files and the servers of its configuration. Given as values, as a function that is
 * asked at every start, or as files that are read at every start, as HAProxy does.
 */
import { readFileSync } from "node:fs"
import type { ServerConfig } from "./Server.ts"

/** Backends by name, with their servers in order. */
export type Backends = Readonly<Record<string, ReadonlyArray<ServerConfig>>>

/** A value, or how to have it when a worker starts. */
export type AtStart<A> = A | (() => A)

/** The value now. */
export const atStart = <A extends object>(source: AtStart<A>): A =>
  typeof source === "function" ? (source as () => A)() : source

/** Content of the map files by the path under which HAProxy knows them. */
export type MapFiles = Readonly<Record<string, string>>

/**
 * Map files read from disk at every start. Names are HAProxy's paths, values where the file is here; for files that
 * have the same path on both sides an array will do.
 */
export const mapFilesOnDisk = (paths: ReadonlyArray<string> | Readonly<Record<string, string>>): () => MapFiles => {
  const entries = Array.isArray(paths)
    ? (paths as ReadonlyArray<string>).map((path) => [path, path] as const)
    : Object.entries(paths as Readonly<Record<string, string>>)
  return () => Object.fromEntries(entries.map(([name, path]) => [name, readFileSync(path, "utf8")]))
}

/** `pool_1`…`pool_N` with `pool_N_1`…`pool_N_K`, all on the placeholder `192.0.2.1:1` and disabled. */
export const declarePools = (options: { readonly count: number; readonly slots: number }): Backends => {
  const backends: Record<string, ReadonlyArray<ServerConfig>> = {}
  for (let pool = 1; pool <= options.count; pool++) {
    backends[`pool_${pool}`] = Array.from(
      { length: options.slots },
      (_, slot) => ({ name: `pool_${pool}_${slot + 1}`, disabled: true })
    )
  }
  return backends
}

/**
 * The backends of a configuration text: `backend NAME` and `server NAME ADDRESS:PORT [weight N] [disabled] [check]`.
 * Everything else in it is passed over; the fake routes no traffic.
 */
export const parseBackends = (config: string): Backends => {
  const backends: Record<string, Array<ServerConfig>> = {}
  let current: Array<ServerConfig> | undefined
  for (const raw of config.split("\n")) {
    const words = raw.replace(/#.*/, "").trim().split(/\s+/)
    if (words[0] === "backend" && words[1] !== undefined) current = backends[words[1]] ??= []
    else if (words[0] === "server" && words[1] !== undefined && words[2] !== undefined) {
      current?.push(parseServer(words))
    } else if (/^(?:global|defaults|frontend|listen)$/.test(words[0] ?? "")) current = undefined
  }
  return backends
}

const parseServer = (words: ReadonlyArray<string>): ServerConfig => {
  const endpoint = words[2]!
  const colon = endpoint.lastIndexOf(":")
  const weight = words.indexOf("weight")
  return {
    name: words[1]!,
    address: endpoint.slice(0, colon).replace(/^\[|\]$/g, ""),
    port: Number(endpoint.slice(colon + 1)),
    weight: weight < 0 ? 1 : Number(words[weight + 1]),
    disabled: words.includes("disabled"),
    check: words.includes("check")
  }
}
