/** TLS handshakes of clients that are as cheap as Node has them: one context for all, X25519 alone, no resumption. */
import { once } from "node:events"
import { connect, createSecureContext } from "node:tls"

/** Makes a handshake with a name and answers the SHA-1 of the certificate shown, upper case without colons. */
export type Handshake = (port: number, name: string) => Promise<string>

/** Handshakes of a client that trusts this root (PEM) alone. Fails where the certificate is not good for the name. */
export const handshakes = (root: string): Handshake => {
  const secureContext = createSecureContext({ ca: root, ecdhCurve: "X25519" })
  return async (port, name) => {
    const socket = connect({ host: "127.0.0.1", port, servername: name, secureContext })
    try {
      await once(socket, "secureConnect")
      return socket.getPeerX509Certificate()!.fingerprint.replaceAll(":", "")
    } finally {
      socket.destroy()
    }
  }
}

/** Tries every 2 ms until the name shows this certificate. */
export const untilShown = async (
  handshake: Handshake,
  port: number,
  name: string,
  sha1: string,
  limit = 60_000
): Promise<void> => {
  let last = ""
  for (const end = Date.now() + limit; Date.now() < end;) {
    try {
      last = await handshake(port, name)
      if (last === sha1) return
    } catch (cause) {
      last = String(cause)
    }
    await new Promise<void>((resolve) => setTimeout(resolve, 2))
  }
  throw new Error(`${name} does not show its certificate after ${limit} ms, but: ${last}`)
}
