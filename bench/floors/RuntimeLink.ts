/**
 * Floor: the Runtime API's round trips that adding a domain cannot do without, on one kept raw connection
 * (`prompt i`): the address and state of a new server, their read-back in the next exchange, then the map entries
 * with their read-back.
 */
import { createConnection, type Socket } from "node:net"

export class RuntimeLinkFloor {
  private readonly socket: Socket
  private text = ""
  private waiting: { readonly answers: number; readonly done: (text: string) => void } | null = null
  private failure: Error | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setEncoding("latin1")
    socket.on("data", (part: string) => {
      this.text += part
      this.look()
    })
    socket.once("error", (error) => this.failure = error)
    socket.once("close", () => this.failure ??= new Error("HAProxy closed the connection"))
  }

  /** Connects and switches to `prompt i`, which answers one empty line. */
  static async connect(path: string): Promise<RuntimeLinkFloor> {
    const link = new RuntimeLinkFloor(createConnection(path))
    await link.exchange(["prompt i"])
    return link
  }

  /** In `prompt i` every answer ends with an empty line, and no answer to these commands has one inside. */
  private look(): void {
    if (this.waiting === null || !this.text.endsWith("\n")) return
    let answers = 0
    for (let from = 0; from < this.text.length;) {
      const end = this.text.indexOf("\n", from)
      if (end === from) answers++
      from = end + 1
    }
    if (answers < this.waiting.answers) return
    const { done } = this.waiting
    const text = this.text
    this.text = ""
    this.waiting = null
    done(text)
  }

  /** Sends commands together and waits for all answers. */
  async exchange(commands: ReadonlyArray<string>): Promise<string> {
    if (this.failure !== null) throw this.failure
    const { promise, resolve } = Promise.withResolvers<string>()
    this.waiting = { answers: commands.length, done: resolve }
    this.socket.write(`${commands.join("\n")}\n`)
    return promise
  }

  /** Map entries and their read-back, in one exchange. */
  async addEntries(entries: ReadonlyArray<readonly [map: string, key: string]>, pool: number): Promise<void> {
    const answer = await this.exchange(
      entries.flatMap(([map, key]) => [`add map ${map} ${key} pool_${pool}`, `get map ${map} ${key}`])
    )
    if (answer.split("found=yes").length !== entries.length + 1) throw new Error(`HAProxy answers ${answer}`)
  }

  /** Takes the entries away. */
  async removeEntries(entries: ReadonlyArray<readonly [map: string, key: string]>): Promise<void> {
    await this.exchange(entries.map(([map, key]) => `del map ${map} ${key}`))
  }

  /** The first server of a pool, read back in the next exchange. */
  async fillSlot(pool: number, port: number): Promise<void> {
    const slot = `pool_${pool}/pool_${pool}_1`
    await this.exchange([
      `set server ${slot} addr 127.0.0.1 port ${port}`,
      `set server ${slot} weight 1`,
      `set server ${slot} state ready`
    ])
    const answer = await this.exchange([`show servers state pool_${pool}`])
    if (!answer.includes(`pool_${pool}_1 127.0.0.1`)) throw new Error(`HAProxy answers ${answer}`)
  }

  /** Puts the slot back. */
  async clearSlot(pool: number): Promise<void> {
    const slot = `pool_${pool}/pool_${pool}_1`
    await this.exchange([`set server ${slot} state maint`, `set server ${slot} addr 192.0.2.1 port 1`])
  }

  close(): void {
    this.socket.destroy()
  }
}
