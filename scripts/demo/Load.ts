/**
 * Visitors under way while something changes: a fixed number of keep-alive connections, each sending one request
 * after the other. Every answer is counted; one that is not a 200 from an origin, or none at all, is a failure.
 */
import { Agent } from "node:http"
import { visit } from "./Web.ts"

export interface Tally {
  /** Answered or failed. */
  readonly requests: number
  readonly failed: number
  /** The first failures, in words. */
  readonly failures: ReadonlyArray<string>
  /** Good answers by origin. */
  readonly byOrigin: Readonly<Record<string, number>>
  /** TCP connections opened so far: more than there are visitors means that some were cut. */
  readonly connections: number
  /** The slowest good answer, in milliseconds. */
  readonly slowestMs: number
}

export interface Load {
  readonly visitors: number
  readonly tally: () => Tally
  /** Waits until that many more good answers came from this origin; fails on the first failed request. */
  readonly more: (count: number, origin: string) => Promise<void>
  /** Lets the requests under way finish. */
  readonly stop: () => Promise<Tally>
}

/** So many failures are kept in words. */
const kept = 3

export const startLoad = (
  options: { readonly port: number; readonly site: string; readonly visitors: number }
): Load => {
  const byOrigin: Record<string, number> = {}
  const failures: Array<string> = []
  const sockets = new WeakSet<object>()
  let requests = 0
  let failed = 0
  let connections = 0
  let slowestMs = 0
  const leaving = new AbortController()
  const watchers = new Set<() => void>()

  const onSocket = (socket: object) => {
    if (sockets.has(socket)) return
    sockets.add(socket)
    connections++
  }
  const fail = (reason: string) => {
    failed++
    if (failures.length < kept) failures.push(reason)
  }
  const ask = async (agent: Agent) => {
    const began = performance.now()
    try {
      const page = await visit(options.port, options.site, { agent, onSocket })
      if (page.status === 200 && page.origin !== "") {
        byOrigin[page.origin] = (byOrigin[page.origin] ?? 0) + 1
        slowestMs = Math.max(slowestMs, performance.now() - began)
      } else fail(`status ${page.status}`)
    } catch (cause) {
      fail((cause as Error).message)
    }
    requests++
    for (const look of watchers) look()
  }
  const visitor = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!leaving.signal.aborted) await ask(agent)
    agent.destroy()
  }
  const all = Promise.all(Array.from({ length: options.visitors }, visitor))

  const tally = (): Tally => ({
    requests,
    failed,
    failures: [...failures],
    byOrigin: { ...byOrigin },
    connections,
    slowestMs
  })
  const more = (count: number, origin: string) => {
    const goal = (byOrigin[origin] ?? 0) + count
    return new Promise<void>((resolve, reject) => {
      const look = () => {
        if (failed > 0) reject(new Error(`a request failed: ${failures.join("; ")}`))
        else if ((byOrigin[origin] ?? 0) >= goal) resolve()
        else return
        watchers.delete(look)
      }
      watchers.add(look)
      look()
    })
  }
  const stop = async () => {
    leaving.abort()
    await all
    return tally()
  }
  return { visitors: options.visitors, tally, more, stop }
}
