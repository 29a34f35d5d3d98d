/**
 * Free TCP ports on 127.0.0.1 for tests that run side by side.
 *
 * HAProxy binds with SO_REUSEPORT, so two of them can share a port without a word. A port is therefore held by a
 * lock file with our process id while it is in use. Ports come from below the range that outgoing connections use.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folder = join(tmpdir(), "haproxy-mcp-test-ports")

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

const lock = (port: number): boolean => {
  const file = join(folder, String(port))
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" })
    return true
  } catch {
    const owner = Number(readFileSync(file, { encoding: "utf8", flag: "a+" }))
    if (owner > 0 && !alive(owner)) rmSync(file, { force: true })
    return false
  }
}

const bindable = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/** Takes one port; give it back with {@link releasePort}. */
export const takePort = async (): Promise<number> => {
  mkdirSync(folder, { recursive: true })
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = 10_240 + Math.floor(Math.random() * 20_000)
    if (!lock(port)) continue
    if (await bindable(port)) return port
    releasePort(port)
  }
  throw new Error("no free port found")
}

/** Gives a port back. */
export const releasePort = (port: number): void => rmSync(join(folder, String(port)), { force: true })
