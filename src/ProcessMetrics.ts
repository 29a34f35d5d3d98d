/**
 * Numbers of the process, under the names that Prometheus' client libraries gave them (`process_*`, `nodejs_*`), and
 * what was built. Read when somebody asks; only the delay of the event loop is watched all the time, by a timer of
 * libuv's that runs no JavaScript.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
import * as Series from "./Series.ts"
import { version } from "./Version.ts"

/** Milliseconds between two looks at the event loop. */
const resolution = 50

/** Zero where there is no `/proc`. */
const orZero = (read: () => number): () => number => () => {
  try {
    return read()
  } catch {
    return 0
  }
}

/** "Max open files  1024  524288  files" of `/proc/self/limits`: the soft limit. */
const maxFds = () => Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0)

const cpuSeconds = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

/** Shows them for as long as the scope lives. */
export const layer: Layer.Layer<never> = Layer.effectDiscard(Effect.gen(function*() {
  const delay = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => histogram.disable())
  )
  // The histogram holds the time between two looks; what is above the resolution is delay. NaN before the first look.
  const over = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - resolution / 1e3) || 0
  const started = Math.round(performance.timeOrigin) / 1000
  yield* Series.watched("haproxy_mcp_build_info", "What runs here; always 1", () => 1, {
    version,
    node: process.versions.node
  })
  yield* Series.watchedCounter("process_cpu_seconds_total", "CPU time of the process, in seconds", cpuSeconds)
  yield* Series.watched("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss())
  yield* Series.watched("process_start_time_seconds", "Start of the process, in seconds since 1970", () => started)
  yield* Series.watched(
    "process_open_fds",
    "Open file descriptors",
    // One of them is the folder's own.
    orZero(() => readdirSync("/proc/self/fd").length - 1)
  )
  yield* Series.watched("process_max_fds", "Most file descriptors that may be open", orZero(maxFds))
  yield* Series.watched("nodejs_heap_size_used_bytes", "Used heap of V8", () => process.memoryUsage().heapUsed)
  yield* Series.watched(
    "nodejs_eventloop_lag_mean_seconds",
    "Mean delay of the event loop since the last look",
    () => over(delay.mean)
  )
  yield* Series.watched(
    "nodejs_eventloop_lag_p99_seconds",
    "99th percentile of the same",
    () => over(delay.percentile(99))
  )
  yield* Series.watched("nodejs_eventloop_lag_max_seconds", "Longest delay since the last look", () => {
    const longest = over(delay.max)
    // The last of the three that is read: the next look begins here.
    delay.reset()
    return longest
  })
}))
