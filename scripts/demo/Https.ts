/**
 * A visitor of the sites by HTTPS who checks certificates: by curl where one with HTTP/3 is at hand, else by Node's own
 * HTTP/2.
 */
import { execFile } from "node:child_process"
import { connect as connectHttp2 } from "node:http2"
import { connect, type PeerCertificate } from "node:tls"
import { host } from "./Ports.ts"

export interface SecurePage {
  readonly status: number
  /** `2` or `3`. */
  readonly version: string
  readonly body: string
}

/** Where, as whom, and whom to trust. */
export interface Secure {
  readonly port: number
  readonly site: string
  /** PEM file of the only root that is trusted. */
  readonly rootFile: string
  /** Its content. */
  readonly root: string
}

/** What a handshake showed of a certificate that is trusted and stands for the site. */
export interface Shown {
  /** `TLSv1.3` */
  readonly protocol: string
  readonly names: ReadonlyArray<string>
  readonly subject: string
  readonly issuer: string
  /** Whole days. */
  readonly daysLeft: number
  /** SHA-256 of it, hexadecimal, upper case, without colons. */
  readonly fingerprint: string
}

/** No answer within this is a failure (ms). */
const limit = 5_000

/** A name in a certificate; a CA may leave the subject empty, because only the alternative names count. */
const nameOf = ({ CN, O }: PeerCertificate["subject"]): string => [CN ?? O ?? ""].flat()[0] || "empty"

/** A handshake. Rejects when the site has no certificate, or one that does not stand for it under this root. */
export const shake = ({ port, root, site }: Secure): Promise<Shown> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host, port, servername: site, ca: root, timeout: limit }, () => {
      const own = socket.getPeerCertificate()
      resolve({
        protocol: socket.getProtocol() ?? "none",
        names: (own.subjectaltname ?? "").split(", ").map((name) => name.replace(/^DNS:/, "")),
        subject: nameOf(own.subject),
        issuer: nameOf(own.issuer),
        daysLeft: Math.floor((Date.parse(own.valid_to) - Date.now()) / 86_400_000),
        fingerprint: own.fingerprint256.replaceAll(":", "")
      })
      socket.destroy()
    })
    socket.once("timeout", () => socket.destroy(new Error(`no handshake within ${limit / 1000} s`)))
    socket.once("error", reject)
  })

/** One page by Node's HTTP/2. */
export const pageByNode = ({ port, root, site }: Secure): Promise<SecurePage> =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(`https://${host}:${port}`, { ca: root, servername: site })
    const timer = setTimeout(() => session.destroy(new Error(`no answer within ${limit / 1000} s`)), limit)
    session.once("error", reject)
    session.once("close", () => clearTimeout(timer))
    const stream = session.request({ ":path": "/", ":authority": `${site}:${port}` })
    let status = 0
    let body = ""
    stream.setEncoding("utf8")
    stream.once("response", (headers) => status = Number(headers[":status"]))
    stream.on("data", (part: string) => body += part)
    stream.once("error", reject)
    stream.once("end", () => {
      session.close()
      resolve({ status, version: "2", body })
    })
    stream.end()
  })

const ask = (curl: string, { port, rootFile, site }: Secure, args: ReadonlyArray<string>, ms: number) =>
  new Promise<SecurePage | { readonly exit: number; readonly message: string }>((resolve) => {
    const all = ["--silent", "--show-error", "--noproxy", "*", "--max-time", String(ms / 1000)].concat(
      ["--cacert", rootFile, "--resolve", `${site}:${port}:${host}`],
      args,
      ["--write-out", "\n%{http_version} %{response_code}", `https://${site}:${port}/`]
    )
    execFile(curl, all, { timeout: ms + 5_000 }, (failure, stdout, stderr) => {
      const facts = /\n(\S+) (\d+)$/.exec(stdout)
      if (failure !== null || facts === null) {
        resolve({ exit: typeof failure?.code === "number" ? failure.code : -1, message: stderr.trim() })
      } else resolve({ status: Number(facts[2]), version: facts[1]!, body: stdout.slice(0, facts.index) })
    })
  })

/** `curl --http2` or `--http3-only`. */
export const pageByCurl = async (curl: string, version: "2" | "3", where: Secure, old = false): Promise<SecurePage> => {
  // HAProxy 3.0.11 and older cannot put every hello together (src/haproxy/HttpsConfig.ts): short ones, and some more.
  const args = version === "2" ? ["--http2"] : ["--http3-only", ...(old ? ["--curves", "X25519"] : [])]
  for (let attempt = old ? 12 : 1;; attempt--) {
    const page = await ask(curl, where, args, old ? 1_500 : limit)
    if (!("exit" in page)) return page
    // 28: no answer in time.
    if (page.exit !== 28 || attempt <= 1) throw new Error(`curl ${args.join(" ")}: ${page.message}`)
  }
}
