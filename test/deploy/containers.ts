/**
 * Containers for tests: the engine, the image built once per run of a file, and containers that end with their scope.
 * They are started detached, as a service starts them, and share the host's network.
 */
import * as Effect from "effect/Effect"
import { createHash, randomBytes } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join, relative } from "node:path"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import { FetchFailure } from "../../scripts/debian/FetchFailure.ts"
import { withFolderLock } from "../../scripts/debian/FolderLock.ts"
import { type BaseImages, ensureBase } from "../../scripts/image/Base.ts"
import { buildImage } from "../../scripts/image/Build.ts"
import { ask, type Engine, findEngine } from "../../scripts/image/Podman.ts"
import { becomes } from "../support/Poll.ts"

/** Podman as it is found here, or why there is none, said aloud: a silent skip would read as a pass. */
export const podman = await findEngine("podman").catch((cause: unknown) => {
  if (!(cause instanceof FetchFailure)) throw cause
  process.stderr.write(`\nSKIPPED, NOT TESTED: the image and the containers (${cause.message}. ${cause.hint})\n`)
  return undefined
})

const repository = join(import.meta.dirname, "..", "..")
const tested = "localhost/haproxy-mcp-test"

/** Everything that the build reads: what .dockerignore lets through, and itself. */
const contextKey = (base: BaseImages): string => {
  const hash = createHash("sha256").update(JSON.stringify(base))
  const parts = [
    "Dockerfile",
    ".dockerignore",
    "package.json",
    "package-lock.json",
    "LICENSE",
    "scripts",
    "src",
    "deploy/image"
  ]
  for (const part of parts) {
    const path = join(repository, part)
    const files = statSync(path).isFile()
      ? [path]
      : readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name)).sort()
    for (const file of files) {
      hash.update(relative(repository, file)).update("\0").update(readFileSync(file)).update("\0")
    }
  }
  return hash.digest("hex").slice(0, 16)
}

/** The image of the sources as they are, built when it is not there; two files that want it at once share one build. */
export const imageUnderTest = (engine: Engine): Promise<string> =>
  withFolderLock(join(cacheFolder(), "podman", ".build.lock"), 900, async () => {
    const base = await ensureBase(engine)
    const tag = `${tested}:${contextKey(base)}`
    if ((await ask(engine, "image", "exists", tag)).code === 0) return tag
    await buildImage(engine, { tag, base })
    // Not those of this day: another copy of the sources may be trying one of them.
    const older = await ask(engine, "images", "--quiet", "--filter", "until=24h", tested)
    for (const id of older.stdout.split("\n").filter(Boolean)) await ask(engine, "rmi", id)
    return tag
  })

/** A name that no other run uses. */
export const uniqueName = (what: string): string => `haproxy-mcp-test-${what}-${randomBytes(4).toString("hex")}`

/** Runs Podman; fails with its own words. */
export const must = async (engine: Engine, ...args: ReadonlyArray<string>): Promise<string> => {
  const { code, stderr, stdout } = await ask(engine, ...args)
  if (code !== 0) throw new Error(`podman ${args.slice(0, 3).join(" ")}… ended with ${code}: ${stderr}`)
  return stdout
}

export interface Container {
  readonly name: string
  /** What it has written. */
  readonly logs: () => Promise<string>
  /** Runs a program in it. */
  readonly exec: (...command: ReadonlyArray<string>) => ReturnType<typeof ask>
  /** `podman inspect` as text. */
  readonly inspect: () => Promise<string>
  /** Its state, as Podman knows it. */
  readonly state: () => Promise<{ readonly Status: string; readonly ExitCode: number; readonly Pid: number }>
  /** SIGTERM, then SIGKILL after `seconds`; answers its exit code and how many milliseconds that took. */
  readonly stop: (seconds: number) => Promise<{ readonly code: number; readonly ms: number }>
}

const containerNamed = (engine: Engine, name: string): Container => {
  const inspect = () => must(engine, "inspect", name)
  const state = async () =>
    (JSON.parse(await inspect()) as [{ State: Awaited<ReturnType<Container["state"]>> }])[0].State
  return {
    name,
    logs: async () => {
      const { stderr, stdout } = await ask(engine, "logs", name)
      return stdout + stderr
    },
    exec: (...command) => ask(engine, "exec", name, ...command),
    inspect,
    state,
    stop: async (seconds) => {
      const started = performance.now()
      await must(engine, "stop", "--time", String(seconds), name)
      const ms = performance.now() - started
      return { code: (await state()).ExitCode, ms }
    }
  }
}

/** `podman run --detach` with these options, image and command, after `--name`; gone with the scope. */
export const runContainer = (engine: Engine, name: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await must(engine, "run", "--detach", "--network", "host", "--name", name, ...args)
      return containerNamed(engine, name)
    }),
    () => Effect.promise(() => ask(engine, "rm", "--force", "--volumes", "--time", "0", name))
  )

export interface Unit {
  readonly engine: Engine
  /** The words of its ExecStart. */
  readonly words: ReadonlyArray<string>
  /** Names and paths of the unit → those of the test. */
  readonly changes: Readonly<Record<string, string>>
  /** Variables that get another value. */
  readonly ports: Readonly<Record<string, string>>
  /** Options of `podman run` beside the unit's own. */
  readonly more?: ReadonlyArray<string>
}

/** Options that only systemd can serve, or that would take away what a test reads afterwards. */
const ofSystemd = (word: string): boolean => /^--(?:cgroups=|sdnotify=|cidfile=|rm$|replace$|ignore$)/.test(word)

/**
 * Runs the command of a unit that a quadlet became. Of a container answers the container, of a volume null; both are gone
 * with the scope.
 */
export const startUnit = ({ changes, engine, more = [], ports, words }: Unit) => {
  const kept = words.slice(1).filter((word) => !ofSystemd(word))
  const changed = kept.map((word, at) => {
    const variable = /^([A-Z_0-9]+)=/.exec(word)?.[1]
    if (variable !== undefined && ports[variable] !== undefined) return `${variable}=${ports[variable]}`
    if (variable !== undefined) return word
    // Only the first part: what follows the colon or the comma is inside the container, and so are its own arguments.
    const [, first = "", rest = ""] = /^([^:,]*)(.*)$/.exec(word) ?? []
    for (const [from, to] of Object.entries(changes)) {
      if (word === from) return to
      const isBelow = kept[at - 1] === "-v" && first.startsWith(`${from}/`)
      if (first === from || isBelow) return to + first.slice(from.length) + rest
    }
    return word
  })
  if (changed[0] === "volume") {
    const name = changed.at(-1)!
    return Effect.acquireRelease(
      Effect.promise(async () => {
        await must(engine, ...changed)
        return null
      }),
      () => Effect.promise(() => ask(engine, "volume", "rm", "--force", name))
    )
  }
  const name = uniqueName("unit")
  const at = changed.indexOf("--name")
  const args = [...changed.slice(0, at), "--name", name, ...more, ...changed.slice(at + 2)]
  return Effect.acquireRelease(
    Effect.promise(async () => {
      await must(engine, ...args)
      return containerNamed(engine, name)
    }),
    () => Effect.promise(() => ask(engine, "rm", "--force", "--time", "0", name))
  )
}

/** Waits until `/readyz` or another probe answers with this status; fails with the container's log. */
export const answers = async (
  container: Container,
  url: string,
  status: number,
  ...others: ReadonlyArray<Container>
): Promise<void> => {
  const asks = async () => (await fetch(url).catch(() => undefined))?.status === status
  await becomes(`${url} answers ${status}`, asks, 60_000).catch(async (error: Error) => {
    const logs = await Promise.all([container, ...others].map((one) => one.logs()))
    throw new Error(`${error.message}\n${logs.join("\n")}`, { cause: error })
  })
}
