/**
 * Where the time goes: CPU profiles (`.cpuprofile`, for the developer tools of any browser) and their functions by
 * self time as text. Both of this process and of a child, and only while it is under load.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"
import { join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { type Child, untilReady } from "./Children.ts"

/** Records profiles when the run was asked to, else does nothing. */
export interface Profiler {
  readonly on: boolean
  /** Runs `load` under the profiler of this process; when off, does not run it at all. */
  readonly record: (name: string, load: () => Promise<unknown>) => Promise<void>
  /** What a child needs so that it can be recorded. */
  readonly child: (name: string) => {
    readonly args: ReadonlyArray<string>
    readonly env: Readonly<Record<string, string>>
  }
  /** The same as `record` for a child that was started so. */
  readonly recordChild: (name: string, child: Child, load: () => Promise<unknown>) => Promise<void>
}

/** Part of V8's `Profiler.Profile`. */
interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples?: ReadonlyArray<number> | undefined
  /** Microseconds before each sample. */
  readonly timeDeltas?: ReadonlyArray<number> | undefined
}

/** A function with the time spent in itself, not in what it calls. */
export interface SelfTime {
  readonly where: string
  readonly milliseconds: number
  /** Of the time that was not idle. */
  readonly share: number
}

const recorder = new URL("./children/Recorder.ts", import.meta.url).href
const root = fileURLToPath(new URL("..", import.meta.url))

const place = (url: string, line: number): string => {
  if (url === "") return ""
  const path = url.startsWith("file://") ? relative(root, fileURLToPath(url)) : url
  return ` ${path}:${line + 1}`
}

/** The functions with the largest self time. */
export const topSelf = (profile: CpuProfile, count: number): ReadonlyArray<SelfTime> => {
  const names = new Map(profile.nodes.map(({ callFrame, id }) => [
    id,
    `${callFrame.functionName || "(anonymous)"}${place(callFrame.url, callFrame.lineNumber)}`
  ]))
  const times = new Map<string, number>()
  profile.samples?.forEach((id, index) => {
    const name = names.get(id) ?? "?"
    times.set(name, (times.get(name) ?? 0) + (profile.timeDeltas?.[index] ?? 0) / 1000)
  })
  // The profiler's own work is in the profile, too.
  for (const name of times.keys()) if (name === "(idle)" || name.includes("node:inspector")) times.delete(name)
  const busy = [...times.values()].reduce((sum, time) => sum + time, 0)
  return [...times].sort((a, b) => b[1] - a[1]).slice(0, count)
    .map(([where, milliseconds]) => ({ where, milliseconds, share: milliseconds / busy }))
}

/** Self time by folder or package: what of the time is ours, Effect's, node's. */
export const byPackage = (profile: CpuProfile): ReadonlyArray<SelfTime> => {
  const groups = topSelf(profile, Infinity).reduce((all, { milliseconds, share, where }) => {
    const space = where.lastIndexOf(" ")
    const path = where.slice(space + 1)
    const group = space < 0 && where.startsWith("(")
      ? where
      : /^node:|^[^/]*$/.test(path)
      ? "node"
      : path.startsWith("node_modules/")
      ? path.split("/").slice(1, path.startsWith("node_modules/@") ? 3 : 2).join("/")
      : path.split("/").slice(0, 2).join("/")
    const so = all.get(group) ?? { milliseconds: 0, share: 0 }
    return all.set(group, { milliseconds: so.milliseconds + milliseconds, share: so.share + share })
  }, new Map<string, { milliseconds: number; share: number }>())
  return [...groups].map(([where, time]) => ({ where, ...time })).sort((a, b) => b.share - a.share)
}

const linesOf = (times: ReadonlyArray<SelfTime>): string =>
  times.map(({ milliseconds, share, where }) =>
    `  ${(share * 100).toFixed(1).padStart(5)} % ${milliseconds.toFixed(0).padStart(6)} ms  ${where}`
  ).join("\n")

const report = (name: string, profile: CpuProfile, file: string, print: (text: string) => void) =>
  print(
    `\nprofile of ${name}: ${relative(process.cwd(), file)}\n${linesOf(byPackage(profile).slice(0, 12))}\n\n${
      linesOf(topSelf(profile, 30))
    }`
  )

/** No profiles. */
export const noProfiler: Profiler = {
  on: false,
  record: async () => {},
  child: () => ({ args: [], env: {} }),
  recordChild: async () => {}
}

/** Profiles into a folder. */
export const makeProfiler = (where: string, print: (text: string) => void): Profiler => {
  // Children work in folders of their own.
  const folder = resolve(where)
  mkdirSync(folder, { recursive: true })
  const fileOf = (name: string) => join(folder, `${name}.cpuprofile`)
  return {
    on: true,
    record: async (name, load) => {
      const session = new Session()
      session.connect()
      await session.post("Profiler.enable")
      await session.post("Profiler.setSamplingInterval", { interval: 200 })
      await session.post("Profiler.start")
      await load()
      const { profile } = await session.post("Profiler.stop")
      session.disconnect()
      writeFileSync(fileOf(name), JSON.stringify(profile))
      report(name, profile, fileOf(name), print)
    },
    child: (name) => ({ args: ["--import", recorder], env: { BENCH_PROFILE: fileOf(name) } }),
    recordChild: async (name, child, load) => {
      const file = fileOf(name)
      const begun = `${file}.begun`
      for (const old of [file, begun]) rmSync(old, { force: true })
      child.send("SIGUSR2")
      await untilReady("the profiler", child, async () => existsSync(begun))
      await load()
      child.send("SIGUSR2")
      await untilReady("the profile", child, async () => existsSync(file))
      rmSync(begun)
      report(name, JSON.parse(readFileSync(file, "utf8")) as CpuProfile, file, print)
    }
  }
}
