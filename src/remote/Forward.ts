/**
 * A stream to a unix socket or a TCP port that HAProxy's host can reach, through the SSH connection. It is there at once,
 * like one of `net.createConnection`: what is written waits until the channel is open, and every end comes as `error`
 * (with a `code`) and `close`. sshd does not say why it could not connect, so for a unix socket the file is looked for.
 */
import { Duplex } from "node:stream"
import type { ClientChannel, Stats } from "ssh2"
import { plain, SshFailure } from "./Failure.ts"
import type { Link } from "./Link.ts"

export type Target = { readonly path: string } | { readonly host: string; readonly port: number }

/** `EREMOTE`: the SSH link is down or was lost. Others are as of `connect(2)`. */
const failed = (code: string, message: string): NodeJS.ErrnoException => Object.assign(new Error(message), { code })

/** "Administratively prohibited" (RFC 4254, 5.1). For unix sockets OpenSSH says "connect failed" in that case as well. */
const prohibited = 1

/** Why sshd did not open the channel. */
const refusalOf = async (link: Link, target: Target, error: Error & { readonly reason?: unknown }) => {
  if (!("path" in target)) {
    return error.reason === prohibited
      ? failed("EACCES", "sshd does not forward to this address (AllowTcpForwarding, PermitOpen)")
      : failed("ECONNREFUSED", `${target.host}:${target.port} cannot be connected from there (${plain(error.message)})`)
  }
  const found = await link.ask<Stats>((answer) => link.sftp.stat(target.path, answer)).then(() => true, () => false)
  return found
    ? failed(
      "ECONNREFUSED",
      `nobody listens on ${target.path}, this user may not connect to it, or sshd does not (AllowStreamLocalForwarding)`
    )
    : failed("ENOENT", `there is no socket ${target.path}`)
}

class Forwarded extends Duplex {
  private channel: ClientChannel | null = null
  /** A write that waits for the channel to open. */
  private held: (() => void) | null = null
  /** The channel is closed. */
  private over = false
  private forget: () => void = () => {}
  private timer: NodeJS.Timeout | undefined

  constructor(link: Link, target: Target, timeout: number) {
    super({ allowHalfOpen: false })
    this.forget = link.whenClosed(({ reason }) => this.destroy(failed("EREMOTE", reason)))
    if (this.destroyed) return
    this.timer = setTimeout(() => {
      // sshd connects to a unix socket at once; when it says nothing about one, it is not there any more.
      if ("path" in target) link.close(new SshFailure("network", `it gave no answer for ${timeout / 1000} s`))
      this.destroy(failed("ETIMEDOUT", `no connection within ${timeout / 1000} s`))
    }, timeout)
    const opened = (error: Error | undefined, channel: ClientChannel) => {
      clearTimeout(this.timer)
      if (error !== undefined) {
        if (this.destroyed) return
        if (link.closed !== null) this.destroy(failed("EREMOTE", link.closed.reason))
        else void refusalOf(link, target, error).then((cause) => this.destroy(cause))
      } else if (this.destroyed) channel.close()
      else this.attach(channel)
    }
    try {
      if ("path" in target) link.client.openssh_forwardOutStreamLocal(target.path, opened)
      else link.client.forwardOut("127.0.0.1", 0, target.host, target.port, opened)
    } catch {
      link.close(new SshFailure("network", "the connection was cut"))
    }
  }

  private attach(channel: ClientChannel): void {
    this.channel = channel
    channel.on("data", (data: Buffer) => {
      if (!this.push(data)) channel.pause()
    })
    channel.on("end", () => this.push(null))
    channel.on("error", (error: Error) => this.destroy(error))
    channel.on("close", () => {
      this.channel = null
      this.over = true
      this.push(null)
      // What was written and not taken is lost; a reader still gets all that came.
      if (this.readableEnded) this.destroy()
      else this.once("end", () => this.destroy())
    })
    this.emit("connect")
    this.held?.()
    this.held = null
  }

  override _read(): void {
    this.channel?.resume()
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.channel !== null) this.channel.write(data, done)
    else if (this.over) done(failed("EPIPE", "the other side closed the connection"))
    else this.held = () => this._write(data, "", done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.channel === null && !this.over) this.held = () => this._final(done)
    else {
      this.channel?.end()
      done()
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.timer)
    this.forget()
    this.channel?.close()
    this.channel = null
    this.held = null
    done(error)
  }
}

/** Opens a stream; `link` throws when there is none. `timeout` in milliseconds is for the channel to open. */
export const forward = (link: () => Link, target: Target, timeout: number): Duplex => {
  try {
    return new Forwarded(link(), target, timeout)
  } catch (error) {
    const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
    stream.destroy(failed("EREMOTE", (error as Error).message))
    return stream
  }
}
