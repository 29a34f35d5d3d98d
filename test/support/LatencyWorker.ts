/** The thread behind Latency.ts: the server that is visited, and the visitors, who measure each visit. */
import { Agent, createServer, request } from "node:http"
import type { AddressInfo } from "node:net"
import { parentPort } from "node:worker_threads"
import type { LatencyTally, Visit } from "./Latency.ts"

const body = "hello"
let times: Array<number> = []
let failures: Array<string> = []

const origin = createServer((_, response) => response.end(body))
origin.keepAliveTimeout = 60_000
const listening = new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve))

const visit = ({ host, port }: Visit, agent: Agent) =>
  new Promise<void>((resolve) => {
    const began = performance.now()
    const failed = (what: string) => {
      failures.push(what)
      resolve()
    }
    const sent = request({ host: "127.0.0.1", port, agent, headers: { host }, timeout: 20_000 }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (part: string) => {
        text += part
      })
      response.once("error", (error) => failed(error.message))
      response.once("end", () => {
        times.push(performance.now() - began)
        if (response.statusCode === 200 && text === body) resolve()
        else failed(`${response.statusCode}: ${text.slice(0, 80)}`)
      })
    })
    sent.once("timeout", () => sent.destroy(new Error("no answer within 20 s")))
    sent.once("error", (error) => failed(error.message))
    sent.end()
  })

const visitor = async (whom: Visit) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (;;) {
    await visit(whom, agent)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

const tally = (): LatencyTally => {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  const answer = { requests: sorted.length, failures, p50: at(0.5), p99: at(0.99), worst: sorted.at(-1) ?? 0 }
  times = []
  failures = []
  return answer
}

const answer = async (message: Visit | "tally" | "port") => {
  if (message === "tally") return tally()
  await listening
  if (message === "port") return (origin.address() as AddressInfo).port
  for (let n = 0; n < message.visitors; n++) void visitor(message)
  return "begun"
}

parentPort!.on("message", (message: Visit | "tally" | "port") => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  void answer(message).then((value) => parentPort!.postMessage(value))
})
