/**
 * Somebody who looks at sites over TLS all the time: for every name that is watched a whole handshake, again and again,
 * with all that a browser checks (chain to the root, name, validity). One that fails is a broken promise.
 */
import { createHash, X509Certificate } from "node:crypto"
import { connect, createSecureContext, type SecureContext } from "node:tls"

/** Milliseconds that a handshake may take on a busy machine. */
const patience = 15_000
/** Milliseconds between two rounds. */
const pause = 5

/** What a handshake showed: the SHA-1 of the certificate, upper case, no colons; or what was wrong. */
export type Seen = { readonly sha1: string; readonly sha256: string } | { readonly wrong: string }

/** One handshake with every check. */
export const look = (port: number, name: string, secureContext: SecureContext): Promise<Seen> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, servername: name, secureContext })
    const end = (seen: Seen) => {
      socket.destroy()
      resolve(seen)
    }
    socket.setTimeout(patience, () => end({ wrong: `no handshake within ${patience} ms` }))
    socket.once("secureConnect", () => {
      const certificate = socket.getPeerX509Certificate()
      end(certificate === undefined ? { wrong: "no certificate" } : fingerprints(certificate))
    })
    socket.once("error", (error: NodeJS.ErrnoException) => end({ wrong: error.code ?? error.message }))
  })

/** SHA-1 and SHA-256 as HAProxy and haproxy-mcp print them. */
export const fingerprints = ({ raw }: X509Certificate): { readonly sha1: string; readonly sha256: string } => {
  const of = (kind: string) => createHash(kind).update(raw).digest("hex").toUpperCase()
  return { sha1: of("sha1"), sha256: of("sha256") }
}

export class Prober {
  private readonly watched = new Map<string, number>()
  private readonly context: SecureContext
  private readonly port: number
  private generation = 0
  private stopped = false
  private readonly running: Promise<void>
  /** Handshakes that were made. */
  handshakes = 0
  /** What went wrong, in words. */
  readonly failures: Array<string> = []

  /** `root`: PEM, what it trusts. */
  constructor(port: number, root: string) {
    this.port = port
    this.context = createSecureContext({ ca: root, ecdhCurve: "X25519" })
    this.running = this.run()
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      for (const [name, since] of this.watched) {
        const seen = await look(this.port, name, this.context)
        this.handshakes++
        // A look that began before the name was let go says nothing.
        if ("wrong" in seen && this.watched.get(name) === since) {
          this.failures.push(`${new Date().toISOString()} ${name}: ${seen.wrong}`)
        }
      }
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }

  /** One look of its own. */
  look(name: string): Promise<Seen> {
    return look(this.port, name, this.context)
  }

  /** From now on the name must show a good certificate. */
  watch(name: string): void {
    if (!this.watched.has(name)) this.watched.set(name, ++this.generation)
  }

  /** From now on it need not. */
  release(name: string): void {
    this.watched.delete(name)
  }

  get names(): ReadonlyArray<string> {
    return [...this.watched.keys()]
  }

  async stop(): Promise<void> {
    this.stopped = true
    await this.running
  }
}
