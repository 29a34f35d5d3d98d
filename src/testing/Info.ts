/**
 * `show info`: all fields of HAProxy in its order. Those that say which process answers are real; counters of traffic
 * that a fake does not have are zero, and sizes and limits are those of a small installation.
 */
import type { Line } from "./Line.ts"

/** What is real in the answer. Times in milliseconds. */
export interface ProcessFacts {
  readonly version: string
  readonly releaseDate: string
  readonly pid: number
  readonly started: number
  readonly now: number
  readonly stopping: boolean
  readonly connections: number
}

const zeros = (names: string): string => names.split(" ").map((name) => `${name}: 0\n`).join("")

const uptime = (seconds: number): string => {
  const two = (value: number) => String(value).padStart(2, "0")
  return `${Math.floor(seconds / 86_400)}d ${Math.floor(seconds / 3600) % 24}h${two(Math.floor(seconds / 60) % 60)}m${
    two(seconds % 60)
  }s`
}

/** The answer of `show info`. */
export const processInfo = (line: Line, facts: ProcessFacts): string => {
  const { connections, now, pid, releaseDate, started, stopping, version } = facts
  const seconds = Math.floor((now - started) / 1000)
  return [
    `Name: HAProxy\nVersion: ${version}\nRelease_date: ${releaseDate}\nNbthread: 2\nNbproc: 1\nProcess_num: 1\n`,
    `Pid: ${pid}\nUptime: ${uptime(seconds)}\nUptime_sec: ${seconds}\n`,
    zeros("Memmax_MB PoolAlloc_MB PoolUsed_MB PoolFailed"),
    "Ulimit-n: 20000\nMaxsock: 20000\nMaxconn: 9983\nHard_maxconn: 9983\nCurrConns: 0\n",
    `CumConns: ${connections}\nCumReq: ${connections}\n`,
    zeros("MaxSslConns CurrSslConns CumSslConns Maxpipes PipesUsed PipesFree ConnRate ConnRateLimit MaxConnRate"),
    zeros("SessRate SessRateLimit MaxSessRate SslRate SslRateLimit MaxSslRate SslFrontendKeyRate"),
    zeros("SslFrontendMaxKeyRate SslFrontendSessionReuse_pct SslBackendKeyRate SslBackendMaxKeyRate SslCacheLookups"),
    zeros("SslCacheMisses CompressBpsIn CompressBpsOut CompressBpsRateLim"),
    "Tasks: 22\nRun_queue: 0\nIdle_pct: 100\nnode: fake\n",
    `Stopping: ${stopping ? 1 : 0}\nJobs: 4\nUnstoppable Jobs: 1\nListeners: 2\n`,
    zeros("ActivePeers ConnectedPeers DroppedLogs BusyPolling FailedResolutions TotalBytesOut TotalSplicedBytesOut"),
    zeros("BytesOutRate DebugCommandsIssued CumRecvLogs"),
    `Build info: ${version}\nMemmax_bytes: 0\nPoolAlloc_bytes: 200000\nPoolUsed_bytes: 200000\n`,
    `Start_time_sec: ${Math.floor(started / 1000)}\nTainted: 0\nTotalWarnings: 0\nMaxconnReached: 0\nBootTime_ms: 35\n`,
    "Niced_tasks: 0\nCurrStreams: 1\n",
    `CumStreams: ${connections}\nBlockedTrafficWarnings: 0\n`,
    line === "3.4" ? "PatternsAdded: 0\nPatternsFreed: 0\nNbThreadGroups: 1\n" : ""
  ].join("")
}
