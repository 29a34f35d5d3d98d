/** Looks into a Node process from outside, through its inspector: what its heap holds after a collection. */
import { becomes } from "./Poll.ts"

export interface HeapCount {
  /** Bytes in use after a full collection. */
  readonly used: number
  /** Living objects by the name of their class. */
  readonly count: (constructor: string) => number
}

/** The flag that opens it, on a free port. */
export const inspectFlag = "--inspect=127.0.0.1:0"

/** Where it listens, from what the process said. */
export const inspectorOf = (output: string): string => {
  const url = /Debugger listening on (ws:\S+)/.exec(output)?.[1]
  if (url === undefined) throw new Error("the process was not started with --inspect")
  return url
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: { readonly chunk?: string }
  readonly result?: { readonly result?: { readonly value?: unknown } }
}

interface Snapshot {
  readonly snapshot: { readonly meta: { readonly node_fields: ReadonlyArray<string> } }
  readonly nodes: ReadonlyArray<number>
  readonly strings: ReadonlyArray<string>
}

/** Takes a heap snapshot, which collects first, and counts. */
export const countHeap = async (url: string): Promise<HeapCount> => {
  const socket = new WebSocket(url)
  const answers = new Map<number, Message>()
  const chunks: Array<string> = []
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    if (message.method === "HeapProfiler.addHeapSnapshotChunk") chunks.push(message.params?.chunk ?? "")
    else if (message.id !== undefined) answers.set(message.id, message)
  })
  let last = 0
  const ask = async (method: string, params: object = {}) => {
    const id = ++last
    socket.send(JSON.stringify({ id, method, params }))
    await becomes(method, () => answers.has(id), 30_000)
    return answers.get(id)!
  }
  try {
    await becomes("the inspector answers", () => socket.readyState === WebSocket.OPEN)
    await ask("HeapProfiler.takeHeapSnapshot", { reportProgress: false })
    const used = await ask("Runtime.evaluate", { expression: "process.memoryUsage().heapUsed", returnByValue: true })
    const { nodes, snapshot, strings } = JSON.parse(chunks.join("")) as Snapshot
    const fields = snapshot.meta.node_fields
    const [name, width] = [fields.indexOf("name"), fields.length]
    const counts = new Map<number, number>()
    for (let at = 0; at < nodes.length; at += width) {
      // Type 3 is "object": an instance, not the function that makes it.
      if (nodes[at] !== 3) continue
      const key = nodes[at + name]!
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return {
      used: Number(used.result?.result?.value),
      count: (constructor) => counts.get(strings.indexOf(constructor)) ?? 0
    }
  } finally {
    socket.close()
  }
}
