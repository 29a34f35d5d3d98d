/** Every HAProxy at hand behaves, through its wrapper, as an installed one: version, process, master-worker reloads. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { runCommand } from "../../scripts/debian/Command.ts"
import { demoHaproxy, haproxyLines, SUPPORTED_LINES } from "../../scripts/haproxy.ts"

const lines = await haproxyLines()

it("is at hand: `npm run haproxy` fetches it", () => {
  expect(lines.map(({ line }) => line).filter((line) => SUPPORTED_LINES.includes(line))).not.toEqual([])
})

it("gives a demo one of them, without a network", async () => {
  const demo = await demoHaproxy({ fetching: () => expect.fail("nothing has to be fetched") })
  expect(lines.map(({ line }) => line)).toContain(demo.line)
})

const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  return typeof address === "object" ? address?.port ?? 0 : 0
}

/**
 * One command to the master CLI; its answer up to the empty line that ends it. The master keeps some connections open
 * after that. A worker of 3.0 serves before its master listens, at the start and while the master re-executes itself:
 * the answer is `undefined` then.
 */
const ask = async (socket: string, command: string) => {
  const connection = connect(socket)
  connection.setTimeout(10_000, () => connection.destroy(new Error(`no end of the answer to ${command}`)))
  connection.write(`${command}\n`)
  let answer = ""
  try {
    for await (const chunk of connection) {
      answer += String(chunk)
      if (answer.endsWith("\n\n")) break
    }
    return answer
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ECONNREFUSED") return undefined
    throw cause
  }
}

describe.each(lines)("haproxy $line", ({ path, version }) => {
  it("says its version", async () => {
    expect((await runCommand(path, ["-v"], { timeoutMs: 10_000 })).stdout).toContain(`HAProxy version ${version} `)
  })

  it("reloads as a master with workers, by the master CLI and by SIGUSR2, and stays the process it was", async () => {
    const folder = await mkdtemp(join(tmpdir(), "reload-"))
    const port = await freePort()
    const configure = (body: string, more = "") =>
      writeFile(
        join(folder, "haproxy.cfg"),
        `defaults\n  mode http\n  timeout client 5s\n  timeout connect 5s\n  timeout server 5s\nfrontend web\n` +
          `  bind 127.0.0.1:${port}\n  http-request return status 200 content-type text/plain string ${body}\n${more}`
      )
    const body = () => fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text()).catch(() => undefined)
    const master = join(folder, "m")
    await configure("one")
    const haproxy = spawn(path, ["-W", "-S", master, "-f", join(folder, "haproxy.cfg")], { stdio: "ignore" })
    const closed = once(haproxy, "close")
    const itself = new RegExp(`^${haproxy.pid}\\s+master\\s`, "m")
    const ready = () => expect.poll(() => ask(master, "show proc"), { timeout: 10_000, interval: 20 }).toMatch(itself)
    try {
      await expect.poll(body, { timeout: 10_000, interval: 20 }).toBe("one")
      await ready()

      await configure("two")
      expect(await ask(master, "reload")).toMatch(/^Success=1\n/)
      await expect.poll(body, { timeout: 10_000, interval: 20 }).toBe("two")

      await configure("three")
      haproxy.kill("SIGUSR2")
      await expect.poll(body, { timeout: 10_000, interval: 20 }).toBe("three")

      await ready()
      await configure("four", "  nonsense\n")
      expect(await ask(master, "reload")).toMatch(/^Success=0\n/)
      expect(await body()).toBe("three")
    } finally {
      haproxy.kill("SIGTERM")
      await closed
      await rm(folder, { recursive: true, force: true })
    }
    expect(haproxy.exitCode).toBe(0)
  })
})
