/** Which certificate each name gets: `show ssl sni` (3.2 and later). */
import { plain } from "./Cli.ts"

/** A name of a bind, and the certificate that it gets. */
export interface SniEntry {
  readonly frontend: string
  /** `haproxy.cfg:15`. */
  readonly bind: string
  /** `*.example.com`; `*` is the default certificate. */
  readonly sni: string
  /** A name that the wildcard does not stand for; empty: none. */
  readonly except: string
  /** `ecdsa`, `rsa`. */
  readonly type: string
  readonly file: string
  /** As HAProxy writes it: `Feb 25 13:48:17 2027 GMT`. */
  readonly notAfter: string
}

/** The first line. */
export const isHead = (line: string): boolean => line.startsWith("# Frontend/Bind\tSNI\t")

/*
 * show ssl sni (3.2.26, 3.4.7): cells are parted by tabs
 *
 * # Frontend/Bind	SNI	Negative Filter	Type	Filename	NotAfter	NotBefore
 * web//etc/haproxy/haproxy.cfg:15	*.a.example.com	-	ecdsa	/etc/haproxy/certs/a.pem	Feb 25 13:48:17 2027 GMT	Nov 27 13:48:17 2026 GMT
 */
export const parseLine = (line: string): SniEntry | null => {
  const cells = line.split("\t")
  const [bind, sni, except, type, file, notAfter] = cells
  const slash = bind!.indexOf("/")
  if (cells.length < 6 || slash < 0) return null
  return {
    frontend: plain(bind!.slice(0, slash), 100),
    bind: plain(bind!.slice(slash + 1), 200),
    sni: plain(sni!, 255),
    except: except === "-" ? "" : plain(except!, 255),
    type: plain(type!, 20),
    file: plain(file!, 300),
    notAfter: plain(notAfter!, 40)
  }
}

/** The words: of all frontends, or of one. */
export const listWords = (frontend?: string): ReadonlyArray<string> =>
  frontend === undefined ? ["show", "ssl", "sni"] : ["show", "ssl", "sni", "-f", frontend]
