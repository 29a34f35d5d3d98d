/**
 * One SSH connection with its SFTP session, from ready to closed, and all calls that wait for an answer on it.
 *
 * ssh2 forgets calls whose connection ends, and never notices a peer that says nothing. So every call is listed here:
 * - when the link closes, for whatever reason, all of them reject at once;
 * - when calls wait and no answer came for `stall` milliseconds, the link is closed. An answer to any call counts, since
 *   sftp-server works one after the other; what may take long (fsync of many bytes) asks for more time. A call that alone
 *   has no answer for {@link longest} times as long closes the link as well.
 */
import type { Client, SFTPWrapper } from "ssh2"
import { SshFailure, unreachable } from "./Failure.ts"

/** A call may wait so many times the stall while others are answered. */
const longest = 12

/** ssh2 says so to each call of a session that ends before it answered, before it tells of the end. */
const unanswered = "No response from server"

interface Waiting {
  readonly reject: (error: unknown) => void
  readonly since: number
  readonly more: number
}

/** How a request of ssh2 answers. */
export type Answer<T> = (error?: Error | null, value?: T) => void

export class Link {
  readonly client: Client
  readonly sftp: SFTPWrapper
  /** Why it is closed, once it is. */
  closed: SshFailure | null = null
  private readonly where: string
  private readonly stall: number
  private readonly waiting = new Set<Waiting>()
  private readonly listeners = new Set<(failure: SshFailure) => void>()
  private readonly end: () => void
  /** When the last answer came, or a call began to wait alone. */
  private progress = 0
  private timer: NodeJS.Timeout | undefined

  /** `end` ends the connection at once. */
  constructor(parts: { client: Client; sftp: SFTPWrapper; where: string; stall: number; end: () => void }) {
    this.client = parts.client
    this.sftp = parts.sftp
    this.where = parts.where
    this.stall = parts.stall
    this.end = parts.end
  }

  /** Calls back when the link closes; at once when it is closed. Answers how to take that back. */
  whenClosed(listener: (failure: SshFailure) => void): () => void {
    if (this.closed !== null) listener(this.closed)
    else this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /**
   * A request and its answer. `more` milliseconds are given to it and to those behind it. Rejects with ssh2's error when
   * the server refuses, with RemoteUnreachable when the link is lost before it answers.
   */
  ask<T = void>(request: (answer: Answer<T>) => void, more = 0): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.closed !== null) {
        reject(unreachable(this.where, this.closed))
        return
      }
      const now = performance.now()
      const waiting = { reject, since: now, more }
      if (this.waiting.size === 0) this.progress = now
      this.waiting.add(waiting)
      this.timer ??= setTimeout(() => this.look(), this.stall + 1)
      const settle = (): boolean => {
        this.progress = performance.now()
        return this.waiting.delete(waiting)
      }
      try {
        request((error, value) => {
          // What came too late, or when the link closed, was answered then.
          if (!settle()) return
          if (error instanceof Error && error.message === unanswered) {
            this.close(new SshFailure("network", "its SFTP server ended"))
            reject(unreachable(this.where, this.closed!))
          } else if (error instanceof Error) reject(error)
          else resolve(value as T)
        })
      } catch (error) {
        // ssh2 throws for a connection that is not writable any more; its close event is on its way.
        if (!settle()) return
        const { message } = error as Error
        if (message !== "Not connected") throw error
        this.close(new SshFailure("network", "the connection was cut"))
        reject(unreachable(this.where, this.closed!))
      }
    })
  }

  /** Ends the connection and rejects what waits. Does nothing the second time. */
  close(failure: SshFailure): void {
    if (this.closed !== null) return
    this.closed = failure
    clearTimeout(this.timer)
    this.end()
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const { reject } of waiting) reject(unreachable(this.where, failure))
    const listeners = [...this.listeners]
    this.listeners.clear()
    for (const listener of listeners) listener(failure)
  }

  /** Milliseconds until the calls that wait have waited too long; null when none waits. */
  private left(): number | null {
    const [oldest] = this.waiting
    if (oldest === undefined) return null
    let more = 0
    for (const waiting of this.waiting) more += waiting.more
    const now = performance.now()
    return Math.min(this.progress + this.stall + more - now, oldest.since + longest * this.stall + more - now)
  }

  private look(): void {
    this.timer = undefined
    const left = this.left()
    if (left === null || this.closed !== null) return
    if (left > 0) this.timer = setTimeout(() => this.look(), left + 1)
    // After a pause of this process the answers are there and only wait to be read: that comes before this.
    else setImmediate(() => this.expire())
  }

  private expire(): void {
    const left = this.left()
    if (left === null || this.closed !== null) return
    if (left > 0) this.timer ??= setTimeout(() => this.look(), left + 1)
    else this.close(new SshFailure("network", `it gave no answer for ${this.stall / 1000} s`))
  }
}
